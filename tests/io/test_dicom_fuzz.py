"""Films of every encoding, damaged at random, read by a process that is watched.

``WSSEG_FUZZ_SECONDS=600 pytest -m slow tests/io/test_dicom_fuzz.py`` for a long run; a
file that crashes the reader, hangs it or fills its memory is kept in the test's folder.
"""

from __future__ import annotations

import itertools
import os
import random
import time
from collections import Counter
from pathlib import Path

import psutil
import pytest

from helpers.golden_dicom import NATIVE, PACKED, Film, packed, save_as
from helpers.small_project import save_dicom
from napari_wsseg.io import film_facts

CI_ROUNDS = 150
SECONDS = float(os.environ.get("WSSEG_FUZZ_SECONDS", "60"))
MOST_BYTES = 2**30


def films(folder: Path) -> list[bytes]:
    """Every native encoding with tables, and every compression."""
    made = []
    for number, syntax in enumerate(NATIVE):
        film = Film(modality_table=(0, list(range(4096))), rescale=None)
        film.voi_table = (0, list(range(0, 4096)), 12)
        film.more = {"PatientOrientation": ["L", "F"], "PixelSpacing": [0.1, 0.1]}
        made.append(save_as(film.dataset(), folder / f"native{number}.dcm", syntax))
    for kind, (_, _, depths, _) in PACKED.items():
        film = Film(*depths[-1], window=(2000, 3000, "LINEAR"))
        made.append(save_dicom(packed(film, kind), folder / f"{kind}.dcm"))
    return [path.read_bytes() for path in made]


def damaged(data: bytes, chance: random.Random) -> bytes:
    """Flip bits, write lies into lengths, cut, repeat and leave out pieces."""
    changed = bytearray(data)
    for _ in range(chance.choice((1, 1, 2, 4, 16))):
        if len(changed) < 200:
            break
        # Most of what decides is in the header and the stream's beginning.
        end = chance.choice((len(changed), len(changed), 1500, 400))
        place = chance.randrange(128, min(end, len(changed)))
        how = chance.randrange(6)
        if how < 2:
            changed[place] ^= 1 << chance.randrange(8)
        elif how == 2:
            lie = chance.choice((0, 1, 0xFF, 0x7FFF, 0xFFFF, 0xFFFFFFFF, 2**31))
            size = chance.choice((2, 4))
            changed[place : place + size] = (lie % 256**size).to_bytes(size, "little")
        elif how == 3:
            del changed[place : place + chance.randrange(1, 64)]
        elif how == 4:
            piece = changed[place : place + chance.randrange(1, 256)]
            changed[place:place] = piece * chance.choice((1, 1, 4))
        elif chance.random() < 0.3:
            del changed[place:]
    return bytes(changed)


def fuzz(folder: Path, seed: int, rounds: int | None, seconds: float) -> Counter[str]:
    """Read damaged films until either is used up; return how often what came of it."""
    sources = films(folder)
    chance = random.Random(seed)
    reader = film_facts.FactsReader(seconds=30)
    path = folder / "damaged.dcm"
    seen: Counter[str] = Counter()
    end = time.monotonic() + seconds
    try:
        for number in itertools.count() if rounds is None else range(rounds):
            if time.monotonic() > end:
                break
            path.write_bytes(damaged(chance.choice(sources), chance))
            began = time.monotonic()
            found = reader.facts(path)
            late = time.monotonic() - began > 10
            bad = isinstance(found, str) and "hostile" in found
            if bad or late:
                path.rename(folder / f"bad_{seed}_{number}.dcm")
            seen["hostile" if bad else "late" if late else type(found).__name__] += 1
            assert not isinstance(found, str) or "\n" not in found
        assert reader._process is not None
        rss = psutil.Process(reader._process.pid).memory_info().rss
        assert rss < MOST_BYTES, f"{rss / 2**20:.0f} MiB after {number} films"
    finally:
        reader.close()
    return seen


def test_damage_of_every_encoding_ends_in_a_film_or_a_reason(tmp_path: Path) -> None:
    seen = fuzz(tmp_path, seed=1, rounds=CI_ROUNDS, seconds=60)
    assert set(seen) == {"Facts", "str"}


@pytest.mark.slow
@pytest.mark.timeout(0)
def test_minutes_of_damage_end_in_a_film_or_a_reason(tmp_path: Path) -> None:
    seen = fuzz(tmp_path, seed=time.time_ns(), rounds=None, seconds=SECONDS)
    print(dict(seen))  # noqa: T201
    assert set(seen) == {"Facts", "str"}

"""What stage maps take on disk in each store, from the maps of real projects.

    python -m benchmarks.scale.disk PROJECT... [--films 2000] [--side 512]

reads the maps that projects have on disk, never changes them, and writes them once more
in a folder for the time being: as ``npz`` and as ``packed``. A film of many findings is
put together from the maps of as many films of one finding, with their probabilities,
and every map is brought to the grid that it would have at ``--side`` (bilinearly, seeds
by the nearest). Printed are KiB a film, GiB at 224,000 films, processor milliseconds to
write and to read a film, and the largest error of a score.
"""

from __future__ import annotations

import argparse
import itertools
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_wsseg.io import runs, stages
from napari_wsseg.schema import STAGES, StageMaps

FILMS = 224_000


def films(project: Path, stage: str, side: int) -> Iterator[StageMaps]:
    """Yield the maps that a project has of a stage, on the grid they have at `side`."""
    for place in sorted((project / "stages" / stage).glob("*")):
        settings = runs.find(project, place.name).config()["settings"]
        size = int(settings.get("size", 0))
        for case_id in sorted(stages.cases_with_maps(project, stage, place.name)):
            maps = stages.read(project, stage, place.name, case_id)
            if maps is not None and size:
                yield _enlarged(maps, side / size)


def _enlarged(maps: StageMaps, factor: float) -> StageMaps:
    extra = {
        name: _zoomed(array, factor, order=0 if array.dtype == np.uint8 else 1)
        for name, array in maps.extra.items()
    }
    return StageMaps(_zoomed(maps.score, factor).clip(0, 1), maps.present, extra)


def _zoomed(array: Any, factor: float, order: int = 1) -> NDArray[Any]:
    planes = array.astype(np.float32)
    large = ndimage.zoom(planes, (1, factor, factor), order=order)
    return np.asarray(large.astype(array.dtype))


def together(found: list[StageMaps]) -> StageMaps:
    """Return one film with the findings of several."""
    extra = {
        name: np.concatenate([one.extra[name] for one in found])
        if name == "seed"
        else found[0].extra[name]
        for name in found[0].extra
    }
    score = np.concatenate([one.score for one in found])
    return StageMaps(score, np.concatenate([one.present for one in found]), extra)


def weighed(stage: str, films: list[StageMaps], packed: bool) -> dict[str, float]:
    """Write and read films in one of the stores."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        (place / "wsseg.toml").touch()
        began = time.process_time()
        for number, maps in enumerate(films):
            stages.write(place, stage, "run", f"{number:016x}", maps, packed=packed)
        stages.pack(place, stage, "run")
        wrote = time.process_time() - began
        files = [path for path in place.rglob("*") if path.is_file()]
        size = sum(path.stat().st_size for path in files)
        began, error = time.process_time(), 0.0
        for number, maps in enumerate(films):
            read = stages.read(place, stage, "run", f"{number:016x}")
            if read is None:
                raise RuntimeError("a film that was just written is not there")
            kept = maps.present >= 0.01
            off = np.abs(read.score - maps.score)[kept].max(initial=0)
            error = max(error, float(off))
        took = time.process_time() - began
    count = len(films)
    return {
        "KiB": size / 1024 / count,
        "write": 1000 * wrote / count,
        "read": 1000 * took / count,
        "error": error,
        "files": len(files) / count,
    }


def main(arguments: list[str]) -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("projects", type=Path, nargs="+")
    parser.add_argument("--films", type=int, default=2000, help="at most, of a stage")
    parser.add_argument("--side", type=int, default=512)
    parser.add_argument("--findings", type=int, default=14)
    chosen = parser.parse_args(arguments)
    totals = {False: 0.0, True: 0.0}
    print(
        "stage         films     store   KiB/film  GiB/224k  write ms   read ms   error"
    )
    for stage in STAGES:
        every = itertools.chain.from_iterable(
            films(project, stage, chosen.side) for project in chosen.projects
        )
        single = list(itertools.islice(every, chosen.films))
        many = [
            together(
                [single[(n + 7 * k) % len(single)] for k in range(chosen.findings)]
            )
            for n in range(0, len(single), max(1, chosen.findings))
        ]
        for packed in (False, True):
            row = weighed(stage, many, packed)
            gib = row["KiB"] * FILMS / 2**20
            totals[packed] += gib
            name = "packed" if packed else "npz"
            print(
                f"{stage:13}{len(single):6}{name:>10}{row['KiB']:11.1f}{gib:10.1f}"
                f"{row['write']:10.1f}{row['read']:10.1f}{row['error']:8.4f}"
            )
    print(f"all stages: npz {totals[False]:.0f} GiB, packed {totals[True]:.0f} GiB")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

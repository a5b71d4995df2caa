"""Damaged and odd files of every import format: masks or a message, nothing else.

``WSSEG_FUZZ_SECONDS`` says how long the slow variant goes on (an hour unless said
otherwise); each failure names its seed, which ``WSSEG_FUZZ_SEED`` repeats.
"""

from __future__ import annotations

import gzip
import json
import os
import random
import re
import shutil
import sys
import tempfile
import time
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from helpers.dataset_trees import picture, text
from helpers.export_project import SHAPE, make_project
from helpers.fuzz_limits import most_memory
from napari_wsseg.datasets import datasets
from napari_wsseg.datasets.importing import chexpert_tables, labels_csv
from napari_wsseg.export import Found, formats, importers, nifti, writing
from napari_wsseg.io.films import archive
from napari_wsseg.io.guarded import reader as _reader
from napari_wsseg.jobs import DataError, finish
from napari_wsseg.ops import run_lengths

SMALL = (24, 20)
MOST_SECONDS = 15.0
MOST_BYTES = 2**30
CI_ROUNDS = 12

ODD: list[Any] = [
    *(None, True, False, 0, -1, 1, 2.5, 2**31, 2**63, -(2**70), 1e308, -0.0),
    *(float("inf"), float("nan"), "", " ", "x", "nodule", "../../x", "a" * 5000),
    *("\0", "\ud800", "1e999", "ü" * 300, "-1", "1,2;3", [], [1], [[]], {}, {"a": 1}),
    *([None], ["x"], [[1, 2], "3"], [[0.1] * 8], [[1e308] * 8], {"counts": "o" * 99}),
]
TEXTS = (".xml", ".txt", ".csv", ".yaml", ".json", ".nrrd", ".label")
NUMBERS = [b"", b"-1", b"1e999", b"nan", b"inf", b"x", b"\xff", b"99999999999", b"0.5"]
NUMBERS += [b"9" * 5000, b"b" * 5000, "１".encode()]


def sources(place: Path) -> dict[str, Path]:
    """Return a file or folder of every format."""
    made = {}
    with make_project(place, overlap=False) as project:
        for name in importers.names():
            if name in formats:
                made[name] = place / name
                writing.export(project, name, made[name])
    _label_map(made["nifti"] / "maps")
    table = place / "labels"
    table.mkdir()
    (table / "labels.csv").write_text("image,nodule,mass,split\na.png,1,0,val\n")
    packed = place / "zip"
    packed.mkdir()
    with zipfile.ZipFile(packed / "films.zip", "w", zipfile.ZIP_DEFLATED) as zipped:
        for number in range(20):
            zipped.writestr(f"films/{number}.txt", "film" * (number + 1))
    return {**made, "labels": table, "zip": packed, **_public_sets(place)}


def _label_map(place: Path) -> None:
    """Make a map of two labels, and ITK-SNAP's table of their names."""
    values = np.zeros(SHAPE, np.uint8)
    values[2:9, 3:9], values[12:15, 3:9] = 1, 2
    place.mkdir()
    (place / "a.nii.gz").write_bytes(nifti.encode(values, None))
    rows = ('1 255 0 0 1 1 1 "nodule"', '2 0 255 0 1 1 1 "mass"')
    text(place / "a.label", "# labels", *rows)


def _public_sets(place: Path) -> dict[str, Path]:
    """Return a tree of every public data set that has more than films."""
    siim, nih, voc = place / "siim", place / "nih14", place / "voc"
    mask = np.zeros(SMALL, np.uint8)
    mask[3:9, 4:12] = 1
    picture(siim / "a.png", 1)
    rle = run_lengths.siim_encode(mask > 0)
    text(siim / "train-rle.csv", "ImageId, EncodedPixels", f"a, {rle}", "b, -1")
    picture(nih / "a_000.png", 2)
    text(nih / "Data_Entry_2017.csv", "Image Index,Finding Labels", "a_000.png,Mass")
    text(nih / "test_list.txt", "a_000.png")
    text(nih / "train_val_list.txt", "b_000.png")
    boxes = "Image Index,Finding Label,Bbox [x,y,w,h],,,"
    text(nih / "BBox_List_2017.csv", boxes, "a_000.png,Mass,3.5,4.5,6.0,7.25,,,")
    picture(voc / "JPEGImages" / "c.jpg", 3, (*SMALL, 3))
    text(voc / "Annotations" / "c.xml", "<a><object><name>cat</name></object></a>")
    text(voc / "ImageSets" / "Segmentation" / "train.txt", "c")
    (voc / "SegmentationClass").mkdir()
    Image.fromarray(mask).save(voc / "SegmentationClass" / "c.png")
    chexpert = place / "chexpert"
    film = "train/patient1/study1/view1_frontal.jpg"
    picture(chexpert / film, 4)
    names = chexpert_tables.FINDINGS
    cells = ",".join("1.0" for _ in names)
    text(chexpert / "train.csv", f"Path,{','.join(names)}", f"x/{film},{cells}")
    return {"siim": siim, "nih14": nih, "voc": voc, "chexpert": chexpert}


def _labels(path: Path) -> None:
    labels_csv.read(path / "labels.csv")


def _zip(path: Path) -> None:
    for name in archive.listing(path / "films.zip").names:
        archive.read(path / "films.zip", name)


def _initialised(name: str, path: Path) -> None:
    boxes = path / "BBox_List_2017.csv"
    with tempfile.TemporaryDirectory() as place:
        masks = boxes if boxes.exists() else None
        finish(datasets[name](Path(place) / "project", images=path, masks=masks))


OTHERS: dict[str, Callable[[Path], None]] = {
    "labels": _labels,
    "zip": _zip,
    **{
        name: partial(_initialised, name)
        for name in ("siim", "nih14", "voc", "chexpert")
    },
}


def read(name: str, path: Path) -> str:
    """Read and draw whatever there is; return what came of it."""
    try:
        if name in OTHERS:
            OTHERS[name](path)
            return "read"
        found = list(islice(importers[name](path), 300))
    except DataError:
        return "refused"
    outcome = "read"
    for one in found:
        for shape in (SHAPE, None) if name != "yolo_seg" else (SHAPE,):
            try:
                if isinstance(one, Found):
                    mask = one.mask(shape)
                    assert mask.ndim == 2
                    assert mask.dtype == bool
                    assert shape is None or mask.shape == shape
            except DataError:
                outcome = "partly"
    return outcome


def _nodes(value: Any, place: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield place
    if isinstance(value, dict | list):
        keys = value if isinstance(value, dict) else range(min(len(value), 40))
        for key in keys:
            yield from _nodes(value[key], (*place, key))


def _odd_json(data: bytes, chance: random.Random) -> bytes:
    value = json.loads(data)
    place = chance.choice(list(_nodes(value)))
    if not place:
        return json.dumps(chance.choice(ODD)).encode()
    holder = value
    for step in place[:-1]:
        holder = holder[step]
    if chance.random() < 0.2:
        del holder[place[-1]]
    else:
        holder[place[-1]] = chance.choice(ODD)
    return json.dumps(value).encode()


def _odd_words(data: bytes, chance: random.Random) -> bytes:
    """Change one word or number of a text."""
    found = [*re.finditer(rb"[\w.\-]+", data)]
    if not found:
        return data
    one = chance.choice(found)
    return data[: one.start()] + chance.choice(NUMBERS) + data[one.end() :]


def _odd_bytes(data: bytes, chance: random.Random) -> bytes:
    changed = bytearray(data)
    for _ in range(chance.choice((1, 1, 2, 8))):
        where = chance.randrange(max(1, len(changed)))
        kind = chance.choice(("flip", "cut", "put", "number", "again"))
        if kind == "flip" and changed:
            changed[where] ^= 1 << chance.randrange(8)
        elif kind == "cut" and chance.random() < 0.3:
            del changed[where:]
        elif kind == "put":
            changed[where:where] = bytes(chance.randrange(1, 40))
        elif kind == "number":
            odd = chance.choice((0, 1, 2**15, 2**31 - 1, 2**32 - 1))
            changed[where : where + 4] = odd.to_bytes(
                4, chance.choice(("big", "little"))
            )
        elif kind == "again":
            changed[where:where] = changed[where : where + chance.randrange(1, 99)]
    return bytes(changed)


def _saved_otherwise(data: bytes, chance: random.Random) -> bytes:
    """Return a text as another program or system would have saved it."""
    text = data.decode("utf-8", "replace")
    others = [
        *(text.encode(coding) for coding in ("utf-16", "utf-16-le", "utf-8-sig")),
        text.replace(",", ";").encode(),
        text.replace(",", "\t").encode(),
        text.replace("\n", "\r").encode(),
        f"\n\r\n{text}".encode(),
        f"sep=,\n{text}".encode(),
        f'<?xml version="1.0" encoding="x-none"?>{text}'.encode(),
        gzip.compress(data),
    ]
    return chance.choice(others)


def mutate(folder: Path, chance: random.Random) -> str:
    """Change one file of a folder; return which."""
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    path = chance.choice(files)
    data = path.read_bytes()
    packed = path.suffix == ".gz"
    if packed:
        data = gzip.decompress(data)
    if path.suffix == ".json" and chance.random() < 0.7:
        data = _odd_json(data, chance)
    elif path.suffix in TEXTS:
        kinds = (_odd_words, _odd_bytes, _saved_otherwise)
        (how,) = chance.choices(kinds, (7, 3, 1))
        data = how(data, chance)
    else:
        data = _odd_bytes(data, chance)
    path.write_bytes(gzip.compress(data) if packed else data)
    return path.name


def one_round(made: dict[str, Path], place: Path, seed: int) -> tuple[str, str]:
    """Change a file of one format and read it; return the format and the outcome."""
    chance = random.Random(seed)
    name = chance.choice([*made])
    shutil.rmtree(place, ignore_errors=True)
    shutil.copytree(made[name], place)
    where = mutate(place, chance)
    began = time.process_time()
    try:
        outcome = read(name, place)
    except Exception as error:
        raise AssertionError(f"seed {seed}: {name}, {where}: {error!r}") from error
    assert time.process_time() - began < MOST_SECONDS, f"seed {seed}: {name}, {where}"
    return name, outcome


@pytest.fixture(autouse=True)
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no process stand between what a file raises and who sees it."""
    monkeypatch.setattr(_reader, "_started", lambda limits: None)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return sources(tmp_path_factory.mktemp("sources"))


def test_every_source_is_read_before_it_is_changed(made: dict[str, Path]) -> None:
    assert {name: read(name, path) for name, path in made.items()} == dict.fromkeys(
        made, "read"
    )


@pytest.mark.filterwarnings("ignore")
def test_no_change_of_a_file_raises(made: dict[str, Path], tmp_path: Path) -> None:
    for seed in range(CI_ROUNDS):
        one_round(made, tmp_path / "copy", seed)


@pytest.mark.slow
@pytest.mark.timeout(0)
@pytest.mark.filterwarnings("ignore")
def test_no_change_raises_for_an_hour(made: dict[str, Path], tmp_path: Path) -> None:
    seed = int(os.environ.get("WSSEG_FUZZ_SEED", time.time_ns() % 2**32))
    until = time.monotonic() + float(os.environ.get("WSSEG_FUZZ_SECONDS", "3600"))
    seen: Counter[tuple[str, str]] = Counter()
    bad: list[str] = []
    while time.monotonic() < until:
        try:
            seen[one_round(made, tmp_path / "copy", seed)] += 1
        except AssertionError as error:
            bad.append(str(error))
            sys.stdout.write(f"{error}\n")
            sys.stdout.flush()
        seed += 1
    held = most_memory()
    sys.stdout.write(
        f"{seen.total()} files, {held / 2**20:.0f} MiB: {sorted(seen.items())}\n"
    )
    assert held < MOST_BYTES
    assert bad == []

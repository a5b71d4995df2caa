"""NIH ChestX-ray14: PNG films, text-mined labels, a few boxes, an official test.

``Data_Entry_2017.csv`` names findings split by ``|``. The films are in ``images`` or
in ``images_001/images`` to ``images_012/images``. ``BBox_List_2017.csv`` calls
infiltration ``Infiltrate``, and its header breaks the box over four names.
"""

from __future__ import annotations

import math
from collections.abc import Generator, Mapping, Sequence
from functools import partial
from pathlib import Path, PurePosixPath

import numpy as np

from napari_wsseg.datasets import datasets
from napari_wsseg.datasets.importing import build as _build
from napari_wsseg.datasets.importing import film_files as _film_files
from napari_wsseg.datasets.importing import guarded as _guarded
from napari_wsseg.datasets.importing import splits as _splits
from napari_wsseg.datasets.importing import tables as _tables
from napari_wsseg.datasets.importing.report import ImportReport
from napari_wsseg.io.external import stated_size
from napari_wsseg.io.external.stated_size import StatedSizes
from napari_wsseg.jobs import DataError, Progress
from napari_wsseg.schema import Mask, Split

FINDINGS = (
    "Atelectasis",
    "Cardiomegaly",
    "Consolidation",
    "Edema",
    "Effusion",
    "Emphysema",
    "Fibrosis",
    "Hernia",
    "Infiltration",
    "Mass",
    "Nodule",
    "Pleural_Thickening",
    "Pneumonia",
    "Pneumothorax",
)
TABLES = ("Data_Entry_2017_v2020.csv", "Data_Entry_2017.csv")
TRAIN_VAL, TEST = "train_val_list.txt", "test_list.txt"
_IMAGE, _LABELS, _BOX_LABEL = "Image Index", "Finding Labels", "Finding Label"
_NONE = "No Finding"
_IN_BOXES = {"Infiltrate": "Infiltration"}
_VAL_SHARE = 0.125

_Box = tuple[float, float, float, float]


@datasets.register("nih14")
def steps(
    folder: Path,
    *,
    images: Path,
    labels: Path | None = None,
    masks: Path | None = None,
) -> Generator[Progress, None, ImportReport]:
    """Yield progress while a project is made of ChestX-ray14; return the report.

    With the official lists beside the table or the films, their test is test, and an
    eighth of the patients of ``train_val_list.txt`` is val. Without them 15 % of the
    patients are val and 15 % test.

    Parameters
    ----------
    folder, images
        Of the new project; and that of the films, at any depth.
    labels
        The table; default, one of `TABLES` in or beside `images`.
    masks
        ``BBox_List_2017.csv``, to have its boxes as expert masks; default, no masks.

    Raises
    ------
    DataError
        A table is missing or lacks a column, names an unknown finding, or no film can
        be read.
    """
    images = _film_files.folder(images)
    _build.check_free(Path(folder).absolute())
    table = _film_files.required(labels, TABLES, images, "the table with --labels")
    rows, lines = _read(table)
    boxes = _boxes(masks) if masks else {}
    sizes = _sizes(boxes)
    found = _film_files.paths(images, without=(folder,))
    films, left_out = _film_files.by_key(found, lambda path: PurePosixPath(path).name)
    missing, remarks = _film_files.missing(lines, films, table)
    unlisted = [name for name in films if name not in rows]
    if unlisted:
        remarks.append(f"{len(unlisted)} films have no row in {table.name}: left out")
    if masks:
        remarks.append("boxes became masks: a box holds more than the finding")
    taken = {name: path for name, path in films.items() if name in rows}
    splits = _split(taken, table, images)
    return (
        yield from _build.build(
            Path(folder),
            images=images,
            findings=FINDINGS,
            films=[
                _build.Film(
                    path,
                    rows[name],
                    splits[name],
                    _masks(boxes.get(name, {}), sizes),
                    taken=_taken(name),
                )
                for name, path in taken.items()
            ],
            rejected=[*missing, *left_out],
            warnings=[*remarks, *_film_files.empty_splits(splits.values())],
        )
    )


def _taken(name: str) -> tuple[str, str]:
    """Return patient and number of the follow-up: ``00000001_002.png``."""
    patient, _, follow_up = name.partition("_")
    return patient, follow_up


def _read(table: Path) -> tuple[dict[str, Mapping[str, int]], dict[str, int]]:
    rows: dict[str, Mapping[str, int]] = {}
    lines: dict[str, int] = {}
    mistakes = []
    for line in _guarded.table(table, (_IMAGE, _LABELS)):
        name = line.named[_IMAGE]
        present = {word.strip() for word in line.named[_LABELS].split("|")} - {_NONE}
        for strange in sorted(present.difference(FINDINGS)):
            mistakes.append(f"line {line.number}: {strange!r} is no finding of the set")
        if name in lines:
            mistakes.append(f"line {line.number}: {name!r} was in line {lines[name]}")
        lines.setdefault(name, line.number)
        rows[name] = {finding: int(finding in present) for finding in FINDINGS}
    _tables.refuse(table, mistakes)
    return rows, lines


def _boxes(table: Path) -> dict[str, dict[str, list[_Box]]]:
    """Return boxes (x, y, width, height) by film and finding; they follow the label."""
    boxes: dict[str, dict[str, list[_Box]]] = {}
    mistakes = []
    for line in _guarded.table(table, (_IMAGE, _BOX_LABEL)):
        label = line.named[_BOX_LABEL]
        finding = _IN_BOXES.get(label, label)
        try:
            x, y, width, height = (_finite(cell) for cell in line.cells[2:6])
        except ValueError:
            mistakes.append(f"line {line.number}: its box is not x, y, width, height")
            continue
        if finding not in FINDINGS:
            mistakes.append(f"line {line.number}: {label!r} is no finding of the set")
            continue
        own = boxes.setdefault(line.named[_IMAGE], {})
        own.setdefault(finding, []).append((x, y, width, height))
    _tables.refuse(table, mistakes)
    return boxes


def _finite(cell: str) -> float:
    number = float(cell)
    if not math.isfinite(number):
        raise ValueError(cell)
    return number


def _sizes(boxes: Mapping[str, Mapping[str, Sequence[_Box]]]) -> StatedSizes:
    every = [box for own in boxes.values() for some in own.values() for box in some]
    likely = [box for box in every if not _is_beyond(box, stated_size.STATED)]
    return StatedSizes(
        lambda shape: (_is_beyond(box, shape) for box in likely), copies=True
    )


def _is_beyond(box: _Box, shape: tuple[int, int]) -> bool:
    x, y, width, height = box
    return round(x + width) > shape[1] or round(y + height) > shape[0]


def _masks(
    boxes: Mapping[str, Sequence[_Box]], sizes: StatedSizes
) -> Mapping[str, _build.MaskSource]:
    drawn: dict[str, _build.MaskSource] = {}
    for finding, own in boxes.items():
        remarks: list[str] = []
        draw = partial(_filled, own, sizes, remarks)
        drawn[finding] = _build.NotedMask(draw, remarks)
    return drawn


def _filled(
    boxes: Sequence[_Box],
    sizes: StatedSizes,
    remarks: list[str],
    shape: tuple[int, int],
) -> Mask:
    size = sizes.size(shape)
    mask = np.zeros(size, bool)
    for box in boxes:
        x, y, width, height = box
        if min(x, y) < 0 or _is_beyond(box, size):
            raise DataError(
                f"its box ends at ({x + width:g}, {y + height:g}), the film is "
                f"{shape[1]} wide and {shape[0]} high; boxes are for 1024 × 1024"
            )
        inside = mask[round(y) : round(y + height), round(x) : round(x + width)]
        if not inside.size:
            raise DataError(f"its box is {width:g} wide and {height:g} high: no mask")
        inside[...] = True
    remarks += stated_size.remarks(shape, size)
    return stated_size.scaled(mask, shape)


def _split(films: Mapping[str, str], table: Path, images: Path) -> dict[str, Split]:
    """Return the split of each film by name."""
    patients = {name: name.partition("_")[0] for name in films}
    learning, testing = (_list(name, table, images) for name in (TRAIN_VAL, TEST))
    if learning is None or testing is None:
        test = _splits.held_out(patients.values(), 0.15)
        val = _splits.held_out(set(patients.values()) - test, 0.15 / 0.85)
        return {
            name: "test" if own in test else "val" if own in val else "train"
            for name, own in patients.items()
        }
    lost = [name for name in films if name not in learning | testing]
    both = sorted(learning & testing)
    if lost or both:
        name, where = (lost[0], "neither") if lost else (both[0], "both")
        raise DataError(
            f"{name} is in {where} of {TRAIN_VAL} and {TEST}; are the lists whole?"
        )
    val = _splits.held_out((patients[n] for n in films if n in learning), _VAL_SHARE)
    return {
        name: "test" if name in testing else "val" if patients[name] in val else "train"
        for name in films
    }


def _list(name: str, table: Path, images: Path) -> set[str] | None:
    path = _tables.first(table.parent, (name,)) or _tables.first(images, (name,))
    return set(_tables.names(path)) if path else None

"""SIIM-ACR pneumothorax: a tree of DICOM films and a csv of run lengths.

``train-rle.csv`` has the header ``ImageId, EncodedPixels`` with a blank before the
second name and before its values. A film with several pneumothoraces has several rows,
one without has the value ``-1``. ``dicom-images-test`` was the test of the first round.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from functools import partial
from pathlib import Path, PurePosixPath

import numpy as np

from napari_wsseg.datasets import datasets
from napari_wsseg.datasets.importing import build as _build
from napari_wsseg.datasets.importing import film_files as _film_files
from napari_wsseg.datasets.importing import guarded as _guarded
from napari_wsseg.datasets.importing import splits as _splits
from napari_wsseg.datasets.importing.report import ImportReport
from napari_wsseg.io.external import stated_size
from napari_wsseg.io.external.stated_size import StatedSizes
from napari_wsseg.jobs import Progress
from napari_wsseg.ops import run_lengths
from napari_wsseg.schema import Mask, Split

FINDING = "pneumothorax"
TABLES = ("stage_2_train.csv", "train-rle.csv")
_IMAGE, _RUNS = "ImageId", "EncodedPixels"
_VAL_SHARE = 0.15


@datasets.register("siim")
def steps(
    folder: Path,
    *,
    images: Path,
    labels: Path | None = None,
    masks: Path | None = None,
) -> Generator[Progress, None, ImportReport]:
    """Yield progress while a project is made of SIIM-ACR films; return the report.

    Masks of several rows are joined. A film without pneumothorax has an empty expert
    mask; one that no row lists is imported with an unknown label. What lies in a folder
    with ``test`` in its name is the test split, the rest is dealt out.

    Parameters
    ----------
    folder, images
        Of the new project; and that of the films, at any depth.
    labels, masks
        The csv file, either way; default, one of `TABLES` in or beside `images`.

    Raises
    ------
    DataError
        No csv file, a column is missing, or no film can be read.
    """
    images = _film_files.folder(images)
    _build.check_free(Path(folder).absolute())
    table = _film_files.required(labels or masks, TABLES, images, "it with --labels")
    runs, lines = _read(table)
    found = _film_files.paths(images, without=(folder,))
    films, left_out = _film_files.by_key(found, lambda path: PurePosixPath(path).stem)
    missing, remarks = _film_files.missing(lines, films, table)
    label_of = {path: _label(runs.get(name)) for name, path in films.items()}
    unlisted = sum(label is None for label in label_of.values())
    if unlisted:
        remarks.append(f"{unlisted} films have no row in {table.name}: unknown")
    splits = _split(label_of)
    sizes = _sizes(runs)
    return (
        yield from _build.build(
            Path(folder),
            images=images,
            findings=(FINDING,),
            films=[
                _build.Film(
                    path,
                    {FINDING: label_of[path]},
                    splits[path],
                    _masks(runs.get(name), sizes),
                )
                for name, path in films.items()
            ],
            rejected=[*missing, *left_out],
            warnings=remarks,
        )
    )


def _read(table: Path) -> tuple[dict[str, list[str]], dict[str, int]]:
    """Return each film's run lengths that are not empty, and its first line."""
    runs: dict[str, list[str]] = {}
    lines: dict[str, int] = {}
    for line in _guarded.table(table, (_IMAGE, _RUNS)):
        name, rle = line.named[_IMAGE], line.named[_RUNS]
        lines.setdefault(name, line.number)
        own = runs.setdefault(name, [])
        if rle not in ("", run_lengths.EMPTY):
            own.append(rle)
    return runs, lines


def _label(runs: Sequence[str] | None) -> int | None:
    return None if runs is None else int(bool(runs))


def _sizes(runs: Mapping[str, Sequence[str]]) -> StatedSizes:
    ends = run_lengths.siim_ends(run for own in runs.values() for run in own)
    return StatedSizes(
        lambda shape: (end > shape[0] * shape[1] for end in ends), copies=True
    )


def _masks(
    runs: Sequence[str] | None, sizes: StatedSizes
) -> Mapping[str, _build.MaskSource]:
    if runs is None:
        return {}
    if not runs:
        return {FINDING: None}
    remarks: list[str] = []
    draw = partial(_joined, tuple(runs), sizes, remarks)
    return {FINDING: _build.NotedMask(draw, remarks)}


def _joined(
    runs: Sequence[str], sizes: StatedSizes, remarks: list[str], shape: tuple[int, int]
) -> Mask:
    size = sizes.size(shape)
    mask = np.zeros(size, bool)
    for run in runs:
        mask |= run_lengths.siim_decode(run, size)
    remarks += stated_size.remarks(shape, size)
    return stated_size.scaled(mask, shape)


def _split(label_of: Mapping[str, int | None]) -> Mapping[str, Split]:
    """Keep the source's test; deal out the rest, films without a label to train."""
    labels = {path: {FINDING: label} for path, label in label_of.items()}
    known = {path: own for path, own in labels.items() if own[FINDING] is not None}
    official = {path for path in labels if _in_test(path)}
    splits: dict[str, Split] = dict.fromkeys(labels, "train")
    if not official & known.keys():
        return {**splits, **_splits.assign(known)}
    rest = known.keys() - official
    for label in (0, 1):
        group = [path for path in rest if label_of[path] == label]
        splits |= dict.fromkeys(_splits.held_out(group, _VAL_SHARE), "val")
    return {**splits, **dict.fromkeys(official & known.keys(), "test")}


def _in_test(path: str) -> bool:
    return any("test" in part.lower() for part in PurePosixPath(path).parts[:-1])

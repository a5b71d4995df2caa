"""CheXpert's tables: 1 present, 0 absent, -1 uncertain, blank not mentioned."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from napari_wsseg.datasets.importing import guarded as _guarded
from napari_wsseg.datasets.importing import labels_csv as _labels_csv
from napari_wsseg.datasets.importing import tables as _tables
from napari_wsseg.jobs import DataError
from napari_wsseg.schema import Split

FINDINGS = (
    "Enlarged Cardiomediastinum",
    "Cardiomegaly",
    "Lung Opacity",
    "Lung Lesion",
    "Edema",
    "Consolidation",
    "Pneumonia",
    "Atelectasis",
    "Pneumothorax",
    "Pleural Effusion",
    "Pleural Other",
    "Fracture",
    "Support Devices",
)
TABLES = ("train.csv", "valid.csv", "test.csv", "val_labels.csv", "test_labels.csv")
_PATH, _VIEW, _NONE, _DEVICES = (
    "Path",
    "Frontal/Lateral",
    "No Finding",
    "Support Devices",
)
_SPLITS: Mapping[str, Split] = {
    "train": "train",
    "valid": "val",
    "val": "val",
    "test": "test",
}


@dataclass(frozen=True, slots=True)
class ChexpertRow:
    """What a table says of a film.

    Parameters
    ----------
    line
        Line number, the header being 1.
    """

    table: Path
    line: int
    labels: Mapping[str, int | None]
    split: Split
    frontal: bool


def key(path: str) -> str:
    """Return what names a film in every edition: ``patient/study/view``.

    Tables say ``CheXpert-v1.0-small/train/patient00001/…``; the folders are called
    that, or ``CheXpert-v1.0``, or ``CheXpert-v1.0 batch 2 (train 1)`` without train.
    """
    return "/".join(PurePosixPath(path).with_suffix("").parts[-3:])


def tables(labels: Path | None, images: Path) -> list[Path]:
    """Return `labels`, or the known tables in it, in `images` or beside them.

    Raises
    ------
    DataError
        There is none.
    """
    if labels and not Path(labels).is_dir():
        return [Path(labels)]
    places = [Path(labels)] if labels else [images, images.parent]
    for place in places:
        inside = sorted(path for path in place.iterdir() if path.is_dir())
        found = [
            folder / name
            for folder in (place, *(inside if place != images.parent else ()))
            for name in TABLES
            if (folder / name).is_file()
        ]
        if found:
            return found
    raise DataError(
        f"{labels or images}: has no {', '.join(TABLES)}; name the table with --labels"
    )


def read(
    paths: Sequence[Path], findings: Sequence[str], *, blanks_absent: bool
) -> dict[str, ChexpertRow]:
    """Return the rows of all tables by film.

    Where a row says ``No Finding``, blanks are absent, save that of devices: that is
    what the labeller's column means.

    Parameters
    ----------
    paths, findings
        The tables, and the columns to read.
    blanks_absent
        All other blanks, too.

    Raises
    ------
    DataError
        A column is missing, a cell is off, or a film has two rows.
    """
    rows: dict[str, ChexpertRow] = {}
    for path in paths:
        mistakes = []
        for line in _guarded.table(path, (_PATH, *findings)):
            row = _row(path, line, findings, blanks_absent=blanks_absent)
            if isinstance(row, str):
                mistakes.append(row)
                continue
            name = key(line.named[_PATH])
            known = rows.setdefault(name, row)
            if known is not row and known.table == path:
                mistakes.append(f"line {line.number}: {name} was in line {known.line}")
            elif known is not row and known.labels != row.labels:
                mistakes.append(f"line {line.number}: {name} differs in {known.table}")
        _tables.refuse(path, mistakes)
    return rows


def _row(
    table: Path,
    line: _tables.TableLine,
    findings: Sequence[str],
    *,
    blanks_absent: bool,
) -> ChexpertRow | str:
    path = PurePosixPath(line.named[_PATH])
    split = next((_SPLITS[part] for part in path.parts if part in _SPLITS), None)
    if split is None:
        return f"line {line.number}: {path} is of none of train, valid and test"
    labels: dict[str, int | None] = {}
    for finding in findings:
        try:
            labels[finding] = _labels_csv.value(line.named[finding])
        except KeyError:
            return (
                f"line {line.number}, column {finding!r}: {line.named[finding]!r} is "
                "not 1, 0, -1 or blank"
            )
    normal = line.named.get(_NONE, "").removesuffix(".0") == "1"
    for finding in _blank(labels):
        if blanks_absent or (normal and finding != _DEVICES):
            labels[finding] = 0
    view = line.named.get(_VIEW) or path.stem
    return ChexpertRow(table, line.number, labels, split, "lateral" not in view.lower())


def _blank(labels: Mapping[str, int | None]) -> Iterator[str]:
    yield from [finding for finding, label in labels.items() if label is None]

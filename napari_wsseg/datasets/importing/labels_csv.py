"""``labels.csv``: one row an image, one column a finding, perhaps a split.

Instead of an image, the first column may name an element of DICOM headers: then a row
is for every film that has that value.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import cast

from napari_wsseg.io.external import tables
from napari_wsseg.io.external.spreadsheet import uncell
from napari_wsseg.jobs import DataError
from napari_wsseg.schema import LABEL_NAMES, SPLITS, Split

IMAGE, SPLIT = "image", "split"
HEADER_KEYS = ("AccessionNumber", "StudyInstanceUID", "SOPInstanceUID")

_VALUES: Mapping[str, int | None] = {"1": 1, "0": 0, "-1": -1, "": None}
_CUT = re.compile(r"[;|\t]")
"""What some spreadsheets put between cells."""

_SHOWN_CHARACTERS = 60

_SHOWN = 10
"""Mistakes that one message lists."""


@dataclass(frozen=True, slots=True)
class LabelRow:
    """Labels of one image, from one line of the file.

    Parameters
    ----------
    line
        Line number, the header being 1.
    split
        ``None`` where the file leaves it open.
    """

    line: int
    labels: Mapping[str, int | None]
    split: Split | None


@dataclass(frozen=True, slots=True)
class LabelTable:
    """A whole ``labels.csv``: findings in the header's order, rows by image path.

    Parameters
    ----------
    key
        What `rows` are by: ``"image"``, or one of `HEADER_KEYS`.
    """

    findings: tuple[str, ...]
    rows: Mapping[str, LabelRow]
    key: str = IMAGE


def read(path: Path) -> LabelTable:
    """Read a label table.

    Raises
    ------
    DataError
        The file cannot be read, its header is off, or a cell holds what it must not;
        names line, column, value and what is allowed.
    """
    lines = tables.rows(path)
    if not lines:
        raise DataError(f"{path}: empty; its header is image,<finding>…[,split]")
    header = [uncell(name.strip()) for name in lines[0][1]]
    findings = _findings(path, header)
    key = header[0]
    mistakes: list[str] = []
    rows: dict[str, LabelRow] = {}
    for line, cells in lines[1:]:
        if not any(cell.strip() for cell in cells):
            continue
        if len(cells) != len(header):
            mistakes.append(f"line {line} has {len(cells)} cells, not {len(header)}")
            continue
        named = dict(zip(header, (cell.strip() for cell in cells), strict=True))
        name = _image(named[IMAGE]) if key == IMAGE else uncell(named[key])
        mistakes += _mistakes(line, named, name, key, findings, rows)
        rows.setdefault(name, _row(line, named, findings))
    if mistakes:
        filled = [row for _, row in lines[1:]]
        raise DataError(
            _report(path, mistakes) + _no_findings(header, findings, filled)
        )
    if not rows:
        raise DataError(f"{path}: has no rows below its header")
    return LabelTable(findings, rows, key)


@dataclass(frozen=True, slots=True)
class Column:
    """How one column is understood.

    Parameters
    ----------
    role
        ``"image"``, ``"split"`` or ``"finding"``.
    values
        What its cells hold and how often: labels or splits by their words, films as
        such, and what cannot be understood as it is written.
    odd
        The cells of `values` that the import refuses.
    """

    name: str
    role: str
    values: Mapping[str, int]
    odd: tuple[str, ...] = ()


def columns(path: Path) -> list[Column]:
    """Return how the columns of a table are understood, also of one that is refused.

    Raises
    ------
    DataError
        The file cannot be read, or is empty.
    """
    lines = tables.rows(path)
    if not lines:
        raise DataError(f"{path}: empty; its header is image,<finding>…[,split]")
    header = [uncell(name.strip()) for name in lines[0][1]]
    rows = [cells for _, cells in lines[1:] if any(cell.strip() for cell in cells)]
    return [
        _column(name, place, [row[place].strip() for row in rows if place < len(row)])
        for place, name in enumerate(header)
    ]


def _column(name: str, place: int, cells: list[str]) -> Column:
    if place == 0:
        return Column(name, IMAGE, {"films": sum(map(bool, cells))})
    if name == SPLIT:
        known = {split: split for split in SPLITS} | {"": "left open"}
        counts = Counter(known.get(cell.lower(), cell) for cell in cells)
        odd = {cell for cell in cells if cell.lower() not in known}
        return Column(name, SPLIT, dict(counts), tuple(sorted(odd)))
    odd = {cell for cell in cells if _without_point_zero(cell) not in _VALUES}
    counts = Counter(
        cell if cell in odd else LABEL_NAMES[_VALUES[_without_point_zero(cell)]]
        for cell in cells
    )
    return Column(name, "finding", dict(counts), tuple(sorted(odd)))


def value(cell: str) -> int | None:
    """Return the label that a cell holds.

    Raises
    ------
    KeyError
        It holds something else.
    """
    return _VALUES[_without_point_zero(cell)]


def _findings(path: Path, header: list[str]) -> tuple[str, ...]:
    if header[0] != IMAGE and header[0] not in HEADER_KEYS:
        first = header[0][:_SHOWN_CHARACTERS]
        raise DataError(
            f"{path}: the first column is {first!r}, not {IMAGE!r}{_advice(first)}; "
            "the header is image,<finding>…[,split]; for DICOM films, the first column "
            f"may also be {', '.join(HEADER_KEYS[:-1])} or {HEADER_KEYS[-1]}"
        )
    twice = sorted(name for name, count in Counter(header).items() if count > 1)
    if twice:
        raise DataError(f"{path}: column {twice[0]!r} is there twice; remove one")
    if "" in header:
        place = header.index("") + 1
        raise DataError(f"{path}: column {place} has no name; name or remove it")
    return tuple(name for name in header[1:] if name != SPLIT)


def _no_findings(
    header: list[str], findings: tuple[str, ...], rows: list[list[str]]
) -> str:
    """Return what to do about columns without a single label, such as an age."""
    found = []
    for finding in findings:
        place = header.index(finding)
        cells = {row[place].strip() for row in rows if place < len(row)} - {""}
        if cells and not any(_without_point_zero(cell) in _VALUES for cell in cells):
            found.append(repr(finding))
    if not found:
        return ""
    return (
        f"\n  no label at all is in {', '.join(found)}: take out of the table what is "
        "no finding"
    )


def _advice(first: str) -> str:
    if first.lower().startswith("sep="):
        return "; remove this line, and save it with commas between cells"
    return "; save it with commas between cells" * bool(_CUT.search(first))


def _mistakes(
    line: int,
    named: Mapping[str, str],
    name: str,
    key: str,
    findings: tuple[str, ...],
    rows: Mapping[str, LabelRow],
) -> Iterator[str]:
    if key != IMAGE and not name:
        yield f"line {line}, column {key!r}: is blank"
    elif key == IMAGE and not _is_inside(name):
        yield (
            f"line {line}, column {IMAGE!r}: {named[IMAGE]!r} is not a path inside "
            "the image folder"
        )
    if name in rows:
        yield f"line {line}: {name!r} was in line {rows[name].line} already"
    for finding in findings:
        if _without_point_zero(named[finding]) not in _VALUES:
            yield (
                f"line {line}, column {finding!r}: {named[finding]!r} is not 1 "
                "(present), 0 (absent), -1 (uncertain) or blank (unknown)"
            )
    split = named.get(SPLIT, "")
    if split and split.lower() not in SPLITS:
        yield (
            f"line {line}, column {SPLIT!r}: {split!r} is not train, val, test or blank"
        )


def _is_inside(image: str) -> bool:
    parts = PurePosixPath(image).parts
    return bool(image) and not image.startswith("/") and ".." not in parts


def _row(line: int, named: Mapping[str, str], findings: tuple[str, ...]) -> LabelRow:
    split = named.get(SPLIT, "").lower()
    return LabelRow(
        line,
        {
            finding: _VALUES.get(_without_point_zero(named[finding]))
            for finding in findings
        },
        cast("Split", split) if split in SPLITS else None,
    )


def _image(cell: str) -> str:
    plain = uncell(cell).replace("\\", "/")
    return PurePosixPath(plain).as_posix() if cell else ""


def _without_point_zero(cell: str) -> str:
    """Take spreadsheets' ``1.0`` for the ``1`` that it is."""
    return cell.removesuffix(".0")


def _report(path: Path, mistakes: list[str]) -> str:
    shown = mistakes[:_SHOWN]
    if len(mistakes) > len(shown):
        shown.append(f"and {len(mistakes) - len(shown)} more")
    if len(shown) == 1:
        return f"{path}: {shown[0]}"
    return "\n  ".join([f"{path}: {len(mistakes)} mistakes; nothing was made", *shown])

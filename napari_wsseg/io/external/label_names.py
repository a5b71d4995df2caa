"""Which finding a number of a label map is, by the table that lies beside the map.

ITK-SNAP writes label descriptions, 3D Slicer colour tables, BIDS ``dseg.tsv``, and
this program ``findings.csv``; a table has the name of its map, or is its folder's.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from napari_wsseg.io.external import spreadsheet, tables
from napari_wsseg.jobs import DataError

_ENDINGS = (".label", ".txt", ".ctbl", ".tsv", ".csv")
_MARKS = {".tsv": "\t", ".csv": ","}
"""What stands between the columns of the endings that have columns."""
_SHARED = ("findings.csv", "dseg.tsv", *(f"labels{ending}" for ending in _ENDINGS[:4]))

#: Number, red, green, blue, opacity, two switches, name.
_ITK_SNAP = re.compile(r'\s*(\d{1,9})(?:\s+\d+){3}\s+[\d.]+(?:\s+\d+){2}\s+"(.*)"\s*')
#: Number, name, red, green, blue, opacity.
_SLICER = re.compile(r"\s*(\d{1,9})\s+(\S+)(?:\s+\d+){4}\s*")
_NUMBER = re.compile(r"\d{1,9}")
_NO_NAME = re.compile(r"clear label|background|(label[ _]?)?\d+|\s*", re.IGNORECASE)


def beside(path: Path, stem: str) -> tuple[Mapping[int, str], str]:
    """Return names by number, and what their table is called; none if there is none.

    Parameters
    ----------
    path
        The label map.
    stem
        Its name without the ending.

    Raises
    ------
    DataError
        A table says two things of one number.
    """
    own = (f"{stem}{ending}" for ending in _ENDINGS)
    for name in (*own, *_SHARED):
        table = path.parent / name
        if table.is_file() and (found := _read(table)):
            return found, name
    return {}, ""


def is_table(name: str) -> bool:
    """Whether a file may be such a table, by its ending."""
    return name.lower().endswith(_ENDINGS)


def _read(table: Path) -> Mapping[int, str]:
    try:
        with tables.opened(table) as file:
            mark = _MARKS.get(table.suffix.lower())
            if mark is None:
                pairs = [*_of_lines(tables.lines(table, file))]
            else:
                pairs = [*_of_columns(tables.named(table, file, mark))]
    except (OSError, UnicodeDecodeError, csv.Error):
        return {}  # another kind of file that has the name by chance
    found = {
        int(number): name
        for number, name in pairs
        if int(number) and not _NO_NAME.fullmatch(name)
    }
    for number, name in pairs:
        if found.get(int(number), name) != name:
            raise DataError(f"{table}: label {number} has two names")
    return found


def _of_lines(lines: Iterator[str]) -> Iterator[tuple[str, str]]:
    for line in lines:
        if match := _ITK_SNAP.fullmatch(line) or _SLICER.fullmatch(line):
            yield match[1], match[2]


def _of_columns(rows: Iterable[Mapping[str, str]]) -> Iterator[tuple[str, str]]:
    for row in rows:
        number, name = row.get("index"), row.get("finding") or row.get("name")
        if number and name and _NUMBER.fullmatch(number):
            yield number, spreadsheet.uncell(name)

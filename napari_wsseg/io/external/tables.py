"""csv files of others, read no further than a table of films can be large."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from itertools import dropwhile
from pathlib import Path
from typing import TextIO

from napari_wsseg.io.films import limits as _limits
from napari_wsseg.jobs import DataError

MAX_BYTES = 2**27
"""The labels of half a million films are a quarter of it."""

MAX_LINE = 2**20
"""Characters; the longest run lengths of a film's mask are a tenth of it."""

MAX_COLUMNS = 4096
_OTHERS = (
    (b"PK\x03\x04", "a workbook or another archive"),
    (b"\xd0\xcf\x11\xe0", "a workbook"),
    (b"\x1f\x8b", "packed by gzip"),
    (b"\xff\xfe", "text in UTF-16"),
    (b"\xfe\xff", "text in UTF-16"),
)
"""How files begin that programs write where csv was meant."""

MAX_CELLS = 10_000_000


def rows(path: Path) -> list[tuple[int, list[str]]]:
    """Return what `each` yields."""
    return list(each(path))


def each(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Yield the line number and the cells of every row of a UTF-8 csv file.

    Blank lines are none.

    Raises
    ------
    DataError
        It cannot be read, is no csv, or is larger than a table of films is.
    """
    try:
        with opened(path) as file:
            yield from _rows(path, file)
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path}: {not_csv(path, error)}") from error


def opened(path: Path) -> TextIO:
    """Open a csv file whose size is a table's; raises as `rows`, or as `open`."""
    _limits.check_plain(path)
    size = path.stat().st_size
    if size > MAX_BYTES:
        raise DataError(
            f"{path}: {size >> 20} MiB, over the {MAX_BYTES >> 20} MiB of a table"
        )
    return open(path, newline="", encoding="utf-8-sig")


def not_csv(path: Path, error: Exception) -> str:
    """Return what a file is that was taken for csv, and what to do about it."""
    with open(path, "rb") as file:
        start = file.read(4)
    kind = next((kind for begin, kind in _OTHERS if start.startswith(begin)), None)
    found = f"{kind}, not csv" if kind else f"not a UTF-8 csv file ({error})"
    return f"{found}; save it as CSV UTF-8"


def lines(path: Path, file: TextIO) -> Iterator[str]:
    """Yield a file's lines; `DataError` at one that is too long."""
    while line := file.readline(MAX_LINE + 1):
        if len(line) > MAX_LINE:
            raise DataError(f"{path}: a line of over {MAX_LINE:,} characters")
        yield line


def named(path: Path, file: TextIO, mark: str = ",") -> csv.DictReader[str]:
    """Return a table's rows by the names of its columns.

    Blank lines and lines of empty cells before the header are none.

    Parameters
    ----------
    path, file
        Of the table, and opened by `opened`.
    mark
        What stands between cells.

    Raises
    ------
    DataError
        A line is too long.
    """
    blank = f'{mark} \t\r\n"'
    told = dropwhile(lambda line: not line.strip(blank), lines(path, file))
    return csv.DictReader(told, delimiter=mark, skipinitialspace=True)


def _rows(path: Path, file: TextIO) -> Iterator[tuple[int, list[str]]]:
    reader = csv.reader(lines(path, file))
    cells = 0
    for row in reader:
        cells += len(row)
        if len(row) > MAX_COLUMNS:
            raise DataError(
                f"{path}: line {reader.line_num} has {len(row):,} columns, over the "
                f"{MAX_COLUMNS:,} of a table of findings"
            )
        if cells > MAX_CELLS:
            raise DataError(f"{path}: over {MAX_CELLS:,} cells; cut it into parts")
        if row:
            yield reader.line_num, row

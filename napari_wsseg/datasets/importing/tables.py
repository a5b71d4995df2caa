"""Tables as data sets publish them: csv files and lists of names."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from napari_wsseg.io.external import tables
from napari_wsseg.jobs import DataError

_SHOWN = 10


@dataclass(frozen=True, slots=True)
class TableLine:
    """One line of a csv file.

    Parameters
    ----------
    number
        Line number, the header being 1.
    cells
        Stripped cells in order.
    named
        The same by the header's stripped names; a name that is there twice is the
        first.
    """

    number: int
    cells: tuple[str, ...]
    named: dict[str, str]


def read(path: Path, columns: Iterable[str]) -> list[TableLine]:
    """Read a csv file whose header has at least `columns`, in any order.

    Blanks around names and cells are dropped, lines without any cell as well; cells
    that a short line lacks are empty.

    Raises
    ------
    DataError
        The file cannot be read, or a column is missing; all missing ones are named.
    """
    lines = [
        (number, tuple(cell.strip() for cell in row))
        for number, row in tables.rows(path)
    ]
    header = lines[0][1] if lines else ()
    missing = [column for column in columns if column not in header]
    if missing:
        raise DataError(
            f"{path}: no column {', '.join(map(repr, missing))}; its header is "
            f"{','.join(header)[:200] or 'empty'}"
        )
    return [
        TableLine(number, cells, _named(header, cells))
        for number, cells in lines[1:]
        if any(cells)
    ]


def _named(header: Sequence[str], cells: Sequence[str]) -> dict[str, str]:
    padded = [*cells, *[""] * (len(header) - len(cells))]
    return dict(reversed([*zip(header, padded, strict=False)]))


def names(path: Path) -> dict[str, int]:
    """Read a list with one name a line; return the first line of each.

    Blank lines are dropped.

    Raises
    ------
    DataError
        The file cannot be read.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not a UTF-8 list ({error})") from error
    found: dict[str, int] = {}
    for number, line in enumerate(lines, start=1):
        if line.strip():
            found.setdefault(line.strip(), number)
    return found


def first(folder: Path, known: Sequence[str]) -> Path | None:
    """Return the first of the known files that is in `folder` or beside it."""
    places = [place / name for place in (folder, folder.parent) for name in known]
    return next((place for place in places if place.is_file()), None)


def refuse(path: Path, mistakes: Sequence[str]) -> None:
    """Tell all mistakes of a file in one message.

    Raises
    ------
    DataError
        There is a mistake.
    """
    if not mistakes:
        return
    if len(mistakes) == 1:
        raise DataError(f"{path}: {mistakes[0]}")
    shown = [*mistakes[:_SHOWN]]
    if len(mistakes) > len(shown):
        shown.append(f"and {len(mistakes) - len(shown)} more")
    raise DataError(
        "\n  ".join([f"{path}: {len(mistakes)} mistakes; nothing was made", *shown])
    )

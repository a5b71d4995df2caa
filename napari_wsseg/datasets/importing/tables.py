"""Tables as data sets publish them: csv files and lists of names."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
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

    @classmethod
    def under(
        cls, header: Sequence[str], number: int, cells: tuple[str, ...]
    ) -> TableLine:
        """Return a line under a header.

        Parameters
        ----------
        header
            Stripped names of the columns.
        number
            Of the line, the header being 1.
        cells
            Stripped; those that it lacks are empty.
        """
        padded = [*cells, *[""] * (len(header) - len(cells))]
        named = dict(reversed([*zip(header, padded, strict=False)]))
        return cls(number, cells, named)


def lines(path: Path, columns: Iterable[str]) -> Iterator[tuple[int, tuple[str, ...]]]:
    """Yield the header of a csv file with at least `columns`, and its lines.

    Each with its number. Blanks around names and cells are dropped, lines without any
    cell as well. `guarded.table` has a process of its own read them.

    Raises
    ------
    DataError
        The file cannot be read, or a column is missing; all missing ones are named.
    """
    every = (
        (number, tuple(cell.strip() for cell in row))
        for number, row in tables.each(path)
    )
    first_number, header = next(every, (1, ()))
    missing = [column for column in columns if column not in header]
    if missing:
        raise DataError(
            f"{path}: no column {', '.join(map(repr, missing))}; its header is "
            f"{','.join(header)[:200] or 'empty'}"
        )
    yield first_number, header
    yield from ((number, cells) for number, cells in every if any(cells))


def names(path: Path) -> dict[str, int]:
    """Read a list with one name a line; return the first line of each.

    Blank lines are dropped.

    Raises
    ------
    DataError
        The file cannot be read, or is larger than a list of films is.
    """
    found: dict[str, int] = {}
    try:
        with tables.opened(path) as file:
            for number, line in enumerate(tables.lines(path, file), start=1):
                if line.strip():
                    found.setdefault(line.strip(), number)
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: {tables.not_csv(path, error)}") from error
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

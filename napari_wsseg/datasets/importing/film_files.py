"""Which files are films, and which of those that a table lists are not there."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path, PurePosixPath

from napari_wsseg.datasets.importing import tables as _tables
from napari_wsseg.datasets.importing.report import Rejected
from napari_wsseg.io import folder_files as _folder_files
from napari_wsseg.jobs import DataError
from napari_wsseg.schema import SPLITS, Split

ENDINGS = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".dcm", ".dicom")

_NAMED = 20
"""Missing films that are told one by one; parts of a large set lack thousands."""


def folder(place: Path, what: str = "image folder") -> Path:
    """Return an existing folder, absolute.

    Raises
    ------
    DataError
    """
    place = Path(place).absolute()
    if not place.is_dir():
        raise DataError(f"{place}: no such {what}")
    return place


def required(place: Path | None, known: Sequence[str], images: Path, what: str) -> Path:
    """Return `place`, or the first file with a known name in or beside `images`.

    Parameters
    ----------
    place
        A file that somebody named; ``None`` if nobody has.
    known
        Names that the file goes by, the likeliest first.
    images
        Folder of the films.
    what
        What the message asks for, e.g. ``"the table with --labels"``.

    Returns
    -------
    Path
        Absolute.

    Raises
    ------
    DataError
        There is none; says what to name.
    """
    found = Path(place).absolute() if place else _tables.first(images, known)
    if found is None:
        raise DataError(
            f"{images}: neither in it nor beside it is a {' or '.join(known)}; name "
            f"{what}"
        )
    if not found.exists():
        raise DataError(f"{found}: no such file; name {what}")
    return found


def paths(images: Path, *, without: Collection[Path | None] = ()) -> list[str]:
    """Return the relative paths of all files that may be films, sorted."""
    left_out = {Path(path).absolute() for path in without if path}
    return [
        path
        for path in _folder_files.files(images, without=left_out)
        if PurePosixPath(path).suffix.lower() in ENDINGS
    ]


def by_key(
    found: Iterable[str], key: Callable[[str], str]
) -> tuple[dict[str, str], list[Rejected]]:
    """Return the film of each key, and those whose key is taken.

    Parameters
    ----------
    key
        What a table calls the film of a path.
    """
    films: dict[str, str] = {}
    left_out = []
    for path in found:
        other = films.setdefault(key(path), path)
        if other != path:
            reason = f"the table's {key(path)!r} is {other} already"
            left_out.append(Rejected(path, reason))
    return films, left_out


def missing(
    listed: Mapping[str, int],
    found: Collection[str],
    table: Path,
    *,
    one_of_several: bool = False,
) -> tuple[list[Rejected], list[str]]:
    """Return what a table lists and is not there, and a remark where that is a lot.

    Parameters
    ----------
    listed
        Line of the table by film.
    found, table
        Films that are there, as the table calls them; and the table, for messages.
    one_of_several
        Other tables may have the films.

    Raises
    ------
    DataError
        Nothing that the table lists is there.
    """
    gone = [(name, line) for name, line in listed.items() if name not in found]
    if gone and len(gone) == len(listed) and not one_of_several:
        raise DataError(
            f"{table}: names no film that is there, {gone[0][0]} in line {gone[0][1]} "
            "and others; is it the table of these films?"
        )
    if len(gone) > _NAMED:
        warning = (
            f"{len(gone)} of the {len(listed)} films that {table.name} lists are not "
            f"there, {gone[0][0]} and others; was the whole set meant?"
        )
        return [], [warning]
    return [
        Rejected(name, f"no such film; line {line} of {table} lists it")
        for name, line in gone
    ], []


def empty_splits(splits: Iterable[Split]) -> list[str]:
    """Say which splits the source leaves without a film."""
    present = set(splits)
    gaps = [split for split in SPLITS if split not in present]
    return [f"no film is in {' or '.join(gaps)}, as in the source"] if gaps else []

"""Many files of one import: one that is off costs that one alone."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from napari_wsseg.export.exporting.items import Found, Note
from napari_wsseg.jobs import DataError


def each(
    path: Path,
    files: Iterable[Path],
    read: Callable[[Path], Iterable[Found | Note]],
) -> Iterator[Found | Note]:
    """Yield what is read of files; of a folder, a file that is off is a `Note`.

    Parameters
    ----------
    path
        What the person named: one of the files, or the folder that has them.
    files, read
        What there is to read, and what reads one of them.

    Raises
    ------
    DataError
        The one file that was named is off.
    """
    for file in files:
        try:
            yield from read(file)
        except DataError as error:
            if file == path:
                raise
            yield Note("skipped", str(error))

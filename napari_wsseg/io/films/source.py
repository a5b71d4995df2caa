"""Where a film's bytes lie: in a file, or in a file inside a zip archive."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

from napari_wsseg.io.films import archive as _archive
from napari_wsseg.io.films import limits as _limits
from napari_wsseg.jobs import DataError


@contextmanager
def opened(path: Path) -> Iterator[BinaryIO]:
    """Open a film's file to read, at its start.

    Parameters
    ----------
    path
        May lead through an archive: ``studies.zip/a/film.dcm``.

    Raises
    ------
    DataError
        Missing, not a file, empty, too large, or refused by the archive's guard.
    """
    inside = _archive.split_archive_path(path)
    if inside is not None:
        with BytesIO(_archive.read(*inside)) as memory:
            yield memory
        return
    _limits.check_file(path)
    try:
        file = open(path, "rb")
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from error
    with file:
        yield file

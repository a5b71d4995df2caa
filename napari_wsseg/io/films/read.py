"""What a reader of films returns, and the one place that says which film is off."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO, NamedTuple

from napari_wsseg.io.films import source
from napari_wsseg.jobs import naming
from napari_wsseg.schema import Radiograph


class Read(NamedTuple):
    """A film and what a person should know about how it was read."""

    radiograph: Radiograph
    remarks: tuple[str, ...] = ()


def read_film(path: Path, read: Callable[[BinaryIO], Read]) -> Read:
    """Open a film and read it; its path goes into the radiograph and into messages.

    Parameters
    ----------
    path
        May lead through a zip archive.
    read
        Reads a file that is open at its start; its errors name no file.

    Raises
    ------
    DataError
        It cannot be opened, or `read` raises it; begins with the path.
    """
    with source.opened(path) as file, naming(path):
        film, remarks = read(file)
    return Read(replace(film, path=path), remarks)

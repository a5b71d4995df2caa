"""Whether a project's folder is still where it was opened.

A folder that was renamed, or whose disk was taken out, leaves its name to nothing or to
another folder: what is written under that name would not be in the project.
"""

from __future__ import annotations

import os
from pathlib import Path

from napari_wsseg.io import project_files
from napari_wsseg.jobs import DataError


class Presence:
    """A project folder as it was when it was opened.

    Parameters
    ----------
    folder
        Made absolute, for a process may change its working folder.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder.absolute()
        self._handle = _open(self.folder)
        self._identity = _identity(self.folder)

    def check(self) -> None:
        """Refuse to write where the folder is not there any more.

        Raises
        ------
        DataError
            It says where the folder is now, if the system knows.
        """
        if self._identity is None or _identity(self.folder) == self._identity:
            return
        now = _whereabouts(self._handle)
        there = f"it is {now} now; " if now else ""
        raise DataError(
            f"{self.folder}: the project's folder is not there any more (renamed, "
            f"moved, or its disk was taken out); {there}put it back to go on, nothing "
            "is written until then"
        )

    def close(self) -> None:
        """Let go of the folder; a second call does nothing."""
        handle, self._handle = self._handle, None
        if handle is not None:
            os.close(handle)


def check_is_project(folder: Path) -> None:
    """Refuse to write into a project's folder that is not there any more.

    For programs that run for hours beside the one that has the project open.

    Raises
    ------
    DataError
    """
    if not folder.is_dir():
        raise DataError(
            f"{folder}: is not there any more (renamed, moved, or its disk was taken "
            "out); put it back, then go on"
        )


def _identity(folder: Path) -> tuple[int, int] | None:
    try:
        found = folder.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _open(folder: Path) -> int | None:
    """Hold the folder, so that its number is not given to another one."""
    try:
        return os.open(project_files.checked(folder), os.O_RDONLY | os.O_DIRECTORY)
    except (AttributeError, OSError):  # Windows, where no open folder can be renamed
        return None


def _whereabouts(handle: int | None) -> str:
    try:
        return os.readlink(f"/proc/self/fd/{handle}") if handle is not None else ""
    except OSError:
        return ""

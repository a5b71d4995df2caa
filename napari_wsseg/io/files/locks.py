"""Locks of the operating system on open files: they end with their process."""

from __future__ import annotations

import errno
import sys
from pathlib import Path
from typing import IO

from napari_wsseg.io import project_files

#: What a file system answers that has no such locks.
_NONE = (errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOLCK, errno.EINVAL)


def hold(file: IO[bytes]) -> None:
    """Mark an open file as being written, where the file system can."""
    _try(file)


def is_held(path: Path) -> bool | None:
    """Whether somebody is writing a file; ``None`` where nobody can tell."""
    # A file that is open cannot be deleted there anyway.
    if sys.platform == "win32":  # pragma: no cover - Windows
        return None
    with project_files.opened(path) as file:
        return _try(file)


def are_there(path: Path) -> bool:
    """Whether the file system of `path`, a file that may be made, has such locks."""
    if sys.platform == "win32":  # pragma: no cover - Windows
        return True
    with project_files.opened(path, "ab") as file:
        return _try(file) is not None


def _try(file: IO[bytes]) -> bool | None:
    """Lock a file until it is closed; return whether somebody else had it."""
    if sys.platform == "win32":  # pragma: no cover - Windows
        return None
    import fcntl

    try:
        fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError as error:
        if error.errno not in _NONE:
            raise
        return None
    return False

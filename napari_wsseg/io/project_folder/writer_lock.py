"""One writer per project: a lock of the operating system and the holder's name.

The lock itself is the operating system's, so it ends with its process even after
kill -9. Who holds it is told by a file beside it, because the locked file cannot be
read everywhere.
"""

from __future__ import annotations

import json
import os
import socket
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from filelock import FileLock, Timeout

from napari_wsseg.io import project_files
from napari_wsseg.jobs import DataError

LOCK = ".lock"
HOLDER = ".lock.json"


class ProjectLocked(DataError):
    """Somebody else writes to the project; it can still be opened to read."""


class WriterLock:
    """The right to write to one project folder.

    Raises
    ------
    ProjectLocked
        Another process, or another opening in this one, holds it.
    """

    def __init__(self, folder: Path) -> None:
        self._holder = folder / HOLDER
        self._lock = FileLock(project_files.checked(folder / LOCK))
        try:
            self._lock.acquire(timeout=0)
        except Timeout as error:
            raise ProjectLocked(
                f"{folder}: already open for writing by {_words(self._holder)}; "
                "close it there first, or open the project read-only"
            ) from error
        except OSError as error:
            raise DataError(
                f"{folder}: cannot be opened for writing ({error.strerror}); "
                "check the folder's permissions, or open the project read-only"
            ) from error
        self._sign()

    def release(self) -> None:
        """Give the right back; a second call does nothing."""
        if self._lock.is_locked:
            project_files.remove(self._holder)
            self._lock.release()

    def _sign(self) -> None:
        since = datetime.now(UTC).isoformat(timespec="seconds")
        holder = {"pid": os.getpid(), "host": socket.gethostname(), "since": since}
        # The name only serves a message: a full disk must not prevent opening.
        with suppress(OSError):
            with project_files.opened(self._holder, "wb") as file:
                file.write(json.dumps(holder).encode())


def _words(holder: Path) -> str:
    try:
        told = json.loads(project_files.read_bytes(holder, 2**16))
        return f"process {told['pid']} on {told['host']} since {told['since']}"
    except (OSError, DataError, ValueError, KeyError, TypeError):
        return "another process"

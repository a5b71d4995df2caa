"""One writer per project: a lock of the operating system and the holder's name.

The lock itself is the operating system's, so it ends with its process even after
kill -9. Who holds it is told by a file beside it, because the locked file cannot be
read everywhere. On a file system without such locks the file beside it is the lock; one
that a killed process of this computer left is taken over.
"""

from __future__ import annotations

import json
import socket
import time
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from filelock import FileLock, Timeout

from napari_wsseg.io import processes, project_files
from napari_wsseg.io.files import locks
from napari_wsseg.io.files.presence import Presence
from napari_wsseg.jobs import DataError

LOCK = ".lock"
HOLDER = ".lock.json"


_TORN_SECONDS = 5.0
"""A younger holder's file that cannot be read may still be being written."""


class ProjectLocked(DataError):
    """Somebody else writes to the project; it can still be opened to read."""


class WriterLock:
    """The right to write to one project folder.

    Attributes
    ----------
    presence
        Whether the folder is still there.

    Raises
    ------
    ProjectLocked
        Another process, or another opening in this one, holds it.
    """

    def __init__(self, folder: Path) -> None:
        self._holder = folder / HOLDER
        self._lock: FileLock | None = None
        try:
            if locks.are_there(folder / LOCK):
                self._lock = FileLock(project_files.checked(folder / LOCK))
                self._lock.acquire(timeout=0)
                self._sign()
            else:
                self._claim()
        except (Timeout, FileExistsError) as error:
            raise ProjectLocked(
                f"{folder}: already open for writing by {_named_holder(self._holder)}; "
                "close it there first, or open the project read-only"
            ) from error
        except OSError as error:
            raise DataError(
                f"{folder}: cannot be opened for writing ({error.strerror}); "
                "check the folder's permissions, or open the project read-only"
            ) from error
        self._held = True
        self.presence = Presence(folder)

    def release(self) -> None:
        """Give the right back; a second call does nothing."""
        if not self._held:
            return
        self._held = False
        self.presence.close()
        with suppress(OSError, DataError):  # the folder may be gone
            project_files.remove(self._holder)
        if self._lock is not None:
            self._lock.release()

    def _sign(self) -> None:
        # The name only serves a message: a full disk must not prevent opening.
        with suppress(OSError):
            with project_files.opened(self._holder, "wb") as file:
                file.write(_this_holder().encode())

    def _claim(self) -> None:
        """Hold the project by the holder's file, where there are no locks.

        The file of a process of this computer that is gone is taken over.
        """
        for _ in range(2):
            with suppress(FileExistsError):
                with project_files.opened(self._holder, "xb") as file:
                    file.write(_this_holder().encode())
                return
            if not _is_gone(self._holder):
                break
            project_files.remove(self._holder)
        raise FileExistsError(self._holder)


def _this_holder() -> str:
    since = datetime.now(UTC).isoformat(timespec="seconds")
    host = socket.gethostname()
    return json.dumps({**processes.this_one(), "host": host, "since": since})


def _is_gone(holder: Path) -> bool:
    """Whether the process that a holder's file names is known to be gone."""
    try:
        record = json.loads(project_files.read_bytes(holder, 2**16))
        here = record["host"] == socket.gethostname()
        return here and not processes.is_alive(record["pid"], record.get("started"))
    except FileNotFoundError:
        return True
    except (OSError, ValueError, KeyError, TypeError, RecursionError, DataError):
        # Torn by a full disk or a kill; a moment old, it may still be growing.
        with suppress(OSError):
            return time.time() - holder.stat().st_mtime > _TORN_SECONDS
        return True


def _named_holder(holder: Path) -> str:
    try:
        record = json.loads(project_files.read_bytes(holder, 2**16))
        return f"process {record['pid']} on {record['host']} since {record['since']}"
    except (OSError, DataError, ValueError, KeyError, TypeError):
        return "another process"

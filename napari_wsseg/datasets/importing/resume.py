"""What an import that was stopped has learnt, so that the next one need not read again.

Beside the project that was to be made lies a file of lines, a film each: its key, which
is a hash of path, size and time of change, and its facts. No name stands in it.
"""

from __future__ import annotations

import hashlib
import json
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import IO

from napari_wsseg.io import film_facts
from napari_wsseg.io.film_facts import Facts

FORMAT = 2
"""Raised when the same file gives other facts than before."""

WORTH_SECONDS = 5.0
"""Work of less is done again rather than kept."""


class Resumed:
    """Facts of films by path, size and time, kept from the first `WORTH_SECONDS` on."""

    def __init__(self, project: Path) -> None:
        self._file = place(project)
        self._known = _read(self._file)
        self._fresh: list[str] = []
        self._out: IO[str] | None = None
        self._started = time.monotonic()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        """Count the films that need not be read again."""
        return len(self._known)

    def get(self, path: str, place: Path) -> Facts | None:
        """Return what is known of the film at `place`, unless it has changed."""
        return self._known.get(_key(path, place)) if self._known else None

    def put(self, path: str, place: Path, found: Facts | str) -> None:
        """Keep a film's facts; reasons are worked out again, their cause may end.

        Parameters
        ----------
        path
            Of the film in the folder or archive that is imported.
        place
            The file itself, whose size and time count.
        found
            Its facts; a reason why it cannot be read is not kept.
        """
        if isinstance(found, str):
            return
        line = json.dumps([FORMAT, _key(path, place), film_facts.packed(found)])
        with self._lock:
            self._fresh.append(line)
            if time.monotonic() - self._started >= WORTH_SECONDS:
                self._flush()

    def close(self, *, keep: bool) -> None:
        """Let go of the file; without `keep` it is deleted."""
        with self._lock:
            if self._out is not None:
                self._out.close()
            if not keep:
                self._file.unlink(missing_ok=True)

    def _flush(self) -> None:
        # To go on later is a convenience: a full disk fails the import elsewhere.
        with suppress(OSError):
            if self._out is None:
                self._out = open(self._file, "a", encoding="ascii")
            self._out.write("".join(line + "\n" for line in self._fresh))
            self._out.flush()
        self._fresh.clear()


def place(project: Path) -> Path:
    """Return the file for a project that is to be made at an absolute path."""
    return project.with_name(f".{project.name}.reading")


def _read(file: Path) -> dict[str, Facts]:
    known: dict[str, Facts] = {}
    try:
        lines = file.read_text(encoding="ascii").splitlines()
    except (OSError, UnicodeDecodeError):
        return known
    for line in lines:
        # The last line may be torn by what stopped the import.
        with suppress(ValueError, TypeError):
            form, key, values = json.loads(line)
            if form == FORMAT:
                known[str(key)] = film_facts.unpacked(values)
    return known


def _key(path: str, place: Path) -> str:
    found = next((p for p in (place, *place.parents) if p.exists()), place)
    try:
        state = found.stat()
    except OSError:
        return ""
    key = f"{place}|{path}|{state.st_size}|{state.st_mtime_ns}"
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).hexdigest()

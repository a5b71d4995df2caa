"""A short job in a process of its own, as a panel sees it: started, heard, ended."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from napari.qt.threading import create_worker
from qtpy.QtCore import QObject, Signal

from napari_wsseg import protocol
from napari_wsseg._widgets.processes.child import Child

_FAREWELL_S = 3.0
"""For a process that is ended to tidy up."""


def in_turn(
    command: Sequence[str],
    wanted: Callable[[], bool],
    before: threading.Event,
    after: threading.Event,
) -> Iterator[dict[str, Any] | None]:
    """Yield what `lines` does once the process `before` has ended; say when this has.

    What is stopped still tidies up for a moment, in the folder that the next may want.
    """
    try:
        while not before.wait(0.05):
            yield None
        if wanted():
            yield from lines(command, wanted)
    finally:
        after.set()


def lines(
    command: Sequence[str], wanted: Callable[[], bool]
) -> Iterator[dict[str, Any] | None]:
    """Yield what a process says, ``None`` while it is silent; the last is its end.

    For a worker, see `napari_wsseg._widgets.processes.recipes.load_softly`. When it
    is not `wanted` any more the process is ended; files it has written are whole.
    """
    ended = False
    try:
        child = Child(command)
        try:
            while wanted():
                gone = not child.alive and child.drained
                for line in child.lines():
                    record = _read(line)
                    ended = ended or is_end(record)
                    yield record
                if gone:
                    break
                time.sleep(0.05)
                yield None
            else:
                ended = True
                child.interrupt(_FAREWELL_S)
                # It may have been done before it heard of that.
                yield from filter(is_end, _last_words(child))
            reason = _reason(child.errors.read_text("utf-8", "replace"))
        finally:
            child.kill()
            child.close()
    except Exception as error:
        reason, ended = f"{type(error).__name__}: {error}", False
    if not ended:
        yield protocol.failed(reason)


def _last_words(child: Child) -> Iterator[dict[str, Any]]:
    """Yield what a process that has ended said and nobody has heard yet."""
    end = time.monotonic() + 1
    while not child.drained and time.monotonic() < end:
        yield from map(_read, child.lines())
        time.sleep(0.02)


def is_end(record: dict[str, Any]) -> bool:
    """Whether nothing comes after a line: of an export, or of a command."""
    return protocol.is_last(record) or ("status" in record and "event" not in record)


def _reason(errors: str) -> str:
    """Return what a command said last, all the lines of it."""
    _, mark, message = errors.rpartition("wsseg: ")
    found = message if mark else (errors.strip().splitlines() or [""])[-1]
    return found.strip() or "It gave no reason."


def _read(line: bytes) -> dict[str, Any]:
    try:
        record = json.loads(line)
    except ValueError:
        return {}
    return record if isinstance(record, dict) else {}


class CommandJob(QObject):
    """One process at a time; the newest takes all.

    Signals
    -------
    reported(dict)
        What the process says, a line at a time.
    ended_before(dict)
        The last line of a process that ended by itself before it could be stopped.
    """

    reported = Signal(dict)
    ended_before = Signal(dict)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        # Known to threads also when this object is gone.
        self._current: list[object] = []
        self._stopped: list[object] = []
        self._ended = threading.Event()
        self._ended.set()
        self.destroyed.connect(self._current.clear)
        self.destroyed.connect(self._stopped.clear)

    @property
    def busy(self) -> bool:
        """Whether a process is at it."""
        return bool(self._current)

    def run(self, command: Sequence[str]) -> None:
        """Start a process once what was under way is ended."""
        mark, current, stopped = object(), self._current, self._stopped
        current[:] = [mark]
        before, self._ended = self._ended, threading.Event()
        worker = create_worker(
            in_turn,
            list(command),
            lambda: mark in current,
            before,
            self._ended,
            _start_thread=False,
        )

        def heard(record: dict[str, Any] | None) -> None:
            if record is not None and mark in stopped and is_end(record):
                stopped.remove(mark)
                self.ended_before.emit(record)
            if record is None or mark not in current:
                return
            if is_end(record):
                current.clear()
            self.reported.emit(record)

        worker.yielded.connect(heard)
        worker.start()

    def stop(self) -> None:
        """End it; files that were written stay, each of them whole."""
        self._stopped[:] = self._current or self._stopped
        self._current.clear()

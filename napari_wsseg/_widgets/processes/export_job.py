"""The export's process as the panel sees it: started, heard, ended."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from napari.qt.threading import create_worker
from qtpy.QtCore import QObject, Signal

from napari_wsseg import protocol
from napari_wsseg._widgets.processes.child import Child

MODULE = "napari_wsseg._widgets.processes.export_process"


def lines(word: str, wanted: Callable[[], bool]) -> Iterator[dict[str, Any] | None]:
    """Yield what the process says, ``None`` while it is silent; the last is its end.

    For a worker, see `napari_wsseg._widgets.processes.recipes.load_softly`. When it
    is not `wanted` any more the process is ended; files it has written are whole.
    """
    ended = False
    try:
        child = Child([sys.executable, "-m", MODULE, word])
        try:
            while wanted():
                gone = not child.alive and child.drained
                for line in child.lines():
                    said = _read(line)
                    ended = ended or protocol.is_last(said)
                    yield said
                if gone:
                    break
                time.sleep(0.05)
                yield None
            else:
                ended = True
            reason = child.errors.read_text("utf-8", "replace").strip().splitlines()
        finally:
            child.kill()
            child.close()
    except Exception as error:
        reason, ended = [f"{type(error).__name__}: {error}"], False
    if not ended:
        yield protocol.failed((reason or ["It gave no reason."])[-1])


def _read(line: bytes) -> dict[str, Any]:
    try:
        said = json.loads(line)
    except ValueError:
        return {}
    return said if isinstance(said, dict) else {}


class ExportJob(QObject):
    """One export, or one question what it would write; the newest takes all.

    Signals
    -------
    said(dict)
        What the process says, see `napari_wsseg._widgets.processes.export_process`.
    """

    said = Signal(dict)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        # Known to threads also when this object is gone.
        self._current: list[object] = []
        self.destroyed.connect(self._current.clear)

    @property
    def busy(self) -> bool:
        """Whether a process is at it."""
        return bool(self._current)

    def start(self, wanted: Mapping[str, Any] | str) -> None:
        """Begin; what was under way is ended."""
        mark, current = object(), self._current
        current[:] = [mark]
        word = wanted if isinstance(wanted, str) else json.dumps(dict(wanted))
        worker = create_worker(
            lines, word, lambda: mark in current, _start_thread=False
        )

        def heard(said: dict[str, Any] | None) -> None:
            if said is None or mark not in current:
                return
            if protocol.is_last(said):
                current.clear()
            self.said.emit(said)

        worker.yielded.connect(heard)
        worker.start()

    def stop(self) -> None:
        """End it; files that were written stay, each of them whole."""
        self._current.clear()

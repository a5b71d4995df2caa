"""Slow work in a thread of its own, results on the main thread."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from qtpy.QtCore import QCoreApplication, QEventLoop, QObject, Qt, Signal

T = TypeVar("T")


class QtBackground(QObject):
    """One worker thread, first come first served.

    A worker is given frozen values and never sees a layer or a widget. Whatever it
    raises, also a ``RuntimeError``, is caught in the thread and handed to `failed`.
    """

    _finished = Signal(object)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="wsseg")
        self._pending = 0
        self._closed = False
        self._finished.connect(self._deliver, Qt.ConnectionType.QueuedConnection)

    def submit(
        self,
        work: Callable[[], T],
        done: Callable[[T], None],
        failed: Callable[[Exception], None],
    ) -> None:
        """Do `work` in the thread, then call `done` or `failed` on the main thread."""
        if self._closed:
            return
        self._pending += 1

        def run() -> None:
            deliver: Callable[[], None]
            try:
                value = work()
            except Exception as error:
                problem = error
                deliver = lambda: failed(problem)  # noqa: E731
            else:
                deliver = lambda: done(value)  # noqa: E731
            self._finished.emit(deliver)

        self._pool.submit(run)

    def drain(self) -> None:
        """Wait until everything has been done and handed over."""
        while self._pending:
            QCoreApplication.processEvents(
                QEventLoop.ProcessEventsFlag.ExcludeUserInputEvents, 20
            )
            time.sleep(0.001)

    def close(self) -> None:
        """End the thread; what it is doing is finished, what waits is dropped."""
        self._closed = True
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _deliver(self, deliver: Callable[[], None]) -> None:
        self._pending -= 1
        if not self._closed:
            deliver()


class Latest:
    """Keeps only the newest of several requests that are made faster than answered."""

    def __init__(self, background: object) -> None:
        self._background = background
        self._busy = False
        self._next: Callable[[], None] | None = None

    def submit(
        self,
        work: Callable[[], T],
        done: Callable[[T], None],
        failed: Callable[[Exception], None],
    ) -> None:
        """Do `work` unless a newer request comes before it could begin."""

        def finish(then: Callable[..., None]) -> Callable[..., None]:
            def handed(value: object) -> None:
                self._busy = False
                # An answer that has been overtaken is not worth showing.
                if self._next is None:
                    then(value)
                self._start_next()

            return handed

        def start() -> None:
            self._busy = True
            self._background.submit(  # type: ignore[attr-defined]
                work, finish(done), finish(failed)
            )

        if self._busy:
            self._next = start
        else:
            start()

    def _start_next(self) -> None:
        following, self._next = self._next, None
        if following is not None:
            following()

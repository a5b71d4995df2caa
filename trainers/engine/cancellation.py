"""What stops a job from outside: signals, a stop file, a parent that is gone."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import psutil

HEARTBEAT_S = 2.0
_LOOK_S = 0.2
_STOPPED = 130


def on_signals(cancel: threading.Event) -> None:
    """Let Ctrl-C and SIGTERM set `cancel`; a second Ctrl-C interrupts at once."""

    def stop(number: int, frame: FrameType | None) -> None:
        if cancel.is_set() and number == signal.SIGINT:
            raise KeyboardInterrupt
        cancel.set()

    signal.signal(signal.SIGINT, stop)
    signal.signal(signal.SIGTERM, stop)


@contextmanager
def leaving_with(parent: int | None) -> Iterator[None]:
    """Leave at once if the parent is gone; while loading, when nothing is lost by it.

    Nobody would look at the run that an orphan begins.
    """
    loaded = threading.Event()
    if parent is not None:
        gone = _end_of(parent)

        def look() -> None:
            while not gone():
                if loaded.wait(_LOOK_S):
                    return
            os._exit(_STOPPED)

        threading.Thread(target=look, name="wsseg-parent", daemon=True).start()
    try:
        yield
    finally:
        loaded.set()


def watch(
    cancel: threading.Event,
    stop_file: Callable[[], Path | None],
    *,
    parent: int | None = None,
    beat: Callable[[], None] | None = None,
) -> threading.Event:
    """Set `cancel` when the stop file appears or the parent ends; beat meanwhile.

    Parameters
    ----------
    cancel
        What is set.
    stop_file
        Returns the file whose appearance stops the job; ``None`` while there is no
        place for one.
    parent
        Process whose end stops the job; none by default.
    beat
        Called about every `HEARTBEAT_S` seconds, on the thread that watches.

    Returns
    -------
    Event
        Set it to end the watch.
    """
    over = threading.Event()
    gone = _end_of(parent) if parent is not None else lambda: False

    def look() -> None:
        last = time.monotonic()
        while not over.wait(_LOOK_S):
            path = stop_file()
            if path is not None and path.exists():
                cancel.set()
            if gone():
                cancel.set()
            if beat is not None and time.monotonic() - last >= HEARTBEAT_S:
                last = time.monotonic()
                beat()

    threading.Thread(target=look, name="wsseg-watch", daemon=True).start()
    return over


def _end_of(pid: int) -> Callable[[], bool]:
    """Return what says whether a process has ended since.

    One that nobody has waited for still has its number, and later another may have it.
    """
    try:
        process = psutil.Process(pid)
    except psutil.NoSuchProcess:
        return lambda: True

    def gone() -> bool:
        try:
            running: bool = process.is_running()
            return not running or process.status() == psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return True

    return gone

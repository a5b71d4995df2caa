"""What stops a job from outside: signals, a stop file, a parent that is gone."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType

import psutil

HEARTBEAT_S = 2.0


def on_signals(cancel: threading.Event) -> None:
    """Let Ctrl-C and SIGTERM set `cancel`; a second Ctrl-C interrupts at once."""

    def stop(number: int, frame: FrameType | None) -> None:
        if cancel.is_set() and number == signal.SIGINT:
            raise KeyboardInterrupt
        cancel.set()

    signal.signal(signal.SIGINT, stop)
    signal.signal(signal.SIGTERM, stop)


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

    def look() -> None:
        last = time.monotonic()
        while not over.wait(0.2):
            path = stop_file()
            if path is not None and path.exists():
                cancel.set()
            if parent is not None and not psutil.pid_exists(parent):
                cancel.set()
            if beat is not None and time.monotonic() - last >= HEARTBEAT_S:
                last = time.monotonic()
                beat()

    threading.Thread(target=look, name="wsseg-watch", daemon=True).start()
    return over

"""Whether the very process that left its number behind still lives."""

from __future__ import annotations

import os

import psutil


def this_one() -> dict[str, int | float]:
    """Return ``pid`` and ``started``, by which `is_alive` knows this process."""
    me = psutil.Process()
    return {"pid": me.pid, "started": me.create_time()}


def is_alive(pid: object, started: object) -> bool:
    """Whether a process of that number, begun at that time, lives: pids are reused."""
    if not isinstance(pid, int) or not isinstance(started, (int, float)):
        return False
    if pid == os.getpid():
        return True
    try:
        process = psutil.Process(pid)
        same = abs(process.create_time() - started) < 1.0
        return bool(same and process.status() != psutil.STATUS_ZOMBIE)
    except (psutil.NoSuchProcess, ValueError, OverflowError):  # or never was one
        return False
    except psutil.AccessDenied:
        return True

"""One finding a core, instead of every small product on all cores.

A product that is shared over all cores ends when the slowest core does. While something
else computes, such as a training beside the open window, each of hundreds of small
products then waits a time slice, and a CRF of 0.1 s takes seconds. Threads that work
alone only get slower by their share.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import torch

Item = TypeVar("Item")
Result = TypeVar("Result")

_lock = threading.Lock()
_calls = 0
_cores = 1


def cores() -> int:
    """Return how many threads torch was given."""
    with _lock:
        return _cores if _calls else torch.get_num_threads()


def each(function: Callable[[Item], Result], items: Iterable[Item]) -> list[Result]:
    """Apply `function` to every item, in as many threads as torch was given.

    Inside, torch computes on the calling thread alone; afterwards it has its threads
    back. What `function` raises is raised here.
    """
    count = _enter()
    try:
        with ThreadPoolExecutor(
            count, initializer=torch.set_num_threads, initargs=(1,)
        ) as pool:
            return list(pool.map(function, items))
    finally:
        _leave()


def alone(function: Callable[[], Result]) -> Result:
    """Return what `function` returns, computed by one thread alone."""
    return each(lambda _: function(), [None])[0]


def _enter() -> int:
    # torch's number of threads belongs to a thread, but a new thread inherits the
    # number set last by any: while a call is under way that is 1, and not to be kept.
    global _calls, _cores
    with _lock:
        if not _calls:
            _cores = torch.get_num_threads()
        _calls += 1
        return _cores


def _leave() -> None:
    global _calls
    with _lock:
        _calls -= 1
        torch.set_num_threads(_cores)

"""Where a session's slow work is done, and how its results come back."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Protocol, TypeVar

T = TypeVar("T")


class Background(Protocol):
    """Somewhere to do slow work; `done` and `failed` are called on the main thread."""

    def submit(
        self,
        work: Callable[[], T],
        done: Callable[[T], None],
        failed: Callable[[Exception], None],
    ) -> None:
        """Do work soon, then hand over what came of it.

        Parameters
        ----------
        work
            Called on any thread.
        done, failed
            Called on the main thread, with the value of `work` or with its error.
        """

    def drain(self) -> None:
        """Wait until everything submitted has been done and handed over."""


class Inline:
    """A background that does the work at once, for scripts and tests.

    What is submitted while something is handed over waits until that is done: one film
    after another that cannot be read would nest as deep as the list is long.
    """

    def __init__(self) -> None:
        self._waiting: deque[Callable[[], None]] = deque()
        self._handing = False

    def submit(
        self,
        work: Callable[[], T],
        done: Callable[[T], None],
        failed: Callable[[Exception], None],
    ) -> None:
        """Do `work` now, or when what is being handed over is done.

        Parameters
        ----------
        work
            Called on this thread.
        done, failed
            Called with the value of `work`, or with its error.
        """

        def turn() -> None:
            try:
                value = work()
            except Exception as error:
                failed(error)
            else:
                done(value)

        self._waiting.append(turn)
        if self._handing:
            return
        self._handing = True
        try:
            self.drain()
        finally:
            self._waiting.clear()
            self._handing = False

    def drain(self) -> None:
        """Do what waits."""
        while self._waiting:
            self._waiting.popleft()()

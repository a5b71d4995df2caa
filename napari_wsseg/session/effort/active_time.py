"""Seconds at work: window in focus, and a hand or an eye that is not away for long.

The window tells what it sees (`signal`, `focus`) and what the hand did (`gesture`);
here it becomes seconds by finding. No window is needed, and the clock is an argument.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

PAUSE_SECONDS = 20.0
"""A longer pause counts nothing at all; a shorter one is thought and counts."""


@dataclass(slots=True)
class Spell:
    """Work on one finding of one film that is not kept on disk yet."""

    finding: str | None
    seconds: float = 0.0
    gestures: Counter[str] = field(default_factory=Counter)


class ActiveTime:
    """Counts a reader's seconds and gestures on the film that is open.

    Parameters
    ----------
    clock
        Seconds, monotonic.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._focused = True
        self._last: float | None = None
        self._finding: str | None = None
        self._case: str | None = None
        self._spells: dict[str | None, Spell] = {}

    @property
    def case(self) -> str | None:
        """Id of the film that time goes to."""
        return self._case

    def signal(self) -> None:
        """Notice the reader's hand or eye: what went by since the last sign counts."""
        if not self._focused or self._case is None:
            return
        now = self._clock()
        if self._last is not None and 0 < now - self._last <= PAUSE_SECONDS:
            self._spell().seconds += now - self._last
        self._last = now

    def focus(self, has: bool) -> None:
        """Notice that the window got the focus or lost it; both are signs."""
        if has == self._focused:
            return
        self.signal()
        self._focused, self._last = has, None
        self.signal()

    def gesture(self, tool: str) -> None:
        """Notice that a tool changed the mask of the finding in hand, or was moved."""
        if self._case is None:
            return
        self.signal()
        self._spell().gestures[tool] += 1

    def turn(self, case_id: str | None, finding: str | None) -> None:
        """Let time go to a film and finding from now on; take what is left before."""
        self._case, self._finding, self._last = case_id, finding, None
        self._spells = {}
        self.signal()

    def turn_finding(self, finding: str | None) -> None:
        """Let time go to another finding of the same film."""
        self.signal()
        self._finding = finding

    def rest(self) -> None:
        """Count nothing until the next sign: the film is done with."""
        self._last = None

    def take(self) -> list[Spell]:
        """Return what was done since it was last taken; no sign of the reader."""
        spells = [
            spell for spell in self._spells.values() if spell.seconds or spell.gestures
        ]
        self._spells = {}
        return spells

    def give_back(self, spells: list[Spell]) -> None:
        """Keep for the next time what could not be put on disk."""
        for spell in spells:
            kept = self._spells.setdefault(spell.finding, Spell(spell.finding))
            kept.seconds += spell.seconds
            kept.gestures += spell.gestures

    def _spell(self) -> Spell:
        return self._spells.setdefault(self._finding, Spell(self._finding))

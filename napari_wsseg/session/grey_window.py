"""The grey window in which films are read: presets, and what the reader set by hand."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from psygnal import Signal

from napari_wsseg.ops.windowing import PRESETS, reading_window

NARROWEST = 0.01
"""Width, in greys of 0 to 1, below which a window shows black and white alone."""

Window = tuple[float, float]


class Toning:
    """Which grey is black and which is white, film by film.

    A preset goes along to every film and is worked out from each film's own greys. A
    window set by hand stays with its film, or goes along when `carried` is set. All of
    it is forgotten when the window closes.
    """

    changed = Signal()

    def __init__(self) -> None:
        self.preset = "auto"
        self.carried = False
        self.inverted = False
        self._by_hand: dict[str, Window] = {}
        self._last: Window | None = None

    def grey_window(self, case_id: str, pixels: NDArray[np.float32]) -> Window:
        """Return (low, high) of a film with (H, W) `pixels` in [0, 1]."""
        if self.carried and self._last is not None:
            return self._last
        by_hand = self._by_hand.get(case_id)
        return by_hand or reading_window(pixels, self.preset)

    def is_by_hand(self, case_id: str) -> bool:
        """Whether a film's window was set by hand."""
        return case_id in self._by_hand or (self.carried and self._last is not None)

    def choose(self, preset: str, case_id: str) -> None:
        """Read this film and the next ones in a preset.

        Raises
        ------
        ValueError
            There is no such preset.
        """
        if preset not in PRESETS:
            raise ValueError(f"no grey window {preset!r}; there are {PRESETS}")
        self.preset, self._last = preset, None
        self._by_hand.pop(case_id, None)
        self.changed.emit()

    def set_inverted(self, inverted: bool) -> None:
        """Show dense as black instead of white, on every film, or no longer."""
        if inverted != self.inverted:
            self.inverted = inverted
            self.changed.emit()

    def next_preset(self, case_id: str) -> None:
        """Turn to the next preset, round and round; from by hand back to its own."""
        step = 0 if self.is_by_hand(case_id) else 1
        place = (PRESETS.index(self.preset) + step) % len(PRESETS)
        self.choose(PRESETS[place], case_id)

    def set(self, case_id: str, low: float, high: float) -> None:
        """Set a film's window by hand, within 0 to 1 and never quite closed.

        Parameters
        ----------
        case_id
            16 hexadecimal digits.
        low, high
            Greys of the film that are shown black and white, 0 to 1; at least
            `NARROWEST` apart.
        """
        low = min(max(low, 0.0), 1.0 - NARROWEST)
        high = min(max(high, low + NARROWEST), 1.0)
        if self._by_hand.get(case_id) == (low, high):
            return
        self._by_hand[case_id] = self._last = (low, high)
        self.changed.emit()

    def carry(self, carried: bool, case_id: str = "") -> None:
        """Let a window set by hand go along to every film, or stay with its own."""
        if carried != self.carried:
            self.carried = carried
            self._last = self._by_hand.get(case_id) if carried else None
            self.changed.emit()


def level_and_width(window: Window) -> tuple[float, float]:
    """Return (middle, width) of a window (low, high)."""
    return (window[0] + window[1]) / 2, window[1] - window[0]


def around(level: float, width: float) -> Window:
    """Return the window (low, high) of a `width` around `level`, within 0 to 1."""
    width = min(max(width, NARROWEST), 1.0)
    level = min(max(level, 0.0), 1.0)
    return max(0.0, level - width / 2), min(1.0, level + width / 2)

"""The grey window by moving the mouse while a key is held; the button stays free."""

from __future__ import annotations

import math
from typing import Any

from napari.viewer import Viewer

from napari_wsseg.session import Session
from napari_wsseg.session.grey_window import around, level_and_width

_PIXELS = 400
"""Way of the mouse, in pixels of the screen, over which the width doubles and more."""


class ToneDrag:
    """Right: softer, left: harder; up: brighter, down: darker.

    The right button closes outlines in napari's masks and zooms elsewhere, so it is not
    taken.
    """

    def __init__(self, viewer: Viewer, session: Session) -> None:
        self.viewer, self.session = viewer, session
        self._from: tuple[float, float] | None = None
        self._held = False
        viewer.mouse_move_callbacks.append(self._moved)

    def hold(self, held: bool) -> None:
        """Let the mouse set the window, or no longer."""
        self._held, self._from = held, None

    def close(self) -> None:
        """Let go of the viewer."""
        if self._moved in self.viewer.mouse_move_callbacks:
            self.viewer.mouse_move_callbacks.remove(self._moved)

    def _moved(self, viewer: Any, event: Any) -> None:
        opened = self.session.opened
        if not self._held or opened is None:
            return
        x, y = (float(value) for value in event.pos[:2])
        if self._from is not None:
            right, up = x - self._from[0], self._from[1] - y
            tone, case_id = self.session.tone, opened.case.id
            level, width = level_and_width(
                tone.grey_window(case_id, opened.radiograph.pixels)
            )
            # A lower window makes the film brighter.
            level -= up / _PIXELS * max(width, 0.1)
            tone.set(case_id, *around(level, width * math.exp(right / _PIXELS)))
        self._from = x, y

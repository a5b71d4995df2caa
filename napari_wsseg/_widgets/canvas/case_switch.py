"""The turn of a film in several turns of the event loop: a hand gets in between."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from contextlib import suppress

from psygnal import Signal
from qtpy.QtCore import QObject, Qt, QTimer
from qtpy.QtWidgets import QDockWidget, QMainWindow, QWidget

from napari_wsseg._widgets.canvas.case_layers import CaseLayers


class FilmTurn:
    """Draws a film that was turned to in slices.

    Its layers are filled at once, so that no stroke ever meets those of another film.
    What follows is drawing: the thumbnails, the scene, the panels, the pixels on their
    way to the graphics card, and the picture. Until its slice comes, each part of the
    window shows the film before.

    Parameters
    ----------
    window, picture
        Return the window and the widget that the picture is drawn on, or ``None``.
    """

    drawn = Signal()
    """Nothing of the film is left to be drawn."""

    def __init__(
        self,
        layers: CaseLayers,
        window: Callable[[], QMainWindow | None],
        picture: Callable[[], QWidget | None],
        parent: QObject,
    ) -> None:
        self._layers, self._window, self._picture = layers, window, picture
        self._panels: list[QWidget] = []
        self._canvas: QWidget | None = None
        self._steps: deque[Callable[[], None]] = deque()
        self._soon = QTimer(parent)
        self._soon.setSingleShot(True)
        self._soon.timeout.connect(self._step)

    @property
    def going_on(self) -> bool:
        """Whether something of the film is still to be drawn."""
        return bool(self._steps)

    def begin(self) -> None:
        """Draw nothing of the film that comes now until its slice does."""
        layers = self._layers
        scene = layers.draw_thumbnails, layers.arrange
        if self._steps:
            # Films turned faster than drawn: what waits is drawn of the last of them,
            # and nothing is put off, or a key held down would show no film at all.
            self._steps.extend(step for step in scene if step not in self._steps)
            return
        self._hold()
        self._steps.extend((*scene, self._draw_panels, layers.send, self._draw_picture))
        self._soon.start(0)

    def _hold(self) -> None:
        window, self._canvas = self._window(), self._picture()
        direct = Qt.FindChildOption.FindDirectChildrenOnly
        if window is not None:
            self._panels = window.findChildren(QDockWidget, options=direct)
        for widget in (*self._panels, self._canvas):
            if widget is not None:
                widget.setUpdatesEnabled(False)

    def end(self) -> None:
        """Let everything be drawn, and nothing more follow."""
        self._soon.stop()
        self._steps.clear()
        self._draw_panels()
        self._draw_picture()

    def _step(self) -> None:
        step = self._steps.popleft()
        if self._steps:
            self._soon.start(0)
        step()
        if not self._steps:
            self.drawn.emit()

    def _draw_panels(self) -> None:
        panels, self._panels = self._panels, []
        for panel in panels:
            with suppress(RuntimeError):  # a dock that was closed meanwhile
                panel.setUpdatesEnabled(True)

    def _draw_picture(self) -> None:
        canvas, self._canvas = self._canvas, None
        if canvas is not None:
            with suppress(RuntimeError):
                canvas.setUpdatesEnabled(True)

"""A magnifier: the film's own pixels around the cursor, while a key is held."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from napari.viewer import Viewer
from numpy.typing import NDArray
from qtpy.QtCore import QObject, QPoint, QRectF, Qt
from qtpy.QtGui import QColor, QPainter, QPainterPath, QPaintEvent, QPen, QPixmap
from qtpy.QtWidgets import QWidget
from scipy import ndimage

from napari_wsseg._widgets.canvas.case_layers import CaseLayers
from napari_wsseg._widgets.parts.pixmaps import pixmap
from napari_wsseg.session import Session

SIDE = 260
"""Pixels of the screen that it is wide and high."""
TIMES = 3.0
"""How much larger it shows the film than the canvas does."""


class Magnifier(QObject):
    """Shows the film alone, larger and in the window's greys, where the mouse is.

    It looks at the film as it is shown: turned, mirrored, inverted, in its grey window.
    """

    def __init__(
        self,
        viewer: Viewer,
        session: Session,
        layers: CaseLayers,
        canvas: Callable[[], QWidget | None],
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self.viewer, self.session, self.layers = viewer, session, layers
        self._canvas = canvas
        self._at: tuple[float, float] | None = None
        self._held = False
        self.lens: Lens | None = None
        viewer.mouse_move_callbacks.append(self._moved)

    def hold(self, held: bool) -> None:
        """Show it, or take it away."""
        self._held = held
        if held:
            self._look()
        elif self.lens is not None:
            self.lens.hide()

    def close(self) -> None:
        """Let go of the viewer."""
        if self._moved in self.viewer.mouse_move_callbacks:
            self.viewer.mouse_move_callbacks.remove(self._moved)
        self.lens = None

    def picture(self, at: tuple[float, float]) -> NDArray[np.uint8] | None:
        """Return the (SIDE, SIDE, 3) picture around a point of the world."""
        opened, film = self.session.opened, self.layers.film
        if opened is None or film is None:
            return None
        places = film.world_to_data(at), np.array(film.scale[-2:], float)
        rows, columns = _around(self.viewer, *places)
        pixels = opened.radiograph.pixels
        found = ndimage.map_coordinates(pixels, (rows, columns), order=1, cval=0.0)
        low, high = self.session.tone.grey_window(opened.case.id, pixels)
        shown = np.clip((found - low) / (high - low), 0, 1)
        if self.session.tone.inverted:
            shown = 1 - shown
        grey = (shown * 255).astype(np.uint8)
        return np.repeat(grey[..., None], 3, axis=2)

    def _moved(self, viewer: Any, event: Any) -> None:
        place = event.position[-2:]
        self._at = float(place[0]), float(place[1])
        if self._held:
            self._look()

    def _look(self) -> None:
        canvas = self._canvas()
        if canvas is None or self._at is None:
            return
        picture = self.picture(self._at)
        if picture is None:
            return
        if self.lens is None:
            self.lens = Lens(canvas)
        self.lens.show_at(canvas.mapFromGlobal(canvas.cursor().pos()), pixmap(picture))


def _around(
    viewer: Viewer, centre: NDArray[np.float64], scale: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return rows and columns of the film, each (SIDE, SIDE), that the lens shows."""
    camera = viewer.scene.camera
    step = 1.0 / (float(camera.zoom) * TIMES)
    away = (np.indices((SIDE, SIDE)) - (SIDE - 1) / 2) * step
    signs = [1 if way in ("down", "right") else -1 for way in camera.orientation2d]
    # What runs down the screen is the film's rows, or, turned by a quarter, columns.
    order = tuple(viewer.dims.order[-2:])
    found: list[NDArray[np.float64]] = [away[0], away[1]]
    for on_screen, axis in enumerate(order):
        offset = signs[on_screen] * away[on_screen] / scale[axis]
        found[axis] = float(centre[axis]) + offset
    return found[0], found[1]


class Lens(QWidget):
    """A round picture over the canvas that lets the mouse through."""

    def __init__(self, canvas: QWidget) -> None:
        super().__init__(canvas)
        self.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self.setFixedSize(SIDE, SIDE)
        self._picture: QPixmap | None = None

    def show_at(self, at: QPoint, picture: QPixmap) -> None:
        """Show a picture around a point of the canvas."""
        self._picture = picture
        self.move(at.x() - SIDE // 2, at.y() - SIDE // 2)
        self.show()
        self.raise_()
        self.update()

    def paintEvent(self, event: QPaintEvent | None) -> None:
        """Draw the picture in a circle, with a rim."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        circle = QRectF(self.rect()).adjusted(1, 1, -1, -1)
        path = QPainterPath()
        path.addEllipse(circle)
        painter.setClipPath(path)
        if self._picture is not None:
            painter.drawPixmap(self.rect(), self._picture)
        painter.setClipping(False)
        painter.setPen(QPen(QColor("#56B4E9"), 2))
        painter.drawEllipse(circle)
        painter.end()

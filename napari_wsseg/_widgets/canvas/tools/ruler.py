"""A ruler: drag over the film and read a distance; a second line, ratio and angle.

The heart's width, then the chest's: their ratio is the cardiothoracic one. A third line
begins anew.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from napari.layers import Labels, Layer, Shapes
from napari.viewer import Viewer
from qtpy.QtCore import QObject, Signal

from napari_wsseg._widgets.canvas.case_layers import CaseLayers
from napari_wsseg._widgets.canvas.layer_updates import add_locked, remove_locked
from napari_wsseg.schema import Radiograph
from napari_wsseg.session import Session

_COLOUR = "#F0E442"
_LINE = 2
"""Width of the line, in pixels of the screen."""
_RIM = 5
"""Width of the dark line under it, by which it is seen on bone."""
_LETTER, _TALL = 13, 24
"""Pixels of the screen that a letter takes, on a dark ground of its own."""

Line = tuple[tuple[float, float], tuple[float, float]]


class Ruler(QObject):
    """One line on a layer of its own, there only while the tool is in hand.

    Signals
    -------
    changed()
        The tool was taken up or put down, or another distance was measured.
    """

    changed = Signal()

    def __init__(
        self,
        viewer: Viewer,
        session: Session,
        layers: CaseLayers,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self.viewer, self.session, self.layers = viewer, session, layers
        self.active = False
        self.text = ""
        self._layer: Shapes | None = None
        self._hand: Layer | None = None
        self._before: Line | None = None
        self._line: Line | None = None

    def take_up(self) -> None:
        """Let the next drag measure; the mask stays active, so every key works."""
        if self.active or self.session.opened is None:
            return
        with self.layers.quietly():
            hand = self.viewer.layers.selection.active
            self._layer = Shapes(ndim=2, name="Ruler", opacity=1.0)
            if self.layers.film is not None:
                self._layer.units = self.layers.film.units
            add_locked(self.viewer, self._layer)
            self.viewer.layers.selection.active = hand
            if isinstance(hand, Labels):
                hand.mode = "pan_zoom"
                hand.events.mode.connect(self._other_tool)
            if hand is not None:
                hand.mouse_pan = False
        self._hand = hand
        self.viewer.mouse_drag_callbacks.append(self._dragged)
        self.active, self.text = True, "drag to measure"
        self.changed.emit()

    def put_down(self) -> None:
        """Take the line away; the mouse moves the film again."""
        if not self.active:
            return
        self.active, self.text = False, ""
        hand, self._hand = self._hand, None
        self.viewer.mouse_drag_callbacks.remove(self._dragged)
        with self.layers.quietly():
            if isinstance(hand, Labels):
                hand.events.mode.disconnect(self._other_tool)
            if hand is not None:
                hand.mouse_pan = str(hand.mode) == "pan_zoom"
            remove_locked(self.viewer, self._layer)
        self._layer = self._before = self._line = None
        self.changed.emit()

    def measure(self, start: tuple[float, float], end: tuple[float, float]) -> None:
        """Lay the ruler between two points of the world and read it."""
        opened, layer = self.session.opened, self._layer
        if opened is None or layer is None:
            return
        self._line = start, end
        self.text = distance(start, end, opened.radiograph)
        if self._before is not None:
            self.text += f" · {compared(self._before, self._line)}"
        self._draw(layer)
        self.changed.emit()

    def _draw(self, layer: Shapes) -> None:
        """Draw each line on a dark one, and the words on a dark ground."""
        zoom = max(float(self.viewer.camera.zoom), 1e-6)
        lines = [np.array(line) for line in (self._before, self._line) if line]
        layer.data, layer.features, layer.text = [], {}, {"string": {"constant": ""}}
        for colour, width in (("black", _RIM), (_COLOUR, _LINE)):
            layer.add_lines(lines, edge_color=colour, edge_width=width / zoom)
        middle = lines[-1].mean(0) - (1.5 * _TALL / zoom, 0)
        half = np.array([_TALL, _LETTER * len(self.text)]) / 2 / zoom
        corners = [(-1, -1), (-1, 1), (1, 1), (1, -1)]
        ground = np.array([middle + half * corner for corner in corners])
        layer.add_polygons([ground], face_color="black", edge_width=0)
        layer.features = {"text": [*[""] * (2 * len(lines)), self.text]}
        layer.text = {
            "string": "{text}",
            "color": {"constant": _COLOUR},
            "size": 14,
            "anchor": "center",
        }

    def _dragged(self, viewer: Any, event: Any) -> Iterator[None]:
        start = tuple(float(value) for value in event.position[-2:])
        # A line is laid against the one before, which was laid against none.
        self._before, self._line = (None if self._before else self._line), None
        yield
        while event.type == "mouse_move":
            end = tuple(float(value) for value in event.position[-2:])
            self.measure((start[0], start[1]), (end[0], end[1]))
            yield

    def _other_tool(self, event: object = None) -> None:
        """Give way to the tool that a key of napari's takes up."""
        if self._hand is not None and str(self._hand.mode) != "pan_zoom":
            self.put_down()


def distance(
    start: tuple[float, float], end: tuple[float, float], film: Radiograph
) -> str:
    """Return the distance of two points of the world in words.

    Millimetres where the film's spacing is known, and said to be those of the detector
    where the file tells no more: what lies in front of it is magnified. Pixels else.
    """
    length = float(np.hypot(end[0] - start[0], end[1] - start[1]))
    if film.spacing_mm is None:
        return f"{length:.0f} px"
    where = " at the detector" if film.spacing_kind == "detector" else ""
    return f"{length:.1f} mm{where}"


def compared(first: Line, second: Line) -> str:
    """Return two lines' ratio, the shorter to the longer, and angle, in words.

    Of the widths of heart and chest it is the cardiothoracic ratio.
    """
    one, other = (np.subtract(end, start) for start, end in (first, second))
    lengths = sorted((float(np.hypot(*one)), float(np.hypot(*other))))
    if not lengths[0]:
        return "a point"
    cosine = abs(float(one @ other)) / (lengths[0] * lengths[1])
    angle = np.degrees(np.arccos(min(cosine, 1.0)))
    return f"ratio {lengths[0] / lengths[1]:.2f} · {angle:.0f}°"

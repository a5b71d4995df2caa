"""A ruler: drag from one point of the film to another and read the distance."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from napari.layers import Labels, Layer, Shapes
from napari.viewer import Viewer
from qtpy.QtCore import QObject, Signal

from napari_wsseg._widgets.canvas.case_layers import CaseLayers
from napari_wsseg.schema import Radiograph
from napari_wsseg.session import Session

_COLOUR = "#F0E442"
_LINE = 2
"""Width of the line, in pixels of the screen."""


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
        self.words = ""
        self._layer: Shapes | None = None
        self._hand: Layer | None = None

    def take_up(self) -> None:
        """Let the next drag measure; the mask stays active, so every key works."""
        if self.active or self.session.opened is None:
            return
        with self.layers.quietly():
            hand = self.viewer.layers.selection.active
            self._layer = Shapes(ndim=2, name="Ruler", opacity=1.0)
            if self.layers.film is not None:
                self._layer.units = self.layers.film.units
            self.viewer.add_layer(self._layer)
            self.viewer.layers.selection.active = hand
            if isinstance(hand, Labels):
                hand.mode = "pan_zoom"
                hand.events.mode.connect(self._other_tool)
            if hand is not None:
                hand.mouse_pan = False
        self._hand = hand
        self.viewer.mouse_drag_callbacks.append(self._dragged)
        self.active, self.words = True, "drag to measure"
        self.changed.emit()

    def put_down(self) -> None:
        """Take the line away; the mouse moves the film again."""
        if not self.active:
            return
        self.active, self.words = False, ""
        hand, self._hand = self._hand, None
        self.viewer.mouse_drag_callbacks.remove(self._dragged)
        with self.layers.quietly():
            if isinstance(hand, Labels):
                hand.events.mode.disconnect(self._other_tool)
            if hand is not None:
                hand.mouse_pan = str(hand.mode) == "pan_zoom"
            if self._layer is not None and self._layer in self.viewer.layers:
                self.viewer.layers.remove(self._layer)
        self._layer = None
        self.changed.emit()

    def measure(self, start: tuple[float, float], end: tuple[float, float]) -> None:
        """Lay the ruler between two points of the world and read it."""
        opened, layer = self.session.opened, self._layer
        if opened is None or layer is None:
            return
        self.words = distance(start, end, opened.radiograph)
        zoom = max(float(self.viewer.camera.zoom), 1e-6)
        layer.data = []
        layer.features = {}
        layer.add_lines(
            np.array([start, end]), edge_color=_COLOUR, edge_width=_LINE / zoom
        )
        layer.text = {
            "string": {"constant": self.words},
            "color": {"constant": _COLOUR},
            "size": 14,
            "anchor": "center",
            "translation": (-20 / zoom, 0),
        }
        self.changed.emit()

    def _dragged(self, viewer: Any, event: Any) -> Iterator[None]:
        start = tuple(float(value) for value in event.position[-2:])
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

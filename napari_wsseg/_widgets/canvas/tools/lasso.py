"""Lasso: an outline that snaps to the film's edges while the mouse goes along them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from napari.layers import Labels, Shapes
from napari.viewer import Viewer
from numpy.typing import NDArray
from qtpy.QtCore import QObject, Signal
from skimage.draw import polygon2mask

from napari_wsseg._widgets.canvas.autosave import Autosave
from napari_wsseg._widgets.canvas.case_layers import CaseLayers
from napari_wsseg._widgets.canvas.layer_updates import add_locked, remove_locked
from napari_wsseg._widgets.parts.worker_thread import Latest, QtBackground
from napari_wsseg.ops.livewire import Livewire, Points
from napari_wsseg.session import Session

CLOSE = 10
"""Pixels of the screen from the first point within which a click closes the outline."""

COOLED = 250
"""Pixels of the screen of an outline drawn in one go after which a point is set."""

_COLOUR, _LINE, _RIM = "#F0E442", 2, 5


class Lasso(QObject):
    """An outline on a layer of its own, there only while the tool is in hand.

    A click sets a point, and from it the outline follows the edges to the mouse; a drag
    sets points as it goes. A click on the first point, or Enter, fills it into the
    mask as one step of undo, with Ctrl it is taken away; Backspace takes the last point
    back, Esc drops the outline. Until the film's edges are known, lines are straight.

    Signals
    -------
    changed()
        The tool was taken up or put down.
    """

    changed = Signal()

    def __init__(
        self,
        viewer: Viewer,
        session: Session,
        layers: CaseLayers,
        autosave: Autosave,
        background: QtBackground,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self.viewer, self.session = viewer, session
        self.layers, self.autosave = layers, autosave
        self._latest = Latest(background)
        self._wire: tuple[str, Livewire] | None = None
        self._hand: Labels | None = None
        self._layer: Shapes | None = None
        self._anchors: list[Points] = []
        self._paths: list[Points] = []
        self._live: Points = np.zeros((0, 2))

    @property
    def active(self) -> bool:
        """Whether the tool is in the reader's hand."""
        return self._hand is not None

    @property
    def snaps(self) -> bool:
        """Whether the edges of the film on screen are known."""
        case = self.session.case
        known = self._wire
        return case is not None and known is not None and known[0] == case.id

    @property
    def outline(self) -> Points:
        """The (N, 2) outline so far, up to the mouse, in pixels of the film."""
        return np.vstack([*self._paths, self._live]) if self._anchors else self._live

    def take_up(self) -> None:
        """Let clicks set points; the mask stays active, so every key works."""
        opened, hand = self.session.opened, self.layers.active
        if self.active or opened is None or hand is None or not hand.editable:
            return
        with self.layers.quietly():
            self._layer = Shapes(ndim=2, name="Lasso", opacity=1.0)
            self._layer.units = hand.units
            add_locked(self.viewer, self._layer)
            self.viewer.layers.selection.active = hand
            hand.mode = "pan_zoom"
            hand.mouse_pan = False
        self._hand = hand
        hand.events.mode.connect(self._other_tool)
        for key, action in self._keys().items():
            hand.bind_key(key, action, overwrite=True)
        self.viewer.mouse_drag_callbacks.append(self._pressed)
        self.viewer.mouse_move_callbacks.append(self._moved)
        self._learn_edges()
        self.changed.emit()

    def put_down(self) -> None:
        """Take the outline away; the mouse moves the film again."""
        hand, self._hand = self._hand, None
        if hand is None:
            return
        self.viewer.mouse_drag_callbacks.remove(self._pressed)
        self.viewer.mouse_move_callbacks.remove(self._moved)
        hand.events.mode.disconnect(self._other_tool)
        for key in self._keys():
            hand.bind_key(key, None)
        self._forget()
        with self.layers.quietly():
            hand.mouse_pan = str(hand.mode) == "pan_zoom"
            remove_locked(self.viewer, self._layer)
        self._layer = None
        self.changed.emit()

    def drop(self) -> None:
        """Forget the outline; the tool stays in hand."""
        self._forget()
        self._draw()

    def close(self, *, away: bool = False) -> None:
        """Fill the outline into the mask, or take it `away`, as one step of undo."""
        hand, opened = self._hand, self.session.opened
        finding = self.session.looking.finding
        if hand is None or opened is None or finding is None or len(self._anchors) < 2:
            return
        self._lead_to(self._anchors[0])
        inside = polygon2mask(hand.data.shape, self.outline)
        mask: NDArray[np.bool_] = hand.data != 0
        allowed = self.autosave.within(finding.name)
        if not away and allowed is not None:
            inside &= allowed
        self.drop()
        changed = mask & ~inside if away else mask | inside
        self.autosave.apply(finding.name, changed, "lasso")

    def back(self) -> None:
        """Take the last point back."""
        if self._anchors:
            self._anchors.pop()
            last = self._paths.pop()
            end = self._live[-1] if len(self._live) else last[-1]
            if self._anchors:
                self._begin_at(self._anchors[-1])
                self._lead_to(end)
            else:
                self._live = np.zeros((0, 2))
            self._draw()

    def _keys(self) -> dict[str, Any]:
        return {
            "Enter": lambda layer: self.close(),
            "Control-Enter": lambda layer: self.close(away=True),
            "Escape": lambda layer: self.drop(),
            "Backspace": lambda layer: self.back(),
        }

    def _learn_edges(self) -> None:
        """Find the film's edges in the background, once a film."""
        opened = self.session.opened
        if opened is None or (self._wire and self._wire[0] == opened.case.id):
            return
        self._wire, pixels = None, opened.radiograph.pixels

        def done(wire: Livewire) -> None:
            self._wire = opened.case.id, wire
            if self._anchors:
                self._begin_at(self._anchors[-1])

        self._latest.submit(
            lambda: Livewire(pixels),
            done,
            lambda error: self.session.message.emit(str(error)),
        )

    def _forget(self) -> None:
        self._anchors, self._paths, self._live = [], [], np.zeros((0, 2))

    # What the mouse does --------------------------------------------------------------

    def _pressed(self, viewer: Any, event: Any) -> Iterator[None]:
        if event.button != 1 or self._hand is None:
            return
        away = "Control" in event.modifiers
        if self._at_first(event):
            self.close(away=away)
            return
        self._set(self._place(event))
        yield
        drawn = False
        while event.type == "mouse_move" and self._hand is not None:
            drawn = True
            self._follow(event)
            if self._on_screen(self._live) > COOLED:
                self._set(self._live[-1])
            yield
        if drawn and self._hand is not None:
            if self._at_first(event):
                self.close(away="Control" in event.modifiers)
            else:
                self._set(self._place(event))

    def _moved(self, viewer: Any, event: Any) -> None:
        self._follow(event)

    def _follow(self, event: Any) -> None:
        if self._anchors:
            self._lead_to(self._place(event))
            self._draw()

    def _set(self, place: Points) -> None:
        """Set a point: what led to it stays."""
        self._lead_to(place)
        self._paths.append(self._live if self._anchors else place[None])
        self._anchors.append(place)
        self._begin_at(place)
        self._live = np.zeros((0, 2))
        self._draw()

    def _begin_at(self, place: Points) -> None:
        if self._wire is not None:
            self._wire[1].start((float(place[0]), float(place[1])))

    def _lead_to(self, place: Points) -> None:
        """Let the outline go on from the last point to a place."""
        if not self._anchors:
            return
        if self._wire is None:
            self._live = np.stack([self._anchors[-1], place])
        else:
            self._live = self._wire[1].path((float(place[0]), float(place[1])))

    # Where things are -----------------------------------------------------------------

    def _place(self, event: Any) -> Points:
        """Return where the mouse is, in pixels of the film and on it."""
        assert self._hand is not None
        place = np.asarray(self._hand.world_to_data(event.position)[-2:])
        return np.clip(place, 0, np.subtract(self._hand.data.shape, 1))

    def _at_first(self, event: Any) -> bool:
        if len(self._anchors) < 3:
            return False
        return self._on_screen(np.stack([self._anchors[0], self._place(event)])) < CLOSE

    def _on_screen(self, points: Points) -> float:
        """Return the length of a line in pixels of the screen."""
        if len(points) < 2:
            return 0.0
        steps = np.diff(self._world(points), axis=0)
        return float(np.hypot(*steps.T).sum() * self.viewer.camera.zoom)

    def _world(self, points: Points) -> Points:
        assert self._hand is not None
        return points * self._hand.scale[-2:] + self._hand.translate[-2:]

    def _draw(self) -> None:
        """Draw the outline on a dark one, which is seen on bone."""
        layer = self._layer
        if layer is None or self._hand is None:
            return
        line, zoom = (
            self._world(self.outline),
            max(float(self.viewer.camera.zoom), 1e-6),
        )
        with self.layers.quietly():
            layer.data = []
            if len(line) > 1:
                for colour, width in (("black", _RIM), (_COLOUR, _LINE)):
                    layer.add_paths([line], edge_color=colour, edge_width=width / zoom)

    def _other_tool(self, event: object = None) -> None:
        """Give way to the tool that a key of napari's takes up."""
        if self._hand is not None and str(self._hand.mode) != "pan_zoom":
            self.put_down()

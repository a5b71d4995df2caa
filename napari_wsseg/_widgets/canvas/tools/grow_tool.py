"""Grow: a few strokes inside and outside become a proposal, taken with one key."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from napari.layers import Labels
from napari.viewer import Viewer
from numpy.typing import NDArray
from qtpy.QtCore import QObject, Signal
from scipy import ndimage

from napari_wsseg._widgets.canvas import thumbnails as _thumbnails
from napari_wsseg._widgets.canvas.autosave import Autosave
from napari_wsseg._widgets.canvas.case_layers import CaseLayers
from napari_wsseg._widgets.canvas.layer_updates import (
    add_locked,
    new_labels,
    place,
    remove_locked,
)
from napari_wsseg._widgets.parts.worker_thread import Latest, QtBackground
from napari_wsseg.ops import scribble
from napari_wsseg.session import Session
from napari_wsseg.session.open_case import OpenedCase

SIDE = 512
"""Longest side, in pixels, of the strokes and of the proposal shown."""

EDGE_CELLS = 128
"""Longest side of the grid of the film's own edges. A learned boundary that is coarser
is left alone: with one of 32 cells a heart took more clicks (`benchmarks.grow_clicks`).
"""

IN, OUT = 1, 2
"""Values of the strokes' layer: inside the finding, and outside it."""

_OUTSIDE = "#FFFFFF"

_Key: TypeAlias = tuple[str, bool, bool]
"""Case id, whether boundaries were learned, whether a mask is corrected."""


class GrowTool(QObject):
    """Strokes on a layer of their own, the proposal below, both of one film alone.

    The walk stops at the film's own edges, or at IRNet's boundaries where they are as
    fine as those. Where the finding has a mask, strokes correct that mask near them and
    leave the rest; where it has none, they correct the draft of the stage on screen,
    which is laid in with the proposal. Nothing reaches the expert mask before the
    reader takes it; undo on the strokes' layer takes back one stroke.

    Signals
    -------
    changed()
        The tool was taken up or put down, the side was turned, or a proposal came.
    failed(str)
        Why nothing could be proposed, for a person.
    """

    changed = Signal()
    failed = Signal(str)

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
        self.strokes: Labels | None = None
        self.proposal: Labels | None = None
        self._latest = Latest(background)
        self._graph: tuple[_Key, scribble.Graph] | None = None
        self._chance: NDArray[np.float32] | None = None
        self._base: NDArray[np.bool_] | None = None
        self._stage: str | None = None
        self._heard: NDArray[np.uint8] = np.zeros((0, 0), np.uint8)

    @property
    def active(self) -> bool:
        """Whether the tool is in the reader's hand."""
        return self.strokes is not None

    @property
    def ready(self) -> bool:
        """Whether there is a proposal to be taken."""
        if self._chance is None:
            return False
        proposed = self._chance >= 0.5
        if self._base is not None:
            return not np.array_equal(proposed, self._base)
        return bool(proposed.any())

    @property
    def learned(self) -> bool:
        """Whether the walk stops at learned boundaries, not at the film's own edges."""
        opened = self.session.opened
        return opened is not None and _boundary(opened) is not None

    @property
    def stage(self) -> str | None:
        """The stage whose draft is corrected, as the finding has no mask yet."""
        return self._stage

    def take_up(self) -> None:
        """Let the reader stroke: the left button inside, with Ctrl outside."""
        opened, finding = self.session.opened, self.session.looking.finding
        if self.active or opened is None or finding is None or self.session.readonly:
            return
        self._chance = self._base = self._stage = None
        shape = _thumbnails.small_shape(opened.case.shape, SIDE)
        brush = self.layers.active
        pale = _pale(finding.colour)
        self.proposal = new_labels("Proposal", {1: pale, None: pale}, 0.55)
        self.proposal.editable = False
        colours: dict[int | None, str] = {IN: finding.colour, OUT: _OUTSIDE}
        self.strokes = new_labels("Grow strokes", colours, 0.9)
        spacing = np.array(opened.case.spacing_mm or (1.0, 1.0))
        scale = np.array(opened.case.shape) / shape
        unit = "pixel" if opened.case.spacing_mm is None else "mm"
        with self.layers.quietly():
            for layer in (self.proposal, self.strokes):
                layer.data = np.zeros(shape, np.uint8)
                layer.units = (unit, unit)
                place(layer, scale * spacing, (scale * 0.5 - 0.5) * spacing)
                add_locked(self.viewer, layer)
            self.viewer.layers.selection.active = self.strokes
        self.resize(float(brush.brush_size) if brush is not None else 10.0)
        self.strokes.mode = "paint"
        self.strokes.selected_label = IN
        self.strokes.mouse_drag_callbacks.insert(0, self._side_of_stroke)
        self.strokes.events.paint.connect(self._grow)
        self.strokes.events.set_data.connect(self._undone)
        self.strokes.bind_key(
            "Enter", lambda layer: self.accept_proposal(), overwrite=True
        )
        self.strokes.bind_key("Escape", lambda layer: self.drop(), overwrite=True)
        self.changed.emit()

    def put_down(self) -> None:
        """Take both layers away; a proposal that was not taken is gone."""
        if self.strokes is None or self.proposal is None:
            return
        strokes, proposal = self.strokes, self.proposal
        self.strokes = self.proposal = None
        self._chance = self._base = self._stage = None
        with self.layers.quietly():
            for layer in (strokes, proposal):
                remove_locked(self.viewer, layer)
            if self.layers.active in self.viewer.layers:
                self.viewer.layers.selection.active = self.layers.active
        self.changed.emit()

    def accept_proposal(self) -> None:
        """Bring the proposal into the expert mask, as one step that undo takes back.

        A draft that it corrects is laid in first, as a step of its own.
        """
        opened, finding = self.session.opened, self.session.looking.finding
        if not self.ready or opened is None or finding is None or self._chance is None:
            return
        grown = _at(self._chance, opened.case.shape) >= 0.5
        if self._stage is not None:
            self.autosave.lay_in(self._stage)
        mask = self.layers.experts[finding.name].data != 0
        if self._base is None:
            mask = mask | grown
        else:
            # What the strokes did not change stays as it was drawn, to the pixel.
            changed = _at(((self._chance >= 0.5) != self._base), mask.shape) > 0
            mask = np.where(changed, grown, mask)
        run = opened.shown.runs.get("irnet") if self.learned else None
        self.autosave.apply(finding.name, mask, "grow", run)
        self.drop()

    def drop(self) -> None:
        """Forget strokes and proposal; the tool stays in hand."""
        if self.strokes is None or self.proposal is None:
            return
        self._chance = self._base = self._stage = None
        self._heard = np.zeros_like(self.strokes.data)
        self.strokes.data = np.zeros_like(self.strokes.data)
        self.proposal.data = np.zeros_like(self.proposal.data)
        self.proposal.editable = False
        self.changed.emit()

    def resize(self, pixels: float) -> None:
        """Make strokes about as wide as a brush of so many pixels of the film."""
        if self.strokes is not None and self.session.case is not None:
            factor = self.strokes.data.shape[0] / self.session.case.shape[0]
            self.strokes.brush_size = max(2.0, pixels * factor)

    def turn(self, side: int) -> None:
        """Let the next strokes lie inside or outside: `IN` or `OUT`."""
        if self.strokes is not None:
            self.strokes.selected_label = side
            self.changed.emit()

    def _side_of_stroke(self, layer: Labels, event: object) -> None:
        modifiers = getattr(event, "modifiers", ())
        if "Control" in modifiers:
            before = int(layer.selected_label)
            layer.selected_label = IN if before == OUT else OUT
            # For this stroke alone.
            layer.events.paint.connect(_Back(layer, before))

    def _grow(self, event: object = None) -> None:
        opened, strokes = self.session.opened, self.strokes
        if opened is None or strokes is None:
            return
        self.session.work.gesture("grow stroke")
        self._propose()

    def _undone(self, event: object = None) -> None:
        """Follow an undo or redo of one stroke."""
        strokes = self.strokes
        if strokes is None or np.array_equal(strokes.data, self._heard):
            return
        self.session.work.gesture("undo")
        self._propose()

    def _propose(self) -> None:
        opened, strokes = self.session.opened, self.strokes
        if opened is None or strokes is None:
            return
        self._heard = strokes.data.copy()
        base, stage = self._mask_in_hand(strokes.data.shape), None
        if base is None:
            base, stage = self._draft_shown(strokes.data.shape)
        drawn = np.full(strokes.data.shape, scribble.NOTHING, np.uint8)
        drawn[strokes.data == IN] = scribble.INSIDE
        drawn[strokes.data == OUT] = scribble.OUTSIDE
        known = self._graph
        key = opened.case.id, self.learned, base is not None

        def work() -> tuple[scribble.Graph, NDArray[np.float32]]:
            kept = known is not None and known[0] == key
            graph = known[1] if known and kept else _graph(opened, base is not None)
            if base is None:
                return graph, graph.grow(drawn)
            if (drawn == scribble.NOTHING).all():
                return graph, base.astype(np.float32)
            return graph, graph.correct(drawn, base)

        def done(found: tuple[scribble.Graph, NDArray[np.float32]]) -> None:
            self._graph = key, found[0]
            if self.strokes is strokes and self.proposal is not None:
                self._chance, self._base, self._stage = found[1], base, stage
                self.proposal.data = (found[1] >= 0.5).astype(np.uint8)
                self.proposal.editable = False
                self.changed.emit()

        self._latest.submit(work, done, lambda error: self.failed.emit(str(error)))

    def _mask_in_hand(self, shape: tuple[int, ...]) -> NDArray[np.bool_] | None:
        """Return the finding's mask at a shape, ``None`` where there is none."""
        finding = self.session.looking.finding
        layer = self.layers.experts.get(finding.name) if finding else None
        if layer is None or not layer.data.any():
            return None
        small = _thumbnails.shrink(layer.data != 0, (shape[0], shape[1]))
        return np.asarray(small, bool)

    def _draft_shown(
        self, shape: tuple[int, ...]
    ) -> tuple[NDArray[np.bool_] | None, str | None]:
        """Return the draft on screen and its stage, ``None`` where it marks nothing."""
        stage, finding = self.session.looking.view, self.session.looking.finding
        if finding is None or stage not in self.session.stages():
            return None, None
        draft = self.session.draft(stage, finding.name, (shape[0], shape[1]))
        return (draft, stage) if draft is not None and draft.any() else (None, None)


class _Back:
    """Turns the side back once the stroke that turned it is done."""

    def __init__(self, layer: Labels, side: int) -> None:
        self.layer, self.side = layer, side

    def __call__(self, event: object = None) -> None:
        self.layer.events.paint.disconnect(self)
        self.layer.selected_label = self.side


def _boundary(opened: OpenedCase) -> NDArray[np.float32] | None:
    """Return IRNet's boundary of the film, without the letterbox's margins.

    ``None`` where there is none, or none as fine as `EDGE_CELLS`.
    """
    maps = opened.maps.get("irnet")
    found = None if maps is None else maps.extra.get("boundary")
    if found is None or max(found.shape[-2:]) < EDGE_CELLS:
        return None
    boundary = np.asarray(found[0], np.float32).clip(0, 1)
    return _thumbnails.cropped(boundary, opened.case.shape)


def _graph(opened: OpenedCase, correcting: bool) -> scribble.Graph:
    boundary = _boundary(opened)
    if boundary is None:
        stride = max(1, round(max(opened.case.shape) / EDGE_CELLS))
        boundary = scribble.edges(opened.radiograph.pixels, stride=stride)
    if correcting:
        return scribble.Graph(boundary, steps=scribble.CORRECTING_STEPS)
    return scribble.Graph(boundary)


def _at(chance: NDArray[Any], shape: tuple[int, int]) -> NDArray[np.float32]:
    factors = np.divide(shape, chance.shape)
    full = ndimage.zoom(
        chance.astype(np.float32), factors, order=1, mode="nearest", grid_mode=True
    )
    return np.asarray(full, np.float32)


def _pale(colour: str) -> str:
    """Return a colour half way to white."""
    parts = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return "#" + "".join(f"{(part + 255) // 2:02X}" for part in parts)

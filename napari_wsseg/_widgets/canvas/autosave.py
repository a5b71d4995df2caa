"""Autosave: every stroke, undo and redo reaches the session at once.

Painting emits ``paint``, but undo and redo only ``set_data``, and other code may set
``data``; so all three are heard and the content decides whether anything changed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
from napari.layers import Labels
from qtpy.QtCore import QTimer

from napari_wsseg._widgets.canvas.case_layers import CaseLayers
from napari_wsseg.schema import Mask
from napari_wsseg.session import Session

_EVENTS = ("paint", "set_data", "data")


class Autosave:
    """Hands what the reader draws on the expert layers to the session.

    Attributes
    ----------
    within
        Returns the (H, W) mask of a finding that strokes may add to, or ``None`` where
        they are free.
    """

    def __init__(self, layers: CaseLayers, session: Session) -> None:
        self._layers = layers
        self._session = session
        self._heard: dict[str, tuple[Labels, Callable[..., None]]] = {}
        self._tool: tuple[str, str | None] = ("brush", None)
        self.within: Callable[[str], Mask | None] = lambda finding: None
        session.case_changed.connect(self.listen)
        session.project_changed.connect(self.listen)
        self.listen()

    def listen(self) -> None:
        """Hear every expert layer there is, and no other."""
        for name, (layer, _) in list(self._heard.items()):
            if self._layers.experts.get(name) is not layer:
                self._forget(name)
        for name, layer in self._layers.experts.items():
            if name not in self._heard:
                slot = self._slot(name, layer)
                for event in _EVENTS:
                    getattr(layer.events, event).connect(slot)
                self._heard[name] = layer, slot

    def close(self) -> None:
        """Stop hearing."""
        self._session.case_changed.disconnect(self.listen, missing_ok=True)
        self._session.project_changed.disconnect(self.listen, missing_ok=True)
        for name in list(self._heard):
            self._forget(name)

    @contextmanager
    def made_by(self, tool: str, run: str | None = None) -> Iterator[None]:
        """Say how the edits inside come about, e.g. ``"from irnet"``."""
        before, self._tool = self._tool, (tool, run)
        try:
            yield
        finally:
            self._tool = before

    def apply(self, name: str, mask: Mask, tool: str, run: str | None = None) -> None:
        """Make a finding's mask `mask`, as one step that undo takes back."""
        layer = self._layers.experts[name]
        changed = np.nonzero((layer.data != 0) != mask)
        if not changed[0].size or not layer.editable:
            return
        values = mask[changed].astype(layer.data.dtype)
        # In a block, napari tells of the change after it was made, not before.
        with self.made_by(tool, run), layer.block_history():
            layer.data_setitem(changed, values)

    def lay_in(self, stage: str) -> None:
        """Copy a stage's draft of the current finding into its expert mask."""
        opened, looking = self._session.opened, self._session.looking
        if opened is None or looking.finding is None:
            return
        name = looking.finding.name
        mask = self._session.draft(stage, name, opened.case.shape)
        if mask is not None:
            tool = f"from {opened.shown.maps_name(stage)}"
            tool += " snapped" if looking.snap else ""
            self.apply(name, mask, tool, opened.shown.runs.get(stage))

    def _slot(self, name: str, layer: Labels) -> Callable[..., None]:
        def heard(event: object = None) -> None:
            if self._layers.quiet:
                return
            drawn = layer.data != 0
            tool, run = self._tool
            if tool == "brush" and getattr(event, "type", "") == "paint":
                drawn = self._kept_within(name, layer, drawn)
            gesture = tool if tool != "brush" else _gesture(layer, event)
            self._session.edit(name, drawn, tool=tool, source_run=run, gesture=gesture)

        return heard

    def _kept_within(self, name: str, layer: Labels, drawn: Mask) -> Mask:
        """Return what a stroke may leave, and take the rest off the layer."""
        allowed, experts = self.within(name), self._session.experts
        if allowed is None or experts is None:
            return drawn
        kept = drawn & (allowed | experts.masks[name])
        if np.array_equal(kept, drawn):
            return drawn
        case_id = experts.case_id

        def take_off() -> None:
            if experts.case_id != case_id or name not in self._heard:
                return
            # The session has the stroke as it stays; here it becomes that one step.
            with self._layers.quietly():
                layer.undo()
                self.apply(name, kept, "brush")

        # napari has not finished with the stroke while it tells of it.
        QTimer.singleShot(0, take_off)
        return kept

    def _forget(self, name: str) -> None:
        layer, slot = self._heard.pop(name)
        for event in _EVENTS:
            getattr(layer.events, event).disconnect(slot)


def _gesture(layer: Labels, event: object) -> str:
    """Name what the hand did: the tool of a stroke, or ``"undo"`` for undo and redo."""
    return str(layer.mode) if getattr(event, "type", "") == "paint" else "undo"

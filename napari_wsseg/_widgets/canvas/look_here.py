"""A layer that marks where the draft on screen is contested by the other stages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import numpy as np
from napari.layers import Labels
from napari.layers.base import LayerLock
from napari.viewer import Viewer
from psygnal import SignalInstance

from napari_wsseg._widgets.canvas.case_layers import CaseLayers
from napari_wsseg._widgets.canvas.layer_updates import (
    at_once,
    new_labels,
    over_film,
    place,
    show,
)
from napari_wsseg._widgets.canvas.optional_layers import GuestLayers
from napari_wsseg.session import Session
from napari_wsseg.session.effort import contested

TOO_MUCH_COLOUR, MISSING_COLOUR = "#FF3DE8", "#19D3F3"
"""Apart for every kind of colour sight, and from greys and the shades of maps."""


class LookHere(GuestLayers):
    """One layer, made when it is first wanted; it follows film, finding and view."""

    at_first: ClassVar[Mapping[str, bool]] = {"contested": False}

    def __init__(self, viewer: Viewer, session: Session, layers: CaseLayers) -> None:
        self.layer: Labels | None = None
        super().__init__(viewer, session, layers)

    def refresh(self) -> None:
        """Mark what is contested, or hide the layer."""
        session = self.session
        wanted = self.wanted["contested"] and not self.layers.hidden
        marks = contested.on_screen(session) if wanted else None
        with self.layers.quietly():
            if marks is None or session.case is None:
                if self.layer is not None:
                    show(self.layer, False)
                return
            layer = self.layer or self._add()
            with at_once(self.viewer, [layer]):
                layer.data = np.asarray(marks)
                layer.editable = False
                place(layer, *over_film(session.case, marks.shape))
            show(layer, True)

    def _add(self) -> Labels:
        colours: dict[int | None, str] = {
            contested.TOO_MUCH: TOO_MUCH_COLOUR,
            contested.MISSING: MISSING_COLOUR,
        }
        layer = self.layer = new_labels("Look here", colours, 0.8)
        if self.layers.film is not None:
            layer.units = self.layers.film.units
        outline, layers = self.layers.outline, self.viewer.layers
        selection = layers.selection
        before = selection.active
        layers.insert(layers.index(outline) if outline in layers else 0, layer)
        # napari selects what is new; the keys of the tools belong to the expert mask.
        selection.active = before
        self.layers.guests.append(layer)
        layer.locked = LayerLock.DELETION
        return layer

    def _forget(self) -> None:
        """Put the layer of another project away."""
        layer, self.layer = self.layer, None
        if layer is None:
            return
        with self.layers.quietly():
            layer.locked = LayerLock.NONE
            if layer in self.viewer.layers:
                self.viewer.layers.remove(layer)
            if layer in self.layers.guests:
                self.layers.guests.remove(layer)

    def _signals(self) -> tuple[SignalInstance, ...]:
        session, looking = self.session, self.session.looking
        return (
            session.case_changed,
            session.stages_changed,
            looking.finding_changed,
            looking.view_changed,
            looking.threshold_changed,
        )

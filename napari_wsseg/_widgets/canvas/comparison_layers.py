"""Layers of a comparison: the first mask, the second, and where they differ."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import numpy as np
from napari.layers import Labels
from napari.layers.base import LayerLock
from napari.viewer import Viewer
from numpy.typing import NDArray
from psygnal import SignalInstance

from napari_wsseg._widgets.canvas.case_layers import CaseLayers
from napari_wsseg._widgets.canvas.layer_updates import at_once, new_labels, place, show
from napari_wsseg._widgets.canvas.optional_layers import GuestLayers
from napari_wsseg.session import Session
from napari_wsseg.session.versions import difference

FIRST, SECOND = "#FFB000", "#8F7BFF"
"""Apart from each other for every kind of colour sight, and from a film's greys."""

PARTS = ("first", "second", "difference")


class ComparedLayers(GuestLayers):
    """Made when two masks are first compared, hidden when nothing is.

    Attributes
    ----------
    wanted
        Which of `PARTS` are shown while something is compared.
    """

    at_first: ClassVar[Mapping[str, bool]] = dict.fromkeys(PARTS, True)

    def __init__(self, viewer: Viewer, session: Session, layers: CaseLayers) -> None:
        self.parts: dict[str, Labels] = {}
        super().__init__(viewer, session, layers)

    def masks(self) -> tuple[NDArray[np.bool_], NDArray[np.bool_]] | None:
        """Return both (H, W) masks of the current finding; ``None``: no comparison."""
        session, now = self.session, self.session.comparing.now
        case, finding = session.case, session.looking.finding
        if now is None or case is None or finding is None or session.experts is None:
            return None
        if now.case != case.id:
            return None
        if now.version is not None and now.version.finding != finding.name:
            return None
        blank = np.zeros(case.shape, bool)
        first = now.first.get(finding.name, blank)
        if now.second is not None:
            return first, now.second.get(finding.name, blank)
        return first, session.experts.masks[finding.name]

    def refresh(self) -> None:
        """Follow the comparison, the finding and what is drawn."""
        masks, now = self.masks(), self.session.comparing.now
        with self.layers.quietly():
            if masks is None or now is None or self.layers.hidden:
                for layer in self.parts.values():
                    show(layer, False)
                return
            self._build()
            data = (
                masks[0].view(np.uint8),
                masks[1].view(np.uint8),
                difference(*masks),
            )
            case = self.session.case
            spacing = (case and case.spacing_mm) or (1.0, 1.0)
            # A version's second mask is the expert's, which is on screen already.
            needless = {"second"} if now.second is None else set[str]()
            with at_once(self.viewer, list(self.parts.values())):
                for part, pixels in zip(PARTS, data, strict=True):
                    self.parts[part].data = pixels
                    self.parts[part].editable = False
                    place(self.parts[part], spacing)
            names = (now.names[0], now.names[1], f"{now.names[0]} ≠ {now.names[1]}")
            for part, name in zip(PARTS, names, strict=True):
                self.parts[part].name = name
                show(self.parts[part], self.wanted[part] and part not in needless)

    def _build(self) -> None:
        if self.parts:
            return
        width = max(2, max(self.session.case.shape) // 400) if self.session.case else 2
        colours: dict[str, dict[int | None, str]] = {
            "difference": {1: FIRST, 2: SECOND},
            "first": {1: FIRST},
            "second": {1: SECOND},
        }
        for part, table in colours.items():
            opacity = 0.45 if part == "difference" else 1.0
            layer = new_labels(part, table, opacity)
            if part != "difference":
                layer.contour = width
            self.parts[part] = layer
        selection = self.viewer.layers.selection
        before = selection.active
        for layer in self.parts.values():
            if self.layers.film is not None:
                layer.units = self.layers.film.units
            self.viewer.layers.append(layer)
            self.layers.guests.append(layer)
            layer.locked = LayerLock.DELETION
        # napari selects what is new; the keys of the tools belong to the expert mask.
        selection.active = before

    def _forget(self) -> None:
        """Put the layers of another project, or of a reader before, away."""
        with self.layers.quietly():
            for layer in self.parts.values():
                layer.locked = LayerLock.NONE
                if layer in self.viewer.layers:
                    self.viewer.layers.remove(layer)
                if layer in self.layers.guests:
                    self.layers.guests.remove(layer)
        self.parts = {}

    def _signals(self) -> tuple[SignalInstance, ...]:
        session = self.session
        return (
            session.comparing.changed,
            session.case_changed,
            session.looking.finding_changed,
            session.looking.view_changed,
            session.edited,
            session.mask_replaced,
        )

"""What a stage keeps beside its score: the CRF's seed, IRNet's boundaries."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import numpy as np
from napari.layers import Image, Labels, Layer
from napari.layers.base import LayerLock
from napari.viewer import Viewer
from numpy.typing import NDArray
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
from napari_wsseg._widgets.canvas.thumbnails import cropped
from napari_wsseg.schema import IGNORE
from napari_wsseg.session import Session

FINDING, IGNORED, BACKGROUND = 1, 2, 3
"""Values of the seed's layer; the seed itself has 1, 255 and 0."""

IGNORED_COLOUR = "#C0C0C0"
BACKGROUND_COLOUR = "#27408B"

EXTRAS = {"crf": "seed", "irnet": "boundary"}
"""Stage to the map that can be laid over it."""


class ExtraLayers(GuestLayers):
    """One layer for seeds and one for boundaries, shown on wish instead of the heat.

    What IRNet learns from is three values, not a shade; and its boundaries are hard to
    see through one.
    """

    at_first: ClassVar[Mapping[str, bool]] = {"crf": True, "irnet": False}

    def __init__(self, viewer: Viewer, session: Session, layers: CaseLayers) -> None:
        self.seed: Labels | None = None
        self.boundary: Image | None = None
        super().__init__(viewer, session, layers)

    def has(self, stage: str) -> bool:
        """Whether the open film has the extra map of a stage."""
        opened = self.session.opened
        maps = opened.maps.get(stage) if opened else None
        return maps is not None and EXTRAS.get(stage) in maps.extra

    def refresh(self) -> None:
        """Follow the case, the finding and the view."""
        view = self.session.looking.view
        alone = self.session.looking.compared is None and not self.layers.hidden
        shown = view if alone and self.has(view) and self.wanted.get(view) else None
        covered = {shown} if shown else set()
        if covered != self.layers.covered:
            self.layers.covered = covered
            self.layers.show_view()
        with self.layers.quietly():
            if shown == "crf":
                self._fill_seed()
            elif shown == "irnet":
                self._fill_boundary()
            for stage, layer in (("crf", self.seed), ("irnet", self.boundary)):
                if layer is not None:
                    show(layer, shown == stage)

    def _fill_seed(self) -> None:
        opened, finding = self.session.opened, self.session.looking.finding
        settings = self.session.looking.drafts.settings.get("crf")
        if opened is None or finding is None or settings is None:
            return
        colours: dict[int | None, str] = {
            FINDING: finding.colour + "D0",
            IGNORED: IGNORED_COLOUR + "80",
            BACKGROUND: BACKGROUND_COLOUR + "50",
        }
        if self.seed is None:
            self.seed = new_labels("CRF seed · three values", colours, 1.0)
            self._add(self.seed)
        self.seed.colormap = new_labels("", colours, 1.0).colormap
        seed = opened.maps["crf"].extra["seed"]
        values = np.zeros(seed.shape[1:], np.uint8)
        if finding.name in settings.findings:
            own = seed[settings.findings.index(finding.name)]
            values = np.full(own.shape, BACKGROUND, np.uint8)
            values[own == 1] = FINDING
            values[own == IGNORE] = IGNORED
        self._lay(self.seed, values)
        self.seed.editable = False

    def _fill_boundary(self) -> None:
        opened = self.session.opened
        if opened is None:
            return
        boundary = np.asarray(opened.maps["irnet"].extra["boundary"][0], np.float32)
        if self.boundary is None:
            self.boundary = Image(
                np.zeros((2, 2), np.float32),
                name="IRNet boundary",
                colormap="cyan",
                blending="additive",
                contrast_limits=(0, 1),
                interpolation2d="linear",
            )
            self._add(self.boundary)
        self._lay(self.boundary, boundary)

    def _lay(self, layer: Labels | Image, values: NDArray[np.generic]) -> None:
        opened = self.session.opened
        if opened is None:
            return
        labels = isinstance(layer, Labels)
        data = cropped(values.astype(np.float32), opened.case.shape, nearest=labels)
        with at_once(self.viewer, [layer]):
            layer.data = data.astype(values.dtype)
            place(layer, *over_film(opened.case, data.shape))

    def _add(self, layer: Layer) -> None:
        """Put a layer below the outline, so that masks stay on top."""
        outline = self.layers.outline
        at = self.viewer.layers.index(outline) if outline in self.viewer.layers else 0
        film = self.layers.film
        if film is not None:
            layer.units = film.units
        selection = self.viewer.layers.selection
        before = selection.active
        self.viewer.layers.insert(at, layer)
        # napari selects what is new; the keys of the tools belong to the expert mask.
        selection.active = before
        self.layers.guests.append(layer)
        layer.locked = LayerLock.DELETION

    def _forget(self) -> None:
        """Put the layers of another project away."""
        with self.layers.quietly():
            for layer in (self.seed, self.boundary):
                if layer is not None and layer in self.viewer.layers:
                    layer.locked = LayerLock.NONE
                    self.viewer.layers.remove(layer)
        self.seed = self.boundary = None
        self.layers.guests.clear()

    def _signals(self) -> tuple[SignalInstance, ...]:
        session = self.session
        return (
            session.case_changed,
            session.stages_changed,
            session.looking.finding_changed,
            session.looking.view_changed,
        )

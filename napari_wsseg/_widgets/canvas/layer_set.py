"""The layers of our own in a viewer: made once, each at its place, and kept there."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from napari.layers import Image, Labels, Layer
from napari.layers.base import LayerLock
from napari.utils.colormaps import Colormap
from napari.viewer import Viewer

from napari_wsseg._widgets.canvas import thumbnails as _thumbnails
from napari_wsseg._widgets.canvas.layer_updates import in_one_go, new_labels, watch
from napari_wsseg._widgets.canvas.outlines import Outlines
from napari_wsseg.schema import STAGES, Finding

STAGE_NAMES = {
    "film": "Film",
    "cam": "CAM",
    "crf": "CRF seed",
    "irnet": "IRNet",
    "segmentation": "Segmentation",
    "expert": "Expert",
}
"""What a view is called on screen."""

BLANK = np.zeros((2, 2), np.float32)
"""What a layer without a picture holds."""

FILL = 0.5
"""Opacity of a filled mask."""

_HEAT = Colormap(_thumbnails.HEAT, name="wsseg heat")


class LayerSet:
    """Bottom to top: a film, a heat per stage, outlines, an expert mask per finding.

    Attributes
    ----------
    film, heats, experts
        The layers, by stage and by finding; none before `build`.
    """

    def __init__(self, viewer: Viewer, outlines: Outlines) -> None:
        self.viewer = viewer
        self.outlines = outlines
        self.film: Image | None = None
        self.heats: dict[str, Image] = {}
        self.experts: dict[str, Labels] = {}

    @property
    def all(self) -> list[Layer]:
        """Every layer of the set that exists, bottom to top."""
        outline = self.outlines.layer
        found = [self.film, *self.heats.values(), outline, *self.experts.values()]
        return [layer for layer in found if layer is not None]

    def build(self, findings: Sequence[Finding]) -> bool:
        """Add whatever layer is missing; return whether the film's is new."""
        new_film = self.film is None
        with in_one_go(self.viewer):
            if self.film is None:
                self.film = _film()
            for stage in STAGES:
                if stage not in self.heats:
                    self.heats[stage] = _heat(stage)
            self.outlines.build()
            for finding in findings:
                if finding.name not in self.experts:
                    both = {1: finding.colour, None: finding.colour}
                    self.experts[finding.name] = new_labels(
                        f"Expert · {finding.name}", both, FILL
                    )
            for layer in self.restore():
                layer.locked = LayerLock.DELETION
        return new_film

    def restore(self) -> list[Layer]:
        """Put layers that the viewer lacks at their places; return them."""
        missing = []
        for place, layer in enumerate(self.all):
            if layer not in self.viewer.layers:
                self.viewer.layers.insert(place, layer)
                missing.append(layer)
        return missing

    def in_order(self) -> bool:
        """Whether the viewer has the layers it has in the order of the set."""
        listed = list(self.viewer.layers)
        places = [listed.index(layer) for layer in self.all if layer in listed]
        return places == sorted(places)

    def put_in_order(self) -> None:
        """Move the layers to where they belong, each above the one before it."""
        layers, before = self.viewer.layers, -1
        for layer in self.all:
            at = layers.index(layer)
            if at < before:
                layers.move(at, before + 1)
            before = layers.index(layer)

    def remove(self) -> None:
        """Take every layer out of the viewer, and forget it."""
        # In one go: napari collects garbage at every single layer that leaves.
        with in_one_go(self.viewer):
            for layer in self.all:
                layer.locked = LayerLock.NONE
                if layer in self.viewer.layers:
                    self.viewer.layers.remove(layer)
            self.film, self.heats, self.experts = None, {}, {}
            self.outlines.layer = None


def _film() -> Image:
    film = Image(
        BLANK,
        name=STAGE_NAMES["film"],
        colormap="gray",
        contrast_limits=(0, 1),
        # Enlarged, a film has no blocks.
        interpolation2d="linear",
    )
    watch(film)
    film.contrast_limits_range = (0, 1)
    return film


def _heat(stage: str) -> Image:
    heat = Image(
        BLANK,
        name=STAGE_NAMES[stage],
        colormap=_HEAT,
        contrast_limits=(0, 1),
        blending="translucent",
        # As the threshold sees it: outlines run through no blocks.
        interpolation2d="linear",
        visible=False,
    )
    watch(heat)
    return heat

"""Changes to a napari layer that cost nothing when they change nothing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

import numpy as np
from napari.layers import Labels, Layer
from napari.utils.colormaps import DirectLabelColormap
from numpy.typing import NDArray

UNIT_WORDS = {"pixel": "pixel", "mm": "millimeter"}
"""What napari calls a unit of ours."""


_HEARD = ("set_data", "scale", "translate", "units")


@contextmanager
def at_once(layers: Sequence[Layer]) -> Iterator[None]:
    """Let napari hear of all changes inside as of one, or a film takes long to turn.

    For each of some ten layers it would work out the extent of the world, upload the
    pixels and place them anew with every property that is set.
    """
    before = [(layer.scale, layer.translate, layer.units) for layer in layers]
    with ExitStack() as blocked:
        for layer in layers:
            for name in _HEARD:
                blocked.enter_context(getattr(layer.events, name).blocker())
        yield
    if any(layer.units != was[2] for layer, was in zip(layers, before, strict=True)):
        # The canvas takes the units of all layers anew when one of them tells.
        layers[-1].events.units()
    for layer, (scale, corner, _) in zip(layers, before, strict=True):
        moved = not np.array_equal(layer.scale, scale)
        if moved or not np.array_equal(layer.translate, corner):
            layer.events.scale()
        layer.refresh(extent=False)


def show(layer: Layer, visible: bool) -> bool:
    """Show or hide a layer; return whether that was a change."""
    # Setting it to what it is already would take the tool out of the reader's hand.
    changed = bool(layer.visible != visible)
    if changed:
        layer.visible = visible
    return changed


def place(
    layer: Layer,
    scale: Sequence[float] | NDArray[np.float64],
    corner: Sequence[float] | NDArray[np.float64] = (0.0, 0.0),
) -> None:
    """Lay a layer at (row, column) `corner` with pixels of size `scale`."""
    # napari draws a layer anew whenever one of them is set, even to what it was.
    if not np.array_equal(layer.scale, scale):
        layer.scale = scale
    if not np.array_equal(layer.translate, corner):
        layer.translate = corner


def new_labels(name: str, colours: dict[int | None, str], opacity: float) -> Labels:
    """Return an empty mask layer with a colour for each value."""
    table = {0: "transparent", None: "transparent", **colours}
    return Labels(
        np.zeros((2, 2), np.uint8),
        name=name,
        colormap=DirectLabelColormap(color_dict=table),
        opacity=opacity,
    )

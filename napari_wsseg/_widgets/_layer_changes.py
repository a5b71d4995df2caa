"""Changes to a napari layer that cost nothing when they change nothing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext

import numpy as np
from napari.layers import Labels, Layer
from napari.utils.colormaps import DirectLabelColormap
from napari.viewer import Viewer
from numpy.typing import NDArray

from napari_wsseg._widgets import _strokes

UNIT_WORDS = {"pixel": "pixel", "mm": "millimeter"}
"""What napari calls a unit of ours."""

_HEARD = ("data", "set_data", "scale", "translate", "units")


@contextmanager
def at_once(viewer: Viewer, layers: Sequence[Layer]) -> Iterator[None]:
    """Let napari hear of all changes inside as of one, or a film takes long to turn.

    For each of some ten layers it would work out the extent of the world, upload the
    pixels, compile the shader of its colours and place it anew with every property that
    is set.
    """
    before = [(_lie(layer), layer.units) for layer in layers]
    with ExitStack() as blocked:
        for layer in layers:
            blocked.enter_context(_undrawn(layer))
            for name in _HEARD:
                blocked.enter_context(getattr(layer.events, name).blocker())
        yield
    if any(layer.units != was[1] for layer, was in zip(layers, before, strict=True)):
        # The canvas takes the units of all layers anew when one of them tells.
        layers[-1].events.units()
    moved = [
        layer
        for layer, was in zip(layers, before, strict=True)
        if _lie(layer) != was[0]
    ]
    for layer in moved[:-1]:
        with _untold(viewer, layer):
            layer.events.scale()
    if moved:
        moved[-1].events.scale()
    for layer in layers:
        layer.refresh()


def _untold(viewer: Viewer, layer: Layer) -> AbstractContextManager[object]:
    """Let the canvas hear that a layer has moved, but not the viewer's sliders.

    They look at the world as a whole; it is enough that the last layer tells them.
    """
    sliders = getattr(viewer, "_on_layers_change", None)
    return layer.events.scale.blocker(sliders) if sliders else nullcontext()


def _undrawn(layer: Layer) -> AbstractContextManager[object]:
    """Hold back the slicing and the thumbnail that every single change would make."""
    # Nothing public does this; without it each layer is drawn four times over.
    block = getattr(layer, "_block_refresh", None)
    return nullcontext() if block is None else block()


@contextmanager
def arranged_once(viewer: Viewer, layers: Sequence[Layer]) -> Iterator[None]:
    """Let the canvas arrange its scene once for all layers shown and hidden inside.

    It does so for every layer that appears or goes, with the overlays of all of them:
    of ten findings each turn of a film shows and hides several.
    """
    # Nothing public does this; without it all is the same, but slower.
    canvas = getattr(getattr(viewer.window, "_qt_viewer", None), "canvas", None)
    arrange = getattr(canvas, "_update_scenegraph", None)
    if arrange is None:
        yield
        return
    before = [layer.visible for layer in layers]
    with ExitStack() as blocked:
        for layer in layers:
            blocked.enter_context(layer.events.visible.blocker(arrange))
        yield
    if before != [layer.visible for layer in layers]:
        arrange()


@contextmanager
def in_one_go(viewer: Viewer) -> Iterator[None]:
    """Let napari tidy up once for all layers that come and go inside, not for each.

    It then sends all that waits to the graphics card. Before the first picture there is
    no card to take it, and it is lost: with it how what lies over the film is drawn.
    """
    canvas = getattr(getattr(viewer.window, "_qt_viewer", None), "canvas", None)
    native = getattr(canvas, "native", None)
    if native is None or not native.isValid():
        yield
        return
    with viewer.layers.batched_update():
        yield
        native.makeCurrent()


def _lie(layer: Layer) -> tuple[tuple[float, ...], ...]:
    """Return what a layer covers: shape, pixel size and corner."""
    return tuple(layer.data.shape), tuple(layer.scale), tuple(layer.translate)


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
    layer = Labels(
        np.zeros((2, 2), np.uint8),
        name=name,
        colormap=DirectLabelColormap(color_dict=table),
        opacity=opacity,
    )
    _strokes.kept_whole(layer)
    return layer

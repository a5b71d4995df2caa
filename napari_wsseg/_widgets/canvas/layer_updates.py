"""Changes to a napari layer that cost nothing when they change nothing."""

from __future__ import annotations

import weakref
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from typing import Any

import numpy as np
from napari.layers import Labels, Layer
from napari.layers.base import LayerLock
from napari.utils.colormaps import DirectLabelColormap
from napari.viewer import Viewer
from numpy.typing import NDArray

from napari_wsseg._widgets.canvas import napari_internals
from napari_wsseg._widgets.canvas import strokes as _strokes
from napari_wsseg.schema import Case

UNIT_NAMES = {"pixel": "pixel", "mm": "millimeter"}
"""What napari calls a unit of ours."""

_HEARD = ("data", "set_data", "scale", "translate", "units", "metadata")


@contextmanager
def at_once(
    viewer: Viewer, layers: Sequence[Layer], *, thumbnails: bool = True
) -> Iterator[None]:
    """Let napari hear of all changes inside as of one, or a film takes long to turn.

    For each of some ten layers it would work out the extent of the world, upload the
    pixels, compile the shader of its colours and place it anew with every property that
    is set.
    """
    before = [(_lie(layer), layer.units) for layer in layers]
    with ExitStack() as blocked:
        for layer in layers:
            blocked.enter_context(napari_internals.undrawn(layer))
            for name in _HEARD:
                blocked.enter_context(getattr(layer.events, name).blocker())
        yield
    moved, measured = _changed(layers, before)
    placing = [napari_internals.visual_of(viewer, layer) for layer in layers]
    if measured:
        # The canvas takes the units of all layers anew when one of them tells, and
        # with the next picture places them all.
        with (
            napari_internals.without_sliders(viewer, layers[-1], "units")
            if moved
            else nullcontext()
        ):
            layers[-1].events.units()
    with ExitStack() as placed:
        for visual in placing if measured else ():
            placed.enter_context(napari_internals.unplaced(visual))
        for layer in moved[:-1]:
            with napari_internals.without_sliders(viewer, layer, "scale"):
                layer.events.scale()
        for layer in moved[-1:]:
            layer.events.scale()
    for layer, visual in zip(layers, placing, strict=True):
        node = napari_internals.node_of(visual)
        # Working out where a layer lies takes longer than taking over its pixels.
        with napari_internals.unplaced(visual):
            layer.refresh(thumbnail=thumbnails, extent=measured or layer in moved)
        if napari_internals.node_of(visual) is not node:
            # A film too large for one texture is drawn by another node.
            napari_internals.place_anew(visual)


def _changed(
    layers: Sequence[Layer], before: Sequence[tuple[object, object]]
) -> tuple[list[Layer], bool]:
    """Return which layers lie elsewhere than `before`, and whether units are others."""
    pairs = list(zip(layers, before, strict=True))
    moved = [layer for layer, (lie, _) in pairs if _lie(layer) != lie]
    return moved, any(layer.units != units for layer, (_, units) in pairs)


def send(viewer: Viewer, layers: Sequence[Layer]) -> None:
    """Send new pixels to the graphics card now, and not within the next picture."""
    napari_internals.upload(viewer, [layer for layer in layers if layer.visible])


@contextmanager
def arranged_once(
    viewer: Viewer, layers: Sequence[Layer], *, later: bool = False
) -> Iterator[None]:
    """Let the canvas arrange its scene once for all layers shown and hidden inside.

    It does so for every layer that appears or goes, with the overlays of all of them:
    of ten findings each turn of a film shows and hides several. With `later` it does
    not at all, and `arrange` is to follow.
    """
    before = [layer.visible for layer in layers]
    with ExitStack() as blocked:
        for layer in layers:
            for listener in napari_internals.hear_visibility(viewer, layer):
                blocked.enter_context(layer.events.visible.blocker(listener))
        yield
    if not later and before != [layer.visible for layer in layers]:
        napari_internals.arrange(viewer)


@contextmanager
def in_one_go(viewer: Viewer) -> Iterator[None]:
    """Let napari tidy up once for all layers that come and go inside, not for each.

    It then sends all that waits to the graphics card. Before the first picture there is
    no card to take it, and it is lost: with it how what lies over the film is drawn.
    """
    napari_internals.ask_card(viewer)
    native = napari_internals.native_of(viewer)
    if native is None:
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
        # What is drawn already is on the graphics card.
        drawn = layer in _watched and layer not in _stale
        with napari_internals.undrawn(layer) if visible and drawn else nullcontext():
            layer.visible = visible
    return changed


_watched: weakref.WeakSet[Layer] = weakref.WeakSet()
_stale: weakref.WeakSet[Layer] = weakref.WeakSet()


def watch(layer: Layer) -> None:
    """Notice what changes on a layer while it is hidden, so that `show` can be quick.

    napari then draws nothing, and everything anew as soon as the layer is visible, even
    if nothing has changed: that takes longer than a picture of ten layers.
    """
    held, plain = weakref.ref(layer), type(layer).refresh

    def refresh(*args: Any, **chosen: Any) -> None:
        asked = held()
        if asked is None:
            return
        if not asked.visible:
            _stale.add(asked)
        elif chosen.get("data_displayed", True) and not napari_internals.is_undrawn(
            asked
        ):
            _stale.discard(asked)
        plain(asked, *args, **chosen)

    if napari_internals.is_undrawn(layer) is not None:
        layer.refresh = refresh
        _watched.add(layer)
        _stale.add(layer)


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


def over_film(
    case: Case, shape: Sequence[int]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the scale and corner that spread `shape` pixels from edge to edge."""
    spacing = np.array(case.spacing_mm or (1.0, 1.0))
    scale = np.divide(case.shape, shape)
    return scale * spacing, (scale - 1) / 2 * spacing


def add_locked(viewer: Viewer, layer: Layer) -> None:
    """Lay a layer over all others; nobody can delete it but `remove_locked`."""
    viewer.add_layer(layer)
    layer.locked = LayerLock.DELETION


def remove_locked(viewer: Viewer, layer: Layer | None) -> None:
    """Take a layer out of the viewer if it is there."""
    if layer is not None:
        layer.locked = LayerLock.NONE
        if layer in viewer.layers:
            viewer.layers.remove(layer)


def new_labels(name: str, colours: dict[int | None, str], opacity: float) -> Labels:
    """Return an empty mask layer with a colour for each value."""
    table = {0: "transparent", None: "transparent", **colours}
    layer = Labels(
        np.zeros((2, 2), np.uint8),
        name=name,
        colormap=DirectLabelColormap(color_dict=table),
        opacity=opacity,
    )
    _strokes.finish_strokes(layer)
    napari_internals.outline_quickly(layer)
    watch(layer)
    return layer

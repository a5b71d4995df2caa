"""Changes to a napari layer that cost nothing when they change nothing."""

from __future__ import annotations

import weakref
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from typing import Any

import numpy as np
from napari.layers import Labels, Layer
from napari.utils.colormaps import DirectLabelColormap
from napari.viewer import Viewer
from numpy.typing import NDArray

from napari_wsseg._widgets.canvas import strokes as _strokes
from napari_wsseg.schema import Case

UNIT_WORDS = {"pixel": "pixel", "mm": "millimeter"}
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
            blocked.enter_context(_undrawn(layer))
            for name in _HEARD:
                blocked.enter_context(getattr(layer.events, name).blocker())
        yield
    moved, measured = _changed(layers, before)
    placing = [_placing(viewer, layer) for layer in layers]
    if measured:
        # The canvas takes the units of all layers anew when one of them tells, and
        # with the next picture places them all.
        with _untold(viewer, layers[-1], "units") if moved else nullcontext():
            layers[-1].events.units()
    with ExitStack() as placed:
        for visual in placing if measured else ():
            placed.enter_context(_without(visual, "_on_matrix_change"))
        for layer in moved[:-1]:
            with _untold(viewer, layer, "scale"):
                layer.events.scale()
        for layer in moved[-1:]:
            layer.events.scale()
    for layer, visual in zip(layers, placing, strict=True):
        node = getattr(visual, "node", None)
        # Working out where a layer lies takes longer than taking over its pixels.
        with _without(visual, "_on_matrix_change"):
            layer.refresh(thumbnail=thumbnails, extent=measured or layer in moved)
        if getattr(visual, "node", None) is not node:
            # A film too large for one texture is drawn by another node.
            visual._on_matrix_change()


def _changed(
    layers: Sequence[Layer], before: Sequence[tuple[object, object]]
) -> tuple[list[Layer], bool]:
    """Return which layers lie elsewhere than `before`, and whether units are others."""
    pairs = list(zip(layers, before, strict=True))
    moved = [layer for layer, (lie, _) in pairs if _lie(layer) != lie]
    return moved, any(layer.units != units for layer, (_, units) in pairs)


def _placing(viewer: Viewer, layer: Layer) -> Any:
    """Return what places a layer on the canvas, ``None`` if it is not where it was."""
    return getattr(_canvas(viewer), "layer_to_visual", {}).get(layer)


@contextmanager
def _without(owner: object, name: str) -> Iterator[bool]:
    """Let a method of napari's canvas do nothing for a while; yield whether it can.

    Nothing public does this; where there is no such method all is the same, but slower.
    """
    if not hasattr(owner, name):
        yield False
        return
    setattr(owner, name, _nothing)
    try:
        yield True
    finally:
        delattr(owner, name)


def _nothing(event: object = None) -> None:
    pass


def send(viewer: Viewer, layers: Sequence[Layer]) -> None:
    """Send new pixels to the graphics card now, and not within the next picture."""
    # Nothing public does this; without it the next picture takes so much longer.
    canvas = _canvas(viewer)
    native = getattr(canvas, "native", None)
    scene = getattr(canvas, "_scene_canvas", None)
    if native is None or scene is None or not native.isValid():
        return
    native.makeCurrent()
    for layer in layers:
        node: Any = getattr(_placing(viewer, layer), "node", None)
        if layer.visible and getattr(node, "_need_texture_upload", False):
            node._build_texture()
    scene.context.flush_commands()


def key_releases(viewer: Viewer) -> dict[str, Any]:
    """Return what napari will do when keys are let go, by key; it may be changed."""
    handler = getattr(getattr(viewer.window, "_qt_viewer", None), "_key_map_handler", 0)
    found = getattr(handler, "_key_release_generators", None)
    return found if isinstance(found, dict) else {}


def _canvas(viewer: Viewer) -> Any:
    """Return napari's canvas, ``None`` if it is not where it was."""
    return getattr(getattr(viewer.window, "_qt_viewer", None), "canvas", None)


def _untold(viewer: Viewer, layer: Layer, event: str) -> AbstractContextManager[object]:
    """Let the canvas hear of a change of a layer, but not the viewer's sliders.

    They look at the world as a whole; it is enough that the last layer tells them.
    """
    sliders = getattr(viewer, "_on_layers_change", None)
    emitter = getattr(layer.events, event)
    return emitter.blocker(sliders) if sliders else nullcontext()


def _undrawn(layer: Layer) -> AbstractContextManager[object]:
    """Hold back the slicing and the thumbnail that every single change would make."""
    # Nothing public does this; without it each layer is drawn four times over.
    block = getattr(layer, "_block_refresh", None)
    return nullcontext() if block is None else block()


@contextmanager
def arranged_once(
    viewer: Viewer, layers: Sequence[Layer], *, later: bool = False
) -> Iterator[None]:
    """Let the canvas arrange its scene once for all layers shown and hidden inside.

    It does so for every layer that appears or goes, with the overlays of all of them:
    of ten findings each turn of a film shows and hides several. With `later` it does
    not at all, and `arrange` is to follow.
    """
    # Nothing public does this; without it all is the same, but slower.
    canvas = _canvas(viewer)
    whole = getattr(canvas, "_update_scenegraph", None)
    overlays = getattr(canvas, "_overlay_callbacks", {})
    before = [layer.visible for layer in layers]
    with ExitStack() as blocked:
        for layer in layers:
            for told in (whole, overlays.get(layer)):
                if told is not None:
                    blocked.enter_context(layer.events.visible.blocker(told))
        yield
    if not later and before != [layer.visible for layer in layers]:
        arrange(viewer)


def arrange(viewer: Viewer) -> None:
    """Let the canvas arrange its scene anew."""
    canvas, lay_out = _canvas(viewer), "_update_overlay_canvas_positions"
    whole = getattr(canvas, "_update_scenegraph", _nothing)
    # The scale bar and its like it would lay out anew for each layer there is.
    with _without(canvas, lay_out) as can:
        whole()
    if can:
        getattr(canvas, lay_out)()


@contextmanager
def in_one_go(viewer: Viewer) -> Iterator[None]:
    """Let napari tidy up once for all layers that come and go inside, not for each.

    It then sends all that waits to the graphics card. Before the first picture there is
    no card to take it, and it is lost: with it how what lies over the film is drawn.
    """
    native = getattr(_canvas(viewer), "native", None)
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
        # What is drawn already is on the graphics card.
        drawn = layer in _watched and layer not in _stale
        with _undrawn(layer) if visible and drawn else nullcontext():
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
        elif chosen.get("data_displayed", True) and not asked._refresh_blocked:
            _stale.discard(asked)
        plain(asked, *args, **chosen)

    if hasattr(layer, "_refresh_blocked"):
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
    watch(layer)
    return layer

"""Every private part of napari that the window uses, and what for.

Nothing public does what these do. Where napari has renamed one, films still turn and
strokes are still kept, only slower: each is looked for before it is used. A test wants
each of `PRIVATE` in the napari that is installed.
"""

from __future__ import annotations

import importlib
import weakref
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import numpy as np
from napari.layers import Labels, Layer
from napari.settings import get_settings
from napari.viewer import Viewer
from numpy.typing import NDArray
from qtpy.compat import isalive
from qtpy.QtWidgets import QDockWidget, QMainWindow, QWidget
from vispy.app import Canvas  # type: ignore[import-untyped]
from vispy.gloo.context import (  # type: ignore[import-untyped]
    get_current_canvas,
    set_current_canvas,
)

from napari_wsseg.ops import masks

PRIVATE = {
    "window._qt_viewer": "the way to the canvas",
    "viewer._on_layers_change": "sliders need to hear of the last layer alone",
    "settings._save_on_change": "settings are written once a window, not once a panel",
    "settings._maybe_save": "and then they are",
    "dock._close_btn": "a panel is put away and can be brought back, never destroyed",
    "qt._key_map_handler": "the way to the keys that are held",
    "keys._key_release_generators": "what a key began ends though its release is lost",
    "canvas.layer_to_visual": "what places a layer on the canvas",
    "canvas._scene_canvas": "the card is sent pixels before the next picture",
    "canvas._update_scenegraph": "the scene is arranged once for all layers",
    "canvas._reorder_layers": "our order lasts whatever makes napari order its layers",
    "canvas._overlay_callbacks": "and so are their overlays",
    "canvas._update_overlay_canvas_positions": "and the scale bar",
    "visual._on_matrix_change": "a layer is placed once, not with every property",
    "node._need_texture_upload": "pixels that wait to be sent to the card",
    "node._build_texture": "sends them",
    "layer._block_refresh": "a layer is sliced once, not with every property",
    "layer._refresh_blocked": "whether it is held back just now",
    "layer._calculate_contour": "outlines of large films take no half minute",
    "layer._overlays": "a polygon begun on one film is not closed on the next",
    "labels._undo_history": "undo never brings back pixels of another film",
    "labels._redo_history": "nor does redo",
    "labels._staged_history": "nor a stroke that is not finished",
    "labels._block_history": "nor a block of them",
}
"""What is used, as ``owner.name``, and why."""

try:
    _card: Any = importlib.import_module("napari._vispy.utils.gl")
except ImportError:  # moved: it is asked by napari alone
    _card = None

_CANVAS_WIDGET = "CanvasBackendDesktop"


def keep_dock(dock: QDockWidget) -> None:
    """Leave out the cross that destroys a panel; the one that hides it stays."""
    title_anew = getattr(dock, "_update_title_bar", None)
    if hasattr(dock, "_close_btn") and title_anew is not None:
        dock._close_btn = False
        title_anew()


@contextmanager
def settings_saved_once() -> Iterator[None]:
    """Write napari's settings at the end, not with every panel that is docked."""
    settings = get_settings()
    usual = getattr(settings, "_save_on_change", None)
    save = getattr(settings, "_maybe_save", None)
    if usual is None or save is None:
        yield
        return
    settings._save_on_change = False
    try:
        yield
    finally:
        settings._save_on_change = usual
        save()


def canvas_of(viewer: Viewer) -> Any:
    """Return napari's canvas, ``None`` if it is not where it was."""
    return getattr(getattr(viewer.window, "_qt_viewer", None), "canvas", None)


def canvas_widget(window: QMainWindow) -> QWidget | None:
    """Return the widget that the picture is drawn on."""
    centre = window.centralWidget()
    for widget in centre.findChildren(QWidget) if centre else ():
        if widget.metaObject().className() == _CANVAS_WIDGET:
            found: QWidget = widget
            return found
    return None


def keys_of(viewer: Viewer) -> Any:
    """Return what hears napari's keys, ``None`` if it is not where it was."""
    return getattr(getattr(viewer.window, "_qt_viewer", None), "_key_map_handler", None)


def key_releases(viewer: Viewer) -> dict[str, Any]:
    """Return what napari will do when keys are let go, by key; it may be changed."""
    found = getattr(keys_of(viewer), "_key_release_generators", None)
    return found if isinstance(found, dict) else {}


def visual_of(viewer: Viewer, layer: Layer) -> Any:
    """Return what places a layer on the canvas, ``None`` if it is not where it was."""
    return getattr(canvas_of(viewer), "layer_to_visual", {}).get(layer)


def node_of(visual: Any) -> Any:
    """Return what draws a layer."""
    return getattr(visual, "node", None)


def unplaced(visual: Any) -> AbstractContextManager[bool]:
    """Hold back the placing of a layer."""
    return _without(visual, "_on_matrix_change")


def place_anew(visual: Any) -> None:
    """Place a layer on the canvas."""
    visual._on_matrix_change()


def without_sliders(
    viewer: Viewer, layer: Layer, event: str
) -> AbstractContextManager[object]:
    """Let the canvas hear of a change of a layer, but not the viewer's sliders.

    They look at the world as a whole; it is enough that the last layer tells them.
    """
    sliders = getattr(viewer, "_on_layers_change", None)
    emitter = getattr(layer.events, event)
    return emitter.blocker(sliders) if sliders else nullcontext()


def undrawn(layer: Layer) -> AbstractContextManager[object]:
    """Hold back the slicing and the thumbnail that every single change would make."""
    block = getattr(layer, "_block_refresh", None)
    return nullcontext() if block is None else block()


def outline_quickly(layer: Labels) -> None:
    """Draw the outlines of a layer as napari does, whatever their width in no time.

    napari's own time grows by the square of the width: 20 s on a film of 3,600 pixels.
    """
    if getattr(layer, "_calculate_contour", None) is None:
        return
    held = weakref.ref(layer)

    def contour(
        labels: NDArray[np.uint8], part: tuple[slice, ...]
    ) -> NDArray[np.uint8] | None:
        asked = held()
        if asked is None or asked.contour < 1:
            return None
        width = asked.contour
        wider = tuple(
            slice(max(0, side.start - width), min(size, side.stop + width))
            for side, size in zip(part, labels.shape, strict=True)
        )
        inner = tuple(
            slice(side.start - outer.start, side.stop - outer.start)
            for side, outer in zip(part, wider, strict=True)
        )
        return masks.rims(labels[wider], width)[inner]

    layer._calculate_contour = contour


def is_undrawn(layer: Layer) -> bool | None:
    """Whether slicing is held back just now; ``None`` if that cannot be known."""
    return getattr(layer, "_refresh_blocked", None)


def native_of(viewer: Viewer) -> Any:
    """Return the widget of the graphics card, ``None`` before the first picture."""
    native = getattr(canvas_of(viewer), "native", None)
    there = native is not None and isalive(native) and native.isValid()
    return native if there else None


def ask_card(viewer: Viewer) -> None:
    """Let napari ask what the graphics card can do while there is one to answer.

    It asks with the first image and takes any canvas of the program for one that can
    tell. Of a second window, before its first picture, none can: no layer was made.
    """
    native, current = native_of(viewer), get_current_canvas()
    if native is not None:
        native.makeCurrent()
    elif current is not None:
        asked = Canvas(show=False)
        for question in ("get_gl_extensions", "get_max_texture_sizes"):
            getattr(_card, question, int)()
        asked.close()
        set_current_canvas(current)


def upload(viewer: Viewer, layers: list[Layer]) -> None:
    """Send new pixels of layers to the graphics card now."""
    native = native_of(viewer)
    scene = getattr(canvas_of(viewer), "_scene_canvas", None)
    if native is None or scene is None:
        return
    native.makeCurrent()
    for layer in layers:
        node = node_of(visual_of(viewer, layer))
        if getattr(node, "_need_texture_upload", False):
            node._build_texture()
    scene.context.flush_commands()


def hear_visibility(viewer: Viewer, layer: Layer) -> list[Callable[..., object]]:
    """Return what of the canvas hears that a layer is shown or hidden."""
    canvas = canvas_of(viewer)
    update_all = getattr(canvas, "_update_scenegraph", None)
    overlay = getattr(canvas, "_overlay_callbacks", {}).get(layer)
    return [each for each in (update_all, overlay) if each is not None]


def arrange(viewer: Viewer) -> None:
    """Let the canvas arrange its scene anew."""
    canvas, lay_out = canvas_of(viewer), "_update_overlay_canvas_positions"
    update_all = getattr(canvas, "_update_scenegraph", _nothing)
    # The scale bar and its like it would lay out anew for each layer there is.
    with _without(canvas, lay_out) as can:
        update_all()
    if can:
        getattr(canvas, lay_out)()


def stack(viewer: Viewer, layers: list[Layer], first: int) -> None:
    """Draw layers over each other in this order, whatever their order in the list.

    Parameters
    ----------
    first
        Place of the lowest of them among all layers.
    """
    moved = False
    for place, layer in enumerate(layers, first):
        visual = visual_of(viewer, layer)
        if getattr(visual, "order", place) != place:
            visual.order, moved = place, True
    scene = getattr(canvas_of(viewer), "_scene_canvas", None)
    if moved and scene is not None:
        getattr(scene, "_draw_order", {}).clear()
        scene.update()


def after_ordering(viewer: Viewer, then: Callable[[], None]) -> Callable[[], None]:
    """Do something whenever napari has ordered its layers; return how to end that.

    It draws them as they stand in its list whenever one of them comes, goes, is moved,
    shown or hidden, by whoever's hand.
    """
    canvas, name = canvas_of(viewer), "_reorder_layers"
    plain = getattr(canvas, name, None)
    if plain is None:
        return _nothing

    def order() -> None:
        plain()
        then()

    setattr(canvas, name, order)
    return lambda: delattr(canvas, name)


def begun_on(layer: Layer, name: str) -> Any:
    """Return what a tool has begun on a layer, e.g. ``"polygon"``; ``None``: nothing.

    napari's own way to forget it is Esc.
    """
    return getattr(layer, "_overlays", {}).get(name)


def has_history(layer: Layer) -> bool:
    """Whether there may be something to undo."""
    names = [name for name in PRIVATE if name.startswith("labels.")]
    return any(getattr(layer, name.partition(".")[2], True) for name in names)


@contextmanager
def _without(owner: object, name: str) -> Iterator[bool]:
    """Let a method of napari's canvas do nothing for a while; yield whether it can."""
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

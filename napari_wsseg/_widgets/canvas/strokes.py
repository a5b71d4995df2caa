"""Strokes as the reader drew them: to their end, told of when done, of one film."""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from typing import Any

import numpy as np
from napari.layers import Labels

from napari_wsseg._widgets.canvas.napari_internals import begun_on

_BRUSHES = {"paint", "erase"}


def finish_strokes(layer: Labels) -> None:
    """Let brush strokes reach their end and polygons be told of once they are drawn."""
    layer.mouse_drag_callbacks.insert(0, _to_the_end)
    layer.mouse_drag_callbacks.insert(0, _erase_inside)
    _announce_polygons_afterwards(layer)


def drop_unclosed(layer: Labels) -> None:
    """Forget the polygon or outline that the reader has begun on a mask.

    Left to itself it would be closed on whatever the layer shows next, and an outline
    would take its pixels off there.
    """
    outline, polygon = begun_on(layer, "brush_stroke"), begun_on(layer, "polygon")
    if outline is not None and outline.active:
        outline.abort(layer)
    if polygon is not None and polygon.points:
        polygon.points = []


def _announce_polygons_afterwards(layer: Labels) -> None:
    """Let the layer tell of a polygon once it is in the mask.

    Of what is not drawn in a block of its history napari tells before it is there, and
    of the tools that is the polygon alone: who keeps the mask then keeps the old one.
    """
    held, paint = weakref.ref(layer), Labels.paint_polygon

    def paint_polygon(points: object, new_label: int) -> None:
        drawn_on = held()
        if drawn_on is not None:
            with drawn_on.block_history():
                paint(drawn_on, points, new_label)

    layer.paint_polygon = paint_polygon


def _erase_inside(layer: Labels, event: Any) -> Iterator[None]:
    """Take away what the eraser goes round with the right button held.

    The line itself is napari's stroke, still open when the button is let go: both are
    one step of undo.
    """
    if str(layer.mode) != "erase" or event.button != 2:
        return
    points = [layer.world_to_data(event.position)]
    yield
    while event.type == "mouse_move":
        points.append(layer.world_to_data(event.position))
        yield
    if str(layer.mode) == "erase" and len(points) > 2:
        inside = np.clip(points, 0, np.array(layer.data.shape) - 1)
        Labels.paint_polygon(layer, inside, 0)


def _to_the_end(layer: Labels, event: Any) -> Iterator[None]:
    """Draw a stroke on to where the button is let go.

    Movements that follow each other within milliseconds are dropped on their way from
    the mouse to napari, the last one before the release, too: where drawing is slow,
    a quick stroke would end well before the hand did.
    """
    brush = str(layer.mode)
    # The right button draws outlines; a frozen cursor is a brush being resized.
    if brush not in _BRUSHES or event.button != 1 or layer.cursor == "circle_frozen":
        return
    last = np.array(layer.world_to_data(event.position))
    yield
    while event.type == "mouse_move":
        last = np.array(layer.world_to_data(event.position))
        yield
    end = np.array(layer.world_to_data(event.position))
    far = float(np.abs(end - last).max())
    if str(layer.mode) != brush or far < 0.5:
        return
    label = int(layer.selected_label) if brush == "paint" else 0
    steps = int(np.ceil(4 * far / max(float(layer.brush_size), 4.0))) + 1
    # napari's own stroke is still open, so this is part of its one step of undo.
    for place in np.linspace(last, end, steps + 1)[1:]:
        layer.paint(tuple(place), label, refresh=False)
    layer.refresh()

"""Turning and mirroring the view: napari's camera and axes, never the data.

Strokes go through the same way back, so a mask that is drawn on a turned film lies
where the film was drawn on.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, TypeVar

import numpy as np
from napari.viewer import Viewer
from numpy.typing import NDArray

from napari_wsseg._widgets.canvas.fit import MARGIN

Turn = Literal["turn", "mirror", "upright"]
T = TypeVar("T", bound=np.generic)

_OTHER = {"up": "down", "down": "up", "left": "right", "right": "left"}


def turn(viewer: Viewer, how: Turn) -> None:
    """Turn the view a quarter to the right, mirror it left to right, or undo both."""
    down, right = viewer.camera.orientation2d
    swapped = tuple(viewer.dims.order[-2:]) == (1, 0)
    if how == "upright":
        if not swapped and (down, right) == ("down", "right"):
            return
        _show(viewer, (0, 1), "down", "right")
    elif how == "mirror":
        _show(viewer, viewer.dims.order[-2:], down, _OTHER[right])
    else:
        # What ran down the screen runs to the left then, what ran right runs down.
        across = {"down": "left", "up": "right"}[down]
        along = {"right": "down", "left": "up"}[right]
        _show(viewer, viewer.dims.order[-2:][::-1], along, across)
    viewer.reset_view(margin=MARGIN)


def is_upright(viewer: Viewer) -> bool:
    """Whether films are shown as they are stored."""
    order = tuple(viewer.dims.order[-2:])
    return order == (0, 1) and viewer.camera.orientation2d == ("down", "right")


def seen_by(viewer: Viewer) -> Callable[[NDArray[T]], NDArray[T]]:
    """Return what turns a film's (h, w) pixels to how the view shows them now.

    It returns numpy views: what is written there is written into the film's pixels.
    """
    swapped = tuple(viewer.dims.order[-2:]) == (1, 0)
    down, right = (1 if way in ("down", "right") else -1 for way in _ways(viewer))

    def seen(pixels: NDArray[T]) -> NDArray[T]:
        return (pixels.T if swapped else pixels)[::down, ::right]

    return seen


def _ways(viewer: Viewer) -> tuple[str, str]:
    down, right = viewer.camera.orientation2d
    return str(down), str(right)


def _show(viewer: Viewer, order: tuple[int, ...], down: str, right: str) -> None:
    viewer.dims.order = tuple(order)
    viewer.camera.orientation2d = (down, right)

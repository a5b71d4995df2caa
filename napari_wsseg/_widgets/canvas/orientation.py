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
    if how == "upright":
        if is_upright(viewer):
            return
        _show(viewer, "down", "right", swap=_is_swapped(viewer))
    elif how == "mirror":
        _show(viewer, down, _OTHER[right])
    else:
        # What ran down the screen runs to the left then, what ran right runs down.
        across = {"down": "left", "up": "right"}[down]
        along = {"right": "down", "left": "up"}[right]
        _show(viewer, along, across, swap=True)
    viewer.reset_view(margin=MARGIN)


def is_upright(viewer: Viewer) -> bool:
    """Whether films are shown as they are stored."""
    return not _is_swapped(viewer) and viewer.camera.orientation2d == ("down", "right")


def seen_by(viewer: Viewer) -> Callable[[NDArray[T]], NDArray[T]]:
    """Return what turns a film's (h, w) pixels to how the view shows them now.

    It returns numpy views: what is written there is written into the film's pixels.
    """
    swapped = _is_swapped(viewer)
    down, right = (1 if way in ("down", "right") else -1 for way in _ways(viewer))

    def seen(pixels: NDArray[T]) -> NDArray[T]:
        return (pixels.T if swapped else pixels)[::down, ::right]

    return seen


def _ways(viewer: Viewer) -> tuple[str, str]:
    down, right = viewer.camera.orientation2d
    return str(down), str(right)


def _is_swapped(viewer: Viewer) -> bool:
    """Whether columns run down the screen; axes before the last two are a volume's."""
    down, across = viewer.dims.order[-2:]
    return bool(down > across)


def _show(viewer: Viewer, down: str, right: str, *, swap: bool = False) -> None:
    if swap:
        *rest, one, other = viewer.dims.order
        viewer.dims.order = (*rest, other, one)
    viewer.camera.orientation2d = (down, right)

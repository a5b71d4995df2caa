"""An outline that snaps to a film's edges as it is drawn: intelligent scissors.

Between two points the outline takes the way that costs least, where a step costs little
on an edge and much on even ground (Mortensen & Barrett 1995, intelligent scissors for
image composition). The ways from a point to everywhere near it are worked out once,
when it is set (Dijkstra, by scikit-image); after that any of them is read off at once.

numpy and scikit-image only: it runs under the hand that draws, without torch.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from skimage.graph import MCP_Geometric

from napari_wsseg.ops import scribble

SIDE = 512
"""Longest side of the grid that ways are looked for on."""

REACH = 96
"""Cells, to every side of a point, that ways from it are worked out for."""

EVEN = 0.05
"""What a step costs on the clearest edge, beside 1 + that on even ground."""

Points = NDArray[np.float64]
"""(N, 2): rows and columns in pixels of the film, 0 in the middle of the first."""


class Livewire:
    """The ways along a film's edges from the point that was set last.

    Parameters
    ----------
    image : (H, W)
        The film, as `scribble.edges` takes it.
    side, reach
        See `SIDE` and `REACH`.

    Raises
    ------
    ValueError
        If the image is no finite grey film.
    """

    def __init__(
        self, image: NDArray[Any], *, side: int = SIDE, reach: int = REACH
    ) -> None:
        self.stride = max(1, -(-max(image.shape) // side))
        self.shape = image.shape
        self._cost = EVEN + 1.0 - scribble.edges(image, stride=self.stride)
        self._reach = reach
        self._from: Points | None = None
        self._corner = self._last = np.zeros(2, int)
        self._ways: MCP_Geometric | None = None

    def start(self, place: tuple[float, float]) -> None:
        """Set the point that `path` begins at, in pixels of the film."""
        self._from = self._inside(place)
        cell = self._cell(self._from)
        self._corner = np.maximum(cell - self._reach, 0)
        end = np.minimum(cell + self._reach + 1, self._cost.shape)
        near = self._cost[self._corner[0] : end[0], self._corner[1] : end[1]]
        self._last = np.subtract(near.shape, 1)
        self._ways = MCP_Geometric(near)
        self._ways.find_costs([tuple(cell - self._corner)])

    def path(self, place: tuple[float, float]) -> Points:
        """Return the way from the point that was set to a place.

        Parameters
        ----------
        place
            Row and column, in pixels of the film; outside of it its rim is meant.

        Returns
        -------
        (N, 2) float64
            Both ends included. Beyond the reach of the point, a straight line goes on.

        Raises
        ------
        ValueError
            No point was set.
        """
        if self._from is None or self._ways is None:
            raise ValueError("no point was set to begin at")
        end = self._inside(place)
        near = np.clip(self._cell(end) - self._corner, 0, self._last)
        cells = np.array(self._ways.traceback(tuple(near))) + self._corner
        inner = (cells[1:-1] + 0.5) * self.stride - 0.5
        return np.vstack([self._from, inner, end])

    def _inside(self, place: tuple[float, float]) -> Points:
        return np.asarray(np.clip(place, 0, np.subtract(self.shape, 1)), float)

    def _cell(self, place: Points) -> NDArray[np.int_]:
        return np.asarray((place + 0.5) // self.stride, int)

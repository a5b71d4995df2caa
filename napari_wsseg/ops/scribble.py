"""From a reader's few strokes to a proposal that stops at the learned boundaries.

Strokes are held, and every other pixel takes the chance that a walker who starts there
meets a stroke inside before one outside (Grady 2006, random walks for segmentation),
on the graph of `napari_wsseg.ops.affinity.random_walk`. A walker gives up after a while
and then takes the classifier's heat for an answer (Grady 2005, walks with priors).

numpy and scipy only: it runs beside the hand that paints, where torch is not loaded.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.sparse.linalg import LinearOperator, cg

from napari_wsseg.ops import pixel_pairs as _pixel_pairs
from napari_wsseg.schema import IGNORE

INSIDE, OUTSIDE, NOTHING = 1, 0, IGNORE
"""What a stroke says of its pixels, and what stands where there is none."""

_CLOSE = 3e-7
"""Share of the first residual at which the solution is within about 1e-5."""

_MOST = 1000
"""Steps of the solver after which it gives what it has."""

_SINGLE = 300
"""Most steps of a walker for which single precision is within 1e-4."""

CORRECTING_STEPS = 64.0
"""Steps of a walker for `Graph.correct`: a correction stays near its stroke.

This and the three below are chosen on train and val (benchmarks/grow_clicks)."""

SOFT = 4.0
"""Width of a draft's rim, in cells of the grid, over which it is unsure."""

FORCE = 2.0
"""How much more than the walk a correcting stroke moves."""

LEAST = 0.05
"""Move of a chance that is taken off every move, so that far away none is left: with
0.02 fewer clicks are needed, and a region that no stroke is near is moved too."""

Floats = NDArray[np.float32]


@dataclass(frozen=True, eq=False, slots=True)
class _Drafted:
    """A draft, the chance it stands for on its grid and the graph's, where that rests.

    Parameters
    ----------
    draft : (H, W) bool
    soft
        See `SOFT`.
    sure : (H, W) float32 in [0, 1]
    prior, rest : (h, w) float32 in [0, 1]
    """

    draft: NDArray[np.bool_]
    soft: float
    sure: Floats
    prior: Floats
    rest: Floats


class Graph:
    """What of a film stays the same from stroke to stroke; made once a film.

    Parameters
    ----------
    boundary : (h, w) in [0, 1]
        IRNet's boundary map, or `edges` of the film.
    radius, beta
        As in `napari_wsseg.ops.affinity.random_walk`.
    steps
        Steps after which a walker gives up, on the average. On ground without
        boundaries a stroke reaches about 1.8 √steps pixels of the map.

    Raises
    ------
    ValueError
        If the boundary is no probability map, or `steps` is below 1.
    """

    def __init__(
        self,
        boundary: NDArray[np.floating[Any]],
        *,
        radius: int = 5,
        beta: float = 10.0,
        steps: float = 256.0,
    ) -> None:
        edge = _probability(boundary, "boundary")
        if not steps >= 1:
            raise ValueError(f"steps is {steps}; a walker takes at least one")
        offsets = [offset for offset, _ in _pixel_pairs.path_offsets(radius)]
        # The longer the walk, the more a rounding weighs.
        self._kind = np.float32 if steps <= _SINGLE else np.float64
        affinity = (1 - _pixel_pairs.highest(edge.astype(self._kind), radius)) ** beta
        near = np.zeros((2 * len(offsets) + 1, *edge.shape), self._kind)
        _pixel_pairs.all_around(near, affinity, offsets)
        self.shape = edge.shape
        degree = near.sum(0, dtype=np.float64)
        self._root = np.sqrt(degree).astype(self._kind)
        self._loss = 1 / steps
        self._drafted: _Drafted | None = None
        # In √D x the system is symmetric: the loss, and what flows to neighbours. The
        # diagonal is not left to a difference that rounding would spoil.
        near *= -1
        for place, (dy, dx) in enumerate(offsets):
            source, target = _pixel_pairs.ends(edge.shape, dy, dx)
            scale = self._root[source] * self._root[target]
            near[len(offsets) + 1 + place][source] /= scale
            near[len(offsets) - 1 - place][target] /= scale
        near[len(offsets)] = self._loss + (degree - 1) / degree
        self._system = _pixel_pairs.diagonals(near, offsets)

    def grow(
        self, strokes: NDArray[np.uint8], heat: NDArray[np.floating[Any]] | None = None
    ) -> Floats:
        """Return the chance that each pixel belongs to what the strokes mark.

        Parameters
        ----------
        strokes : (H, W) uint8
            1 inside, 0 outside, 255 nothing. On the boundary's grid or on the film's;
            a cell of the grid goes to the side with more pixels in it.
        heat : (h, w) in [0, 1]
            What holds where no stroke is near, on any grid; without it, outside.

        Returns
        -------
        (H, W) float32 in [0, 1]
            Exactly 1 and 0 on the strokes; 0 everywhere without a stroke inside. More
            inside, or less outside, makes it nowhere smaller.

        Raises
        ------
        ValueError
            If strokes hold another value, or heat is no probability map.
        """
        strokes = _checked(strokes)
        if not (strokes == INSIDE).any():
            return np.zeros(strokes.shape, np.float32)
        cells = _on_grid(strokes, self.shape)
        prior = None if heat is None else _resized(_probability(heat, "heat"), cells)
        grown = _resized(self._solve(cells, prior), strokes)
        grown[strokes == INSIDE] = 1
        grown[strokes == OUTSIDE] = 0
        return grown

    def correct(
        self,
        strokes: NDArray[np.uint8],
        draft: NDArray[np.bool_],
        *,
        soft: float = SOFT,
        force: float = FORCE,
        least: float = LEAST,
    ) -> Floats:
        """Return the chance that each pixel belongs to a draft as strokes correct it.

        Near strokes the draft is drawn anew, by the walk; further away it stays. The
        draft is what a walker who gives up finds, the surer the further from its rim;
        what strokes move is counted `force` times.

        Parameters
        ----------
        strokes : (H, W) uint8
            As in `grow`; those outside alone are enough.
        draft : (H, W) bool
            On the same grid.
        soft, force, least
            See `SOFT`, `FORCE` and `LEAST`.

        Returns
        -------
        (H, W) float32 in [0, 1]
            Exactly 1 and 0 on the strokes; without strokes at least 0.5 on the draft
            and nowhere else.

        Raises
        ------
        ValueError
            If strokes hold another value, or have another shape than the draft.
        """
        strokes = _checked(strokes)
        if strokes.shape != draft.shape:
            raise ValueError(f"strokes are {strokes.shape}, the draft {draft.shape}")
        known = self._drawn_from(draft, soft)
        cells = _on_grid(strokes, self.shape)
        moved = self._solve(cells, known.prior) - known.rest
        # What hardly moves is left alone: a draft is unsure at all of its rim.
        moved = np.sign(moved) * np.maximum(np.abs(moved) - least, 0)
        chance = (known.sure + force * _resized(moved, strokes)).clip(0, 1)
        chance[strokes == INSIDE] = 1
        chance[strokes == OUTSIDE] = 0
        return np.asarray(chance, np.float32)

    def _drawn_from(self, draft: NDArray[np.bool_], soft: float) -> _Drafted:
        """Return what a draft says before any stroke; kept until it changes."""
        known = self._drafted
        if (
            known is None
            or known.soft != soft
            or not np.array_equal(known.draft, draft)
        ):
            sure = _softened(draft, soft * draft.shape[0] / self.shape[0])
            prior = _resized(sure, np.empty(self.shape))
            nothing = np.full(self.shape, NOTHING, np.uint8)
            rest = self._solve(nothing, prior)
            known = self._drafted = _Drafted(draft.copy(), soft, sure, prior, rest)
        return known

    def _solve(self, cells: NDArray[np.uint8], prior: Floats | None) -> Floats:
        """Solve ``((1 + λ)D − A) x = λ D prior`` where no stroke holds x."""
        free = (cells == NOTHING).ravel().astype(self._kind)
        root = self._root.ravel()
        held = (cells == INSIDE).ravel().astype(self._kind)
        given = -(self._system @ (root * held))
        if prior is not None:
            given += self._loss * root * prior.ravel()
        given *= free

        def apply(vector: NDArray[Any]) -> NDArray[Any]:
            found = self._system @ vector
            found *= free
            return cast("NDArray[Any]", found)

        system = LinearOperator(
            (given.size, given.size), matvec=apply, dtype=given.dtype
        )
        solved, _ = cg(system, given, rtol=_CLOSE, maxiter=_MOST)
        chance = held + solved / root
        return np.asarray(chance.clip(0, 1).reshape(self.shape), np.float32)


def grow(
    strokes: NDArray[np.uint8],
    boundary: NDArray[np.floating[Any]],
    heat: NDArray[np.floating[Any]] | None = None,
    *,
    radius: int = 5,
    beta: float = 10.0,
    steps: float = 256.0,
) -> Floats:
    """Grow strokes once; keep a `Graph` to grow many on one film.

    Parameters
    ----------
    strokes, heat
        As in `Graph.grow`.
    boundary, radius, beta, steps
        As in `Graph`.

    Returns
    -------
    (H, W) float32 in [0, 1]
        As of `Graph.grow`.

    Raises
    ------
    ValueError
        As `Graph` and `Graph.grow`.
    """
    return Graph(boundary, radius=radius, beta=beta, steps=steps).grow(strokes, heat)


def edges(image: NDArray[Any], *, stride: int = 4) -> Floats:
    """Make a boundary map from a film's own gradient, where no network has learnt one.

    Parameters
    ----------
    image : (H, W)
        Any unit and range; only the gradient beside the film's mean gradient counts.
    stride
        Pixels of the film, along each axis, per pixel of the map.

    Returns
    -------
    (h, w) float32 in [0, 1)
        A ``stride``-th of the size, rounded up: 0.05 at the mean gradient, 0.4 at
        three times as much, 0.9 at six times.
    """
    pixels = np.asarray(image, np.float32)
    if pixels.ndim != 2 or not np.isfinite(pixels).all():
        raise ValueError(
            f"the image is {pixels.shape}; give one finite grey film (H, W)"
        )
    down, along = (_derivative(pixels, axis, stride / 2) for axis in (0, 1))
    slope = np.hypot(down, along)
    mean = slope.mean()
    height, width = (-(-side // stride) for side in pixels.shape)
    # Rounding alone gives a flat film some slope.
    if mean <= 1e-6 * np.abs(pixels).max():
        return np.zeros((height, width), np.float32)
    # A wall of one pixel keeps the mask's rim, which a broad one would take away.
    crest = np.where(np.abs(along) >= np.abs(down), _crest(slope, 1), _crest(slope, 0))
    short = [(0, height * stride - len(slope)), (0, width * stride - slope.shape[1])]
    cells = np.pad(slope * crest, short).reshape(height, stride, width, stride)
    boundary = 1 - np.exp(-((cells.max((1, 3)) / (3 * mean)) ** 2) / 2)
    return np.asarray(boundary, np.float32)


def _softened(mask: NDArray[np.bool_], width: float) -> Floats:
    """Return a chance from a mask by the distance to its rim, 0.5 on the rim."""
    if not mask.any() or mask.all():
        return np.asarray(mask, np.float32)
    inside = ndimage.distance_transform_edt(mask)
    outside = ndimage.distance_transform_edt(~mask)
    return np.asarray(1 / (1 + np.exp((outside - inside) / width)), np.float32)


def _derivative(pixels: Floats, axis: int, sigma: float) -> Floats:
    smooth = ndimage.gaussian_filter1d(pixels, sigma, 1 - axis, mode="nearest")
    return np.asarray(
        ndimage.gaussian_filter1d(smooth, sigma, axis, order=1, mode="nearest")
    )


def _crest(slope: Floats, axis: int) -> NDArray[np.bool_]:
    return np.asarray(slope >= ndimage.maximum_filter1d(slope, 3, axis))


def _on_grid(strokes: NDArray[np.uint8], shape: tuple[int, ...]) -> NDArray[np.uint8]:
    if strokes.shape == shape:
        return strokes
    balance, touched = np.zeros(shape, np.int32), np.zeros(shape, bool)
    for value, vote in ((INSIDE, 1), (OUTSIDE, -1)):
        y, x = np.nonzero(strokes == value)
        place = (y * shape[0] // len(strokes), x * shape[1] // strokes.shape[1])
        np.add.at(balance, place, vote)
        touched[place] = True
    winner = np.where(balance >= 0, INSIDE, OUTSIDE)
    return np.where(touched, winner, NOTHING).astype(np.uint8)


def _resized(values: Floats, like: NDArray[Any]) -> Floats:
    """Bring a map to the shape of another one, bilinearly."""
    if values.shape == like.shape:
        return values.copy()
    rows, columns = (
        _weights(*sides) for sides in zip(like.shape, values.shape, strict=True)
    )
    return np.asarray(rows @ values @ columns.T, np.float32)


@lru_cache(maxsize=8)
def _weights(count: int, given: int) -> Floats:
    """Return the (count, given) matrix that reads a line at other places."""
    places = ((np.arange(count) + 0.5) * given / count - 0.5).clip(0, given - 1)
    apart = np.abs(places[:, None] - np.arange(given))
    return np.asarray(np.maximum(0, 1 - apart), np.float32)


def _checked(strokes: NDArray[np.uint8]) -> NDArray[np.uint8]:
    strokes = np.asarray(strokes)
    known = strokes.ndim == 2 and strokes.dtype == np.uint8
    if not known or not np.isin(strokes, (INSIDE, OUTSIDE, NOTHING)).all():
        raise ValueError(
            f"strokes are {strokes.dtype} {strokes.shape}; give one (H, W) uint8 map "
            f"of {INSIDE} inside, {OUTSIDE} outside and {NOTHING} nothing"
        )
    return strokes


def _probability(values: NDArray[np.floating[Any]], name: str) -> Floats:
    values = np.asarray(values, np.float32)
    if values.ndim != 2 or not ((values >= 0) & (values <= 1)).all():
        raise ValueError(
            f"{name} is {values.shape} and leaves [0, 1] or holds NaN, or is no map; "
            "give one (h, w) map of probabilities"
        )
    return values

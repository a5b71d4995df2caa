"""Which pixels are neighbours, and what lies between them; numpy only.

The window grows strokes with this, and the window never loads torch.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

Offset: TypeAlias = tuple[int, int]
Views: TypeAlias = tuple[Any, ...]


class PathOffset(NamedTuple):
    """A way from a pixel to a neighbour, and the pixels on it.

    Parameters
    ----------
    offset
        (rows, columns) from the source to its neighbour; rows >= 0.
    path
        Offsets of every pixel on the way, both ends included.
    """

    offset: Offset
    path: tuple[Offset, ...]


@lru_cache(maxsize=16)
def path_offsets(radius: int) -> tuple[PathOffset, ...]:
    """Return the neighbours closer than `radius` in one half plane, with their paths.

    The other half is their mirror image. A pixel is on a path if it lies in the
    bounding box of both ends and less than one pixel from the line between them.
    They come row by row, left to right.
    """
    if radius < 2:
        raise ValueError(f"radius is {radius}; at 2 px there is a first neighbour")
    reach = range(-radius + 1, radius)
    half_plane = [(0, dx) for dx in range(1, radius)]
    half_plane += [(dy, dx) for dy in range(1, radius) for dx in reach]
    return tuple(
        PathOffset((dy, dx), _path(dy, dx))
        for dy, dx in half_plane
        if dy * dy + dx * dx < radius * radius
    )


def ends(shape: Sequence[int], dy: int, dx: int) -> tuple[Views, Views]:
    """Return where the sources and the targets of all pairs inside a map lie.

    Parameters
    ----------
    shape
        (…, h, w) of the map.
    dy, dx
        Rows and columns from source to target, ``dy >= 0``.

    Returns
    -------
    source, target
        Indices that make two views of the same shape of any map (…, h, w); empty where
        no pair fits.
    """
    height, width = shape[-2:]
    rows, columns = max(0, height - dy), max(0, width - abs(dx))
    top, left = (dy, max(0, -dx)) if rows and columns else (0, 0)
    right = left + dx if rows and columns else 0
    source = (..., slice(0, rows), slice(left, left + columns))
    target = (..., slice(top, top + rows), slice(right, right + columns))
    return source, target


def views(shape: Sequence[int], offset: Offset, path: Sequence[Offset]) -> list[Views]:
    """Return where each path pixel of all valid pairs of one offset lies.

    Parameters
    ----------
    shape
        (…, h, w) of the map.
    offset
        (rows, columns) from source to target, rows >= 0.
    path
        Offsets from the source of the pixels on the way, see `path_offsets`.

    Returns
    -------
    list
        An index a path pixel, all of views of the same shape.
    """
    height, width = shape[-2:]
    dy, dx = offset
    rows, left, right = height - dy, max(0, -dx), width - max(0, dx)
    return [
        (..., slice(y, max(y, rows + y)), slice(left + x, max(left, right) + x))
        for y, x in path
    ]


def highest(boundary: NDArray[np.floating[Any]], radius: int) -> NDArray[Any]:
    """Return (n_offsets, h, w): `napari_wsseg.ops.affinity.path_max` of one map."""
    offsets = path_offsets(radius)
    found = np.ones((len(offsets), *boundary.shape), boundary.dtype)
    for place, (offset, path) in enumerate(offsets):
        source, _ = ends(boundary.shape, *offset)
        first, *others = views(boundary.shape, offset, path)
        best = boundary[first].copy()
        for view in others:
            np.maximum(best, boundary[view], out=best)
        found[place][source] = best
    return found


def all_around(near: Any, affinity: Any, offsets: Sequence[Offset]) -> Any:
    """Fill in, of every pixel, its affinity to all its neighbours.

    Parameters
    ----------
    near : (2 n_offsets + 1, h, w)
        Zeros of numpy or torch, filled in place. In the order of their column in the
        matrix: mirrored offsets, the pixel itself (1), offsets.
    affinity : (n_offsets, h, w)
        Of each pixel and its neighbour; 0 where the neighbour is outside.
    offsets
        Half-plane neighbours, row by row.

    Returns
    -------
    (2 n_offsets + 1, h, w)
        `near`.
    """
    count = len(offsets)
    near[count] = 1
    near[count + 1 :] = affinity
    for place, offset in enumerate(offsets):
        source, target = ends(affinity.shape, *offset)
        near[count - 1 - place][target] = affinity[place][source]
    return near


def diagonals(near: NDArray[Any], offsets: Sequence[Offset]) -> sparse.dia_matrix:
    """Return the (h·w, h·w) matrix of a symmetric `all_around`.

    A neighbour is a fixed step away in memory, so the matrix is a few diagonals: no
    column indices to read, a quarter of the time of compressed rows.
    """
    width, size = near.shape[2], near.shape[1] * near.shape[2]
    steps = [dy * width + dx for dy, dx in offsets]
    # A stored diagonal is aligned to columns; A is symmetric, so that is its mirror.
    places = [-step for step in [-step for step in reversed(steps)] + [0, *steps]]
    values = near.reshape(len(near), size)
    if len(set(places)) < len(places):
        # On a map narrower than two radii, neighbours of different rows are equally
        # far away in memory; at most one of them is on the map, the others are zero.
        unique, place = np.unique(places, return_inverse=True)
        merged = np.zeros((len(unique), size), values.dtype)
        np.add.at(merged, place, values)
        places, values = unique.tolist(), merged
    return sparse.dia_matrix((values, places), shape=(size, size))


def _path(dy: int, dx: int) -> tuple[Offset, ...]:
    columns = range(min(0, dx), max(0, dx) + 1)
    length = float(np.hypot(dy, dx))
    return tuple(
        (y, x)
        for y in range(dy + 1)
        for x in columns
        if abs(dy * x - dx * y) / length < 1
    )

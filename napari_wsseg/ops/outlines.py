"""Masks as polygons, and polygons as masks, without losing a pixel.

A polygon cannot hold a hole, and lists of polygons are united: so a mask is first cut
into pieces without holes. Coordinates are x (columns) and y (rows); a pixel covers the
square from its own column and row to the next, so its centre lies at a half.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_wsseg.schema import Mask

Points = NDArray[np.int64]

_CROSSINGS = 2**20
"""Of edges with rows that are computed at once: some 60 MB."""

_AHEAD = ((1, 0), (0, 1), (-1, 0), (0, -1))  # right, down, left, up; x and y


def edges(mask: Mask) -> list[Points]:
    """Return the outlines (N, 2) of a (H, W) mask along the edges of its pixels.

    `filled` gives the mask back.
    """
    return [_walk(piece, top, left)[0] for piece, top, left in _pieces(mask)]


def borders(mask: Mask) -> list[Points]:
    """Return the outlines (N, 2) of a (H, W) mask through its outermost pixels.

    For programs that fill a polygon together with its outline, coordinates being those
    of pixels; one pixel alone is two equal points.
    """
    return [_walk(piece, top, left)[1] for piece, top, left in _pieces(mask)]


def filled(
    outlines: Iterable[Sequence[Sequence[float]] | NDArray[np.generic]],
    shape: tuple[int, int],
) -> Mask:
    """Return the (H, W) mask of the pixels whose centre is in one of the outlines.

    A polygon that crosses itself is filled by the even-odd rule.

    Raises
    ------
    ValueError
        An outline is not a list of finite x and y.
    """
    mask = np.zeros(shape, bool)
    for outline in outlines:
        points = np.asarray(outline, np.float64)
        if points.ndim != 2 or points.shape[1] != 2 or not np.isfinite(points).all():
            raise ValueError("an outline is not a list of x and y")
        _fill(mask, points)
    return mask


def _fill(mask: Mask, points: NDArray[np.float64]) -> None:
    """Fill one polygon: pixels right of an odd number of its edges."""
    rows, columns = mask.shape
    low = int(np.clip(np.floor(points[:, 1].min()), 0, rows))
    high = int(np.clip(np.ceil(points[:, 1].max()), 0, rows))
    left = int(np.clip(np.floor(points[:, 0].min()), 0, columns))
    right = int(np.clip(np.ceil(points[:, 0].max()), 0, columns))
    if low >= high or left >= right:
        return
    flips = np.zeros((high - low, right - left + 1), bool)
    # Every edge crosses the centre lines of the rows from its upper end to its lower.
    (x0, y0), (x1, y1) = points.T, np.roll(points, -1, 0).T
    start = np.clip(np.ceil(np.minimum(y0, y1) - 0.5), low, high).astype(int)
    stop = np.clip(np.ceil(np.maximum(y0, y1) - 0.5), low, high).astype(int)
    counts = stop - start
    for some in _batches(counts):
        edge = np.repeat(some, counts[some])
        step = np.arange(edge.size) - np.repeat(
            np.cumsum(counts[some]) - counts[some], counts[some]
        )
        row = start[edge] + step
        slope = (x1[edge] - x0[edge]) / (y1[edge] - y0[edge])
        cross = x0[edge] + (row + 0.5 - y0[edge]) * slope
        column = np.clip(np.ceil(cross - 0.5), left, right).astype(int) - left
        np.logical_xor.at(flips, (row - low, column), True)
    inside = np.logical_xor.accumulate(flips[:, :-1], axis=1)
    mask[low:high, left:right] |= inside


def _batches(counts: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
    """Yield the numbers of edges, as many at once as cross some million rows."""
    edges = np.flatnonzero(counts > 0)
    ends = np.cumsum(counts[edges]) // _CROSSINGS
    for batch in np.unique(ends):
        yield edges[ends == batch]


def _pieces(mask: Mask) -> Iterator[tuple[Mask, int, int]]:
    """Cut a mask into pieces that hang together by edges and have no hole.

    Yields (h, w) masks with a margin of one pixel, and the row and column in the whole
    mask of the first pixel behind the margin.
    """
    labels, _ = ndimage.label(np.asarray(mask, bool))
    for number, box in enumerate(ndimage.find_objects(labels), start=1):
        padded = np.pad(labels[box] == number, 1)
        cuts = _holes(padded)
        top, left = box[0].start, box[1].start
        if not cuts:
            yield padded, top, left
            continue
        for start, end in zip([0, *cuts], [*cuts, padded.shape[1]], strict=True):
            # Cut at its first column, a hole opens to the strip's side. No new one
            # can be closed: there is nothing but the strip's margin beside it.
            for piece, dy, dx in _pieces(padded[:, start:end]):
                yield piece, top + dy - 1, left + start + dx - 1


def _holes(piece: Mask) -> list[int]:
    """Return the first columns of the holes of a piece that has a margin."""
    labels, count = ndimage.label(~piece, np.ones((3, 3)))
    if count == 1:
        return []
    outside = labels[0, 0]
    return sorted(
        {
            int(box[1].start)
            for number, box in enumerate(ndimage.find_objects(labels), start=1)
            if number != outside
        }
    )


def _walk(piece: Mask, top: int, left: int) -> tuple[Points, Points]:
    """Walk round a piece with a margin, its pixels at the right hand.

    Returns the corners that were turned at, and the pixels that were passed.
    """
    inside = piece.tolist()
    start = int(np.argmax(piece[1])), 1
    (x, y), turn = start, 0
    corners: list[tuple[int, int]] = []
    passed: list[tuple[int, int]] = []
    while True:
        pixel = _right(x, y, turn)
        if not passed or passed[-1] != pixel:
            passed.append(pixel)
        x, y = x + _AHEAD[turn][0], y + _AHEAD[turn][1]
        column, row = _right(x, y, turn)
        if not inside[row][column]:
            corners.append((x, y))
            turn = (turn + 1) % 4
        else:
            column, row = _right(x, y, (turn + 3) % 4)
            if inside[row][column]:
                corners.append((x, y))
                turn = (turn + 3) % 4
        if (x, y) == start and turn == 0:
            break
    if len(passed) > 1 and passed[0] == passed[-1]:
        passed.pop()
    if len(passed) == 1:
        passed *= 2
    shift = np.array([left - 1, top - 1])
    return np.array(corners) + shift, np.array(passed) + shift


def _right(x: int, y: int, turn: int) -> tuple[int, int]:
    """Return the pixel (column, row) ahead at the right of a corner."""
    return (
        (x, y)
        if turn == 0
        else (x - 1, y)
        if turn == 1
        else (x - 1, y - 1)
        if turn == 2
        else (x, y - 1)
    )

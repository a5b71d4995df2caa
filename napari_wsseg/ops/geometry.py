"""Letterboxing: a film of any shape on the square grids that networks and maps have.

A film is padded to a square by whole pixels of its own, and the square is scaled. On
a grid of any size the film then lies in a box of fractions of cells, the same share of
every grid: nothing is rounded, so a map of eight cells lies on its film as exactly as
one of a thousand.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage


def content_box(shape: tuple[int, int], size: int) -> tuple[int, int, int, int]:
    """Return (top, left, height, width) of a film of `shape` on a `size`² grid.

    In whole pixels, for grids fine enough to tell a film's pixels from the margin's;
    where things are on a grid is `exact_box`'s to say.
    """
    rows, columns = shape
    longest = max(rows, columns)
    height = max(1, round(rows * size / longest))
    width = max(1, round(columns * size / longest))
    return (size - height) // 2, (size - width) // 2, height, width


def exact_box(shape: tuple[int, int], size: int) -> tuple[float, float, float, float]:
    """Return (top, left, height, width) of a film on a `size`² grid, in cells."""
    (rows, columns), (above, before) = shape, _padding(shape)
    cells = size / max(shape)
    return above * cells, before * cells, rows * cells, columns * cells


def letterbox(pixels: NDArray[np.float32], size: int) -> NDArray[np.float32]:
    """Fit a (H, W) film into a (size, size) square, zero outside.

    Smoothed by a Gaussian where it shrinks, then sampled linearly, at every pixel
    that the film touches.
    """
    step = max(pixels.shape) / size
    corner = tuple(-margin for margin in _padding(pixels.shape))
    square = _sampled(pixels, (size, size), (step, step), corner)
    top, left, height, width = exact_box(pixels.shape, size)
    square[_covered(top, height, size) == 0] = 0
    square[:, _covered(left, width, size) == 0] = 0
    return square


def letterbox_mask(mask: NDArray[np.bool_], size: int) -> NDArray[np.bool_]:
    """Fit a (H, W) mask into a (size, size) square; on where half covered or more."""
    top, left, height, width = exact_box(mask.shape, size)
    covered = np.outer(_covered(top, height, size), _covered(left, width, size))
    return np.asarray(letterbox(mask.astype(np.float32), size) * covered >= 0.5)


def unletterbox(
    square: NDArray[np.float32],
    shape: tuple[int, int],
    *,
    grid: tuple[int, int] | None = None,
    nearest: bool = False,
) -> NDArray[np.float32]:
    """Bring a (h, h) map of the square back to its film.

    Cells that lie in the margin altogether say nothing of it.

    Parameters
    ----------
    square : (h, h) float32
        On a grid of any size, over the letterboxed square.
    shape
        Rows and columns of the film.
    grid
        Rows and columns that the film is wanted in, edge to edge; its own by default.
    nearest
        Take the nearest pixel, as labels want it, instead of going bilinearly.
    """
    top, left, height, width = exact_box(shape, square.shape[-1])
    rows, columns = grid or shape
    step = (height / rows, width / columns)
    down = _covered(top, height, len(square)) > 0
    across = _covered(left, width, len(square)) > 0
    film = square[down][:, across]
    corner = (top - down.argmax(), left - across.argmax())
    return _sampled(film, (rows, columns), step, corner, nearest=nearest)


def placement(
    shape: tuple[int, int], size: int
) -> tuple[tuple[float, float], tuple[float, float]]:
    """Return (scale, translate), in film pixels, that lay a `size`² map on its film.

    Pixel centres are at whole numbers, as in napari: map pixel ``i`` is shown at
    ``scale * i + translate``.
    """
    scale, (above, before) = max(shape) / size, _padding(shape)
    middle = (scale - 1) / 2
    return (scale, scale), (middle - above, middle - before)


def _padding(shape: tuple[int, ...]) -> tuple[int, int]:
    """Return the pixels above and before a film that make it a square."""
    rows, columns = shape
    longest = max(rows, columns)
    return (longest - rows) // 2, (longest - columns) // 2


def _covered(begin: float, length: float, size: int) -> NDArray[np.float64]:
    """Return the share of each of `size` cells that an interval covers."""
    edges = np.arange(size + 1).clip(begin, begin + length)
    # What floating point leaves of a cell that is only touched is nothing.
    return np.diff(edges).round(9)


def _sampled(
    pixels: NDArray[np.float32],
    shape: tuple[int, int],
    step: tuple[float, float],
    corner: tuple[float, ...],
    *,
    nearest: bool = False,
) -> NDArray[np.float32]:
    """Sample `shape` pixels, `step` wide each, from `corner` on; edges go on outside.

    Steps and corner are in the given pixels, counted from the outer edge of the first.
    """
    source = pixels.astype(np.float32, copy=False)
    blur = [max(0.0, (wide - 1) / 2) for wide in step]
    if any(blur) and not nearest:
        source = ndimage.gaussian_filter(source, blur, mode="nearest")
    first = [at + (wide - 1) / 2 for at, wide in zip(corner, step, strict=True)]
    sampled = np.empty(shape, np.float32)
    order = 0 if nearest else 1
    ndimage.affine_transform(
        source, step, first, output=sampled, order=order, mode="nearest"
    )
    return sampled

"""Letterboxing: a film of any shape on the square grid that networks see.

The long side fills the square, the film is centred, the rest is zero. Both ways are
exact about where a pixel's corners are, so that a map from the grid lies on the film
to a fraction of a pixel.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from skimage.transform import resize


def content_box(shape: tuple[int, int], size: int) -> tuple[int, int, int, int]:
    """Return (top, left, height, width) of a film of `shape` on a `size`² grid."""
    rows, columns = shape
    longest = max(rows, columns)
    height = max(1, round(rows * size / longest))
    width = max(1, round(columns * size / longest))
    return (size - height) // 2, (size - width) // 2, height, width


def letterbox(pixels: NDArray[np.float32], size: int) -> NDArray[np.float32]:
    """Fit a (H, W) film into a (size, size) square, area-averaged, zero outside."""
    top, left, height, width = content_box(pixels.shape, size)
    square = np.zeros((size, size), np.float32)
    square[top : top + height, left : left + width] = _scaled(pixels, (height, width))
    return square


def letterbox_mask(mask: NDArray[np.bool_], size: int) -> NDArray[np.bool_]:
    """Fit a (H, W) mask into a (size, size) square; on where half covered or more."""
    return letterbox(mask.astype(np.float32), size) >= 0.5


def unletterbox(
    square: NDArray[np.float32], shape: tuple[int, int]
) -> NDArray[np.float32]:
    """Bring a (h, h) map of the square back to the film's `shape`, bilinear."""
    top, left, height, width = content_box(shape, square.shape[-1])
    return _scaled(square[top : top + height, left : left + width], shape)


def placement(
    shape: tuple[int, int], size: int
) -> tuple[tuple[float, float], tuple[float, float]]:
    """Return (scale, translate), in film pixels, that lay a `size`² map on its film.

    Pixel centres are at whole numbers, as in napari: map pixel ``i`` is shown at
    ``scale * i + translate``.
    """
    top, left, height, width = content_box(shape, size)
    scale = (shape[0] / height, shape[1] / width)
    translate = (
        scale[0] * (0.5 - top) - 0.5,
        scale[1] * (0.5 - left) - 0.5,
    )
    return scale, translate


def _scaled(pixels: NDArray[np.float32], shape: tuple[int, int]) -> NDArray[np.float32]:
    if pixels.shape == shape:
        return pixels.astype(np.float32, copy=True)
    shrinks = shape[0] < pixels.shape[0] or shape[1] < pixels.shape[1]
    scaled = resize(
        pixels.astype(np.float32),
        shape,
        order=1,
        mode="edge",
        anti_aliasing=shrinks,
        preserve_range=True,
    )
    return np.asarray(scaled, np.float32)

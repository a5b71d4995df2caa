"""Tidying a finding's mask: components, holes, specks, edges.

A finding is 8-connected and its holes are 4-connected, everywhere.
"""

from __future__ import annotations

import math
from typing import cast

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_wsseg.schema import Mask

MIN_AREA = 0.002
"""Smallest region worth keeping, as a share of the film: 2000 px of 1024²."""

_EIGHT = np.ones((3, 3), bool)


def components(mask: Mask) -> tuple[NDArray[np.int32], int]:
    """Label the 8-connected regions of a (H, W) mask.

    Returns
    -------
    regions : (H, W) int32
        0 outside, 1 … count inside, in reading order of their first pixel.
    count
        Number of regions.
    """
    regions, count = ndimage.label(_checked(mask), structure=_EIGHT)
    return regions, int(count)


def fill_holes(mask: Mask) -> Mask:
    """Fill what a (H, W) mask encloses; a gap across a corner keeps a hole closed."""
    return cast(Mask, ndimage.binary_fill_holes(_checked(mask)))


def keep_largest(mask: Mask, *, count: int = 1) -> Mask:
    """Keep the `count` largest regions of a (H, W) mask; an empty mask stays empty.

    Of regions of one size, the first in reading order is kept.
    """
    if count < 1:
        raise ValueError(f"count is {count}; keep at least 1 region")
    regions, found = components(mask)
    if found <= count:
        return regions > 0
    areas = np.bincount(regions.ravel())[1:]
    largest = np.argsort(-areas, kind="stable")[:count] + 1
    return np.isin(regions, largest)


def nearest(mask: Mask, shape: tuple[int, int]) -> Mask:
    """Return a mask on another grid, edge to edge, each cell the pixel at its middle.

    Parameters
    ----------
    mask : (H, W) bool
    shape
        Rows and columns wanted.
    """
    rows, columns = (
        ((np.arange(small) + 0.5) * large / small).astype(int)
        for small, large in zip(shape, mask.shape, strict=True)
    )
    return np.asarray(mask[np.ix_(rows, columns)], bool)


def remove_small(mask: Mask, *, min_area: float = MIN_AREA) -> Mask:
    """Remove regions of a (H, W) mask below `min_area`, a share of the film in [0, 1].

    A region of exactly that share stays.
    """
    if not 0 <= min_area <= 1:
        raise ValueError(
            f"min_area is {min_area}; it is a share of the film, 0 to 1, not pixels"
        )
    from skimage.morphology import remove_small_objects  # slow to import

    mask = _checked(mask)
    least = math.ceil(min_area * mask.size)
    if least <= 1:
        return mask.copy()
    return cast(
        Mask, remove_small_objects(mask, max_size=least - 1, connectivity=mask.ndim)
    )


def rims(labels: NDArray[np.uint8], width: int) -> NDArray[np.uint8]:
    """Return regions of labels without their inside: rims that are seen when drawn.

    A pixel stays that lies within `width` of a lower label, or beside a higher one, in
    city blocks. It takes time by the pixels of the regions, whatever their width.

    Parameters
    ----------
    labels : (H, W) uint8
        0 is no region; what lies outside the picture is none either, and no border.
    width
        In pixels, 1 or more.

    Returns
    -------
    (H, W) uint8
        As `labels`, 0 inside of regions.
    """
    found = np.zeros_like(labels)
    for label in range(1, int(labels.max(initial=0)) + 1):
        there = labels == label
        rows, columns = np.flatnonzero(there.any(1)), np.flatnonzero(there.any(0))
        if not rows.size:
            continue
        part = np.s_[
            max(0, rows[0] - width) : rows[-1] + width + 1,
            max(0, columns[0] - width) : columns[-1] + width + 1,
        ]
        own = labels[part]
        higher = ndimage.binary_dilation(own > label)
        depth = ndimage.distance_transform_cdt(own >= label, metric="taxicab")
        # Where nothing is lower, no depth is known, and there is no rim.
        near = (depth <= width) & bool((own < label).any())
        found[part][(own == label) & (near | higher)] = label
    return found


def smooth(mask: Mask, *, radius: float = 2.0) -> Mask:
    """Round off edges finer than `radius` pixels: Gaussian blur, cut at one half."""
    if radius < 0:
        raise ValueError(f"radius is {radius} px; it cannot be negative")
    blurred = ndimage.gaussian_filter(
        _checked(mask).astype(np.float32), radius, mode="nearest"
    )
    return cast(Mask, blurred >= 0.5)


def triplet_mask(
    score: NDArray[np.float32],
    *,
    top: float = 0.75,
    min_area: float = MIN_AREA,
    bottom: float = 0.3,
) -> Mask:
    """Cut a score map where it is sure enough of something large enough.

    The rule that won the SIIM-ACR Pneumothorax challenge: the film is positive where
    at least `min_area` of it lies above `top`, and its mask is then what lies above
    `bottom`; otherwise the mask is empty.

    Parameters
    ----------
    score : (H, W) in [0, 1]
    top, bottom
        Cuts in the unit of `score`, ``bottom <= top``.
    min_area
        Share of the film in [0, 1].
    """
    if bottom > top:
        raise ValueError(f"bottom {bottom} is above top {top}; swap them")
    sure = np.count_nonzero(score > top)
    if not sure or sure < min_area * score.size:
        return np.zeros(score.shape, bool)
    return score > bottom


def _checked(mask: Mask) -> Mask:
    mask = np.asarray(mask)
    if mask.ndim != 2 or mask.dtype != np.bool_:
        raise ValueError(
            f"mask is {mask.dtype} {mask.shape}; give one (H, W) bool mask at a time"
        )
    return mask

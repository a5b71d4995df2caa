"""How far two readers agree: on where a finding ends, and on whether it is there."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage

from napari_wsseg.schema import Mask


def hd95(
    first: Mask, second: Mask, *, spacing: tuple[float, float] = (1.0, 1.0)
) -> float | None:
    """95th percentile of the Hausdorff distance of two (H, W) masks; 0 where equal.

    The distances of every rim pixel of one mask to the nearest of the other, their
    95th percentile, and of the two directions the larger one. A rim pixel has one of
    its four neighbours outside the mask, or lies at the film's edge. ``None`` where
    either mask is empty: then there is no distance.

    Parameters
    ----------
    first, second : (H, W) bool
        Order does not matter.
    spacing
        Row and column spacing: in mm for mm, 1 for pixels.

    Raises
    ------
    ValueError
        The masks have different shapes.
    """
    ours, theirs = np.asarray(first, bool), np.asarray(second, bool)
    if ours.shape != theirs.shape:
        raise ValueError(
            f"the masks are {ours.shape} and {theirs.shape}; bring both to the film's"
        )
    if not ours.any() or not theirs.any():
        return None
    # Nothing outside the box of both can be nearer, and films are large.
    box = _box(ours | theirs)
    rims = _rim(ours[box]), _rim(theirs[box])
    return max(_directed(*rims, spacing), _directed(*rims[::-1], spacing))


def kappa(first: ArrayLike, second: ArrayLike) -> float | None:
    """Cohen's kappa of two readers' (N,) yes/no answers on the same films.

    ``None`` without films, and where chance alone explains everything: both readers
    gave one and the same answer throughout (Cohen 1960, 10.1177/001316446002000104).

    Raises
    ------
    ValueError
        The answers are not as many.
    """
    ours, theirs = np.asarray(first, bool), np.asarray(second, bool)
    if ours.shape != theirs.shape or ours.ndim != 1:
        raise ValueError(
            f"the answers are {ours.shape} and {theirs.shape}; give one per film"
        )
    if not ours.size:
        return None
    agreed = float(np.mean(ours == theirs))
    yes, also = float(ours.mean()), float(theirs.mean())
    by_chance = yes * also + (1 - yes) * (1 - also)
    return None if by_chance == 1 else (agreed - by_chance) / (1 - by_chance)


def _box(mask: Mask) -> tuple[slice, slice]:
    rows, columns = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
    return slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)


def _rim(mask: Mask) -> NDArray[np.bool_]:
    return np.asarray(mask & ~ndimage.binary_erosion(mask), bool)


def _directed(
    here: NDArray[np.bool_], there: NDArray[np.bool_], spacing: tuple[float, float]
) -> float:
    distances = ndimage.distance_transform_edt(~there, sampling=spacing)
    return float(np.percentile(distances[here], 95))

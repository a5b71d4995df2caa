"""From one finding's mask to separate lesions, by IRNet's displacement field.

Every pixel follows the field to the centroid of what it belongs to (Ahn 2019,
arXiv:1904.05044); pixels that arrive at one place are one lesion.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_wsseg.ops import masks
from napari_wsseg.schema import Mask

WEAK = 2.5
"""Length of a displacement, in pixels of its map, below which a pixel has arrived."""

_STILL = 0.01
"""Pixels; when no pixel moves further, all have arrived."""


def centroids(
    displacement: NDArray[np.floating[Any]], *, steps: int = 300
) -> NDArray[np.float32]:
    """Follow a displacement field from every pixel.

    Parameters
    ----------
    displacement : (2, h, w)
        Rows and columns from each pixel to the centroid of what it belongs to, in
        pixels of this map; read bilinearly between them.
    steps
        Most steps; ends sooner where no pixel moves any more.

    Returns
    -------
    (2, h, w) float32
        Row and column at which each pixel arrives, inside the map.
    """
    field = _field(displacement)
    rows, columns = field.shape[1:]
    places = np.indices((rows, columns)).astype(np.float64)
    last = np.array([rows - 1, columns - 1], np.float64).reshape(2, 1, 1)
    for _ in range(steps):
        moves = [
            ndimage.map_coordinates(one, places, order=1, mode="nearest")
            for one in field
        ]
        before, places = places, (places + np.stack(moves)).clip(0, last)
        if np.abs(places - before).max() < _STILL:
            break
    return places.astype(np.float32)


def split(
    mask: Mask,
    displacement: NDArray[np.floating[Any]],
    *,
    steps: int = 300,
    weak: float = WEAK,
    min_area: float = 0.0,
) -> NDArray[np.int32]:
    """Split one finding's mask into separate lesions, by number.

    Pixels belong together that arrive in one 8-connected region where the field is
    weak. One that arrives elsewhere goes with the nearest such region.

    Parameters
    ----------
    mask : (H, W) bool
        On any grid that shows the same film.
    displacement, steps
        As in `centroids`.
    weak
        Field's length, in pixels of its map, below which a pixel is a centroid.
    min_area
        Smallest lesion as a share of the film in [0, 1]; a smaller one goes with the
        nearest of the others. The largest always stays.

    Returns
    -------
    (H, W) int32
        0 outside the mask, 1 … n inside, in reading order of their first pixel.
    """
    field = _field(displacement)
    if mask.ndim != 2 or mask.dtype != np.bool_:
        raise ValueError(
            f"mask is {mask.dtype} {mask.shape}; give one (H, W) bool mask at a time"
        )
    if not mask.any():
        return np.zeros(mask.shape, np.int32)
    lesions = np.where(mask, _clusters(field, mask.shape, steps, weak), 0)
    sizes = np.bincount(lesions.ravel())
    sizes[0] = 0
    keep = sizes >= min(max(1, min_area * mask.size), sizes.max())
    keep[0] = False
    lesions = np.where(mask, _nearest(np.where(keep[lesions], lesions, 0)), 0)
    return _in_reading_order(lesions)


def _clusters(
    field: NDArray[np.float32], shape: tuple[int, ...], steps: int, weak: float
) -> NDArray[np.int32]:
    """Return (H, W) the centroid region, 1 and above, at which each pixel arrives."""
    arrived = np.hypot(*field) < weak
    if not arrived.any():  # a field that nowhere comes to rest parts nothing
        return np.ones(shape, np.int32)
    regions, _ = masks.components(arrived)
    y, x = centroids(field, steps=steps).round().astype(int)
    clusters = _nearest(regions)[y, x]
    rows, columns = (
        ((np.arange(count) + 0.5) * given / count).astype(int)
        for count, given in zip(shape, clusters.shape, strict=True)
    )
    return np.asarray(clusters[rows[:, None], columns], np.int32)


def _nearest(labels: NDArray[np.int32]) -> NDArray[np.int32]:
    """Give every pixel the label of the nearest one above 0."""
    places = ndimage.distance_transform_edt(
        labels == 0, return_distances=False, return_indices=True
    )
    return np.asarray(labels[tuple(places)], np.int32)


def _in_reading_order(labels: NDArray[np.int32]) -> NDArray[np.int32]:
    found, first = np.unique(labels, return_index=True)
    inside = found > 0
    number = np.zeros(int(labels.max()) + 1, np.int32)
    number[found[inside][np.argsort(first[inside])]] = np.arange(1, inside.sum() + 1)
    return np.asarray(number[labels], np.int32)


def _field(displacement: NDArray[np.floating[Any]]) -> NDArray[np.float32]:
    field = np.asarray(displacement, np.float32)
    if field.ndim != 3 or len(field) != 2 or not np.isfinite(field).all():
        raise ValueError(
            f"displacement is {field.shape} or holds NaN; give finite (2, h, w), rows "
            "then columns"
        )
    return field

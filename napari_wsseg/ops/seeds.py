"""From heat to seeds: what is surely finding, what surely is not, and the rest."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from napari_wsseg.schema import IGNORE, Mask

FOREGROUND = 0.30
BACKGROUND = 0.05
"""Where heat, divided by its peak, is surely finding and surely background (IRNet)."""


def normalise(heat: NDArray[np.floating]) -> NDArray[np.float32]:
    """Divide every (…, h, w) map by its own peak: [0, 1]; no heat stays no heat.

    A map without a finding has a peak too: gate by image label or classifier
    probability before, or every negative film becomes positive.
    """
    heat = _checked(heat)
    peak = heat.max(axis=(-2, -1), keepdims=True)
    relative = np.zeros_like(heat)
    np.divide(heat, peak, out=relative, where=peak > 0)
    return relative


def combine(confident: Mask, permissive: Mask) -> NDArray[np.uint8]:
    """Make seeds from two masks of one finding, a strict and a generous one.

    IRNet's rule: 1 where `confident`, 0 where neither, `IGNORE` where only
    `permissive`. The two come from thresholds, or from two passes of a CRF (see
    `napari_wsseg.pipeline.inference.scorers.crf_seeds`), which do not always nest.

    Parameters
    ----------
    confident, permissive : (…, h, w) bool
    """
    if confident.shape != permissive.shape:
        raise ValueError(
            f"the confident mask is {confident.shape} but the permissive one is "
            f"{permissive.shape}; they must show the same map"
        )
    seeds = np.where(permissive, IGNORE, 0).astype(np.uint8)
    seeds[confident] = 1
    return seeds


def otsu(heat: NDArray[np.floating], *, bins: int = 256) -> float:
    """Return the threshold that parts a map into two classes best (Otsu 1979).

    Finding is where ``heat > threshold``. A map of one value has no two classes: its
    value is returned, above which there is nothing.

    Parameters
    ----------
    heat
        Any shape; every pixel counts.
    bins
        Histogram bins between the smallest and the largest value.
    """
    values = np.asarray(heat, np.float64).ravel()
    if not np.isfinite(values).all():
        raise ValueError("heat holds NaN or infinity; compute the map again")
    from skimage.filters import threshold_otsu  # slow to import, and seldom wanted

    return float(threshold_otsu(values, nbins=bins))


def _checked(heat: NDArray[np.floating]) -> NDArray[np.float32]:
    heat = np.asarray(heat, np.float32)
    if heat.ndim < 2:
        raise ValueError(f"heat is {heat.shape}; give (h, w) or (K, h, w)")
    if not np.isfinite(heat).all():
        raise ValueError("heat holds NaN or infinity; compute the map again")
    return heat

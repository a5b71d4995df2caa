"""What is measured of a chest: areas, and the heart's width against the chest's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from napari_wsseg.schema import Mask


@dataclass(frozen=True, slots=True)
class ChestMeasures:
    """Measurements of one film, of masks that a network drew: not a diagnosis.

    Parameters
    ----------
    cardiothoracic_ratio
        Greatest width of the heart over the greatest width of both lungs with what is
        between them (Danzer 1919); ``None`` where there is no heart or no lung on
        either side.
    heart, left_lung, right_lung
        Areas as shares of the film, in [0, 1].
    """

    cardiothoracic_ratio: float | None
    heart: float
    left_lung: float
    right_lung: float


def measure(masks: Mapping[str, Mask]) -> ChestMeasures:
    """Measure masks (H, W) of ``"heart"``, ``"left_lung"`` and ``"right_lung"``.

    Rows and columns are taken to be as far apart, as they are on films.
    """
    heart, left, right = (masks[name] for name in ("heart", "left_lung", "right_lung"))
    ratio = None
    if heart.any() and left.any() and right.any():
        ratio = _width(heart) / _width(left | right)
    shares = (float(mask.mean()) for mask in (heart, left, right))
    return ChestMeasures(ratio, *shares)


def _width(mask: Mask) -> int:
    columns = np.flatnonzero(mask.any(0))
    return int(columns[-1] - columns[0] + 1)

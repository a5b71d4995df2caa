"""What is measured of a chest: areas, and the heart's width against the chest's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
    ratio = width_ratio(masks, ("heart",))
    shares = (float(mask.mean()) for mask in (heart, left, right))
    return ChestMeasures(ratio, *shares)


def width_ratio(masks: Mapping[str, Mask], structures: Sequence[str]) -> float | None:
    """Return the width of some structures together over that of both lungs.

    ``None`` where they are not found, or a lung is not.
    """
    organ = np.logical_or.reduce([masks[name] for name in structures])
    return share_of_width(organ, masks)


def share_of_width(organ: Mask, masks: Mapping[str, Mask]) -> float | None:
    """Return the width of a mask over that of both lungs, see `width_ratio`."""
    left, right = masks["left_lung"], masks["right_lung"]
    if not (organ.any() and left.any() and right.any()):
        return None
    return _width(organ) / _width(left | right)


def _width(mask: Mask) -> int:
    columns = np.flatnonzero(mask.any(0))
    return int(columns[-1] - columns[0] + 1)

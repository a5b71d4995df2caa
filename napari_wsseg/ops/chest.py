"""What is measured of a chest: areas, and the heart's width against the chest's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from napari_wsseg.schema import Mask

_WIDEST = 0.2  # of an organ's rows


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


def share_of_breadth(organ: Mask, masks: Mapping[str, Mask]) -> float | None:
    """Return how broad a mask is over the width of both lungs, see `width_ratio`.

    That is the mean of its widest fifth of rows: its greatest width hangs on two pixels
    of an outline that a network draws, and tells less of whether a heart is too large.
    """
    left, right = masks["left_lung"], masks["right_lung"]
    if not (organ.any() and left.any() and right.any()):
        return None
    return _breadth(organ) / _width(left | right)


_ROLES = {
    "heart": ("heart", "cardiac silhouette", "heart silhouette"),
    "left_lung": ("left lung", "lung left", "lung l", "l lung"),
    "right_lung": ("right lung", "lung right", "lung r", "r lung"),
    "lungs": ("lungs", "lung", "both lungs"),
}
"""What a structure may be called in a project, by what it is here."""


def role(name: str) -> str | None:
    """Return which part of the ratio a finding is by its name, ``None`` if none.

    ``"heart"``, ``"left_lung"``, ``"right_lung"``, or ``"lungs"`` for both as one.
    """
    plain = " ".join(name.casefold().replace("_", " ").replace("-", " ").split())
    return next((part for part, names in _ROLES.items() if plain in names), None)


def span(mask: Mask) -> tuple[float, float] | None:
    """Return the left and right edge of a (H, W) mask, as shares of the width.

    ``None`` if it is empty.
    """
    columns = np.flatnonzero(mask.any(0))
    if not columns.size:
        return None
    return float(columns[0] / mask.shape[1]), float((columns[-1] + 1) / mask.shape[1])


def ratio_of_spans(spans: Mapping[str, tuple[float, float]]) -> float | None:
    """Return the heart's width over the chest's, of spans by `role`.

    ``None`` where the heart is missing, or a lung.
    """
    lungs = [spans[part] for part in ("left_lung", "right_lung") if part in spans]
    joined = spans.get("lungs")
    if len(lungs) < 2:
        lungs = [joined] if joined else []
    if "heart" not in spans or not lungs:
        return None
    left, right = min(one[0] for one in lungs), max(one[1] for one in lungs)
    return (spans["heart"][1] - spans["heart"][0]) / (right - left)


def _width(mask: Mask) -> int:
    columns = np.flatnonzero(mask.any(0))
    return int(columns[-1] - columns[0] + 1)


def _breadth(mask: Mask) -> float:
    rows = np.sort(mask.sum(1)[mask.any(1)])
    widest = max(1, round(_WIDEST * len(rows)))
    return float(rows[-widest:].mean())

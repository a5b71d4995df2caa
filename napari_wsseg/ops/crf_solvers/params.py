"""Reach and weight of the CRF's kernels; free of torch, for every way of solving it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated


@dataclass(frozen=True, kw_only=True)
class CrfParams:
    """Reach and weight of the two kernels.

    Parameters
    ----------
    smooth_sigma_xy
        Reach of the smoothness kernel, in pixels.
    smooth_compat
        Its weight.
    bilateral_sigma_xy
        Reach of the appearance kernel, in pixels.
    bilateral_sigma_grey
        Its reach in grey levels of 0 … 255. The published 5 is for grey repeated in
        three colours, where every difference counts thrice; on one channel that is
        5/√3. On a colour image, the reach of each colour is √3 times this.
    bilateral_compat
        Its weight.
    iterations
        Mean-field updates.
    """

    smooth_sigma_xy: Annotated[float, {"min": 0.5, "max": 100.0, "step": 0.5}] = 3.0
    smooth_compat: Annotated[float, {"min": 0.0, "max": 100.0, "step": 0.5}] = 3.0
    bilateral_sigma_xy: Annotated[float, {"min": 1.0, "max": 1000.0, "step": 1.0}] = (
        50.0
    )
    bilateral_sigma_grey: Annotated[float, {"min": 0.1, "max": 255.0, "step": 0.1}] = (
        5 / math.sqrt(3)
    )
    bilateral_compat: Annotated[float, {"min": 0.0, "max": 100.0, "step": 0.5}] = 10.0
    iterations: Annotated[int, {"min": 0, "max": 100}] = 10

    def __post_init__(self) -> None:
        for name in ("smooth_sigma_xy", "bilateral_sigma_xy", "bilateral_sigma_grey"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be above 0")
        for name in ("smooth_compat", "bilateral_compat", "iterations"):
            if not getattr(self, name) >= 0:
                raise ValueError(
                    f"{name} is {getattr(self, name)}; it must be 0 or more"
                )


DEFAULTS = CrfParams()

"""The CRF's messages as the full N × N sum, in double precision."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from napari_wsseg.ops.crf_solvers.params import CrfParams

_LARGEST = 6400
"""Pixels, 80²; each of the three matrices alive at once then takes 330 MB."""


def messages(
    levels: torch.Tensor, params: CrfParams
) -> Callable[[torch.Tensor], torch.Tensor]:
    """Return Q ↦ Σ_m w_m K̃_m Q for (C, H, W) maps on one image.

    Parameters
    ----------
    levels : (H, W) or (H, W, 3)
        Image in grey levels of 0 … 255.
    """
    height, width = levels.shape[:2]
    if height * width > _LARGEST:
        raise ValueError(
            f"the image has {height} × {width} pixels; the exact CRF compares every "
            f"pair of them and takes at most {_LARGEST}; use backend='grid'"
        )
    rows = torch.arange(height, device=levels.device, dtype=torch.float64)
    columns = torch.arange(width, device=levels.device, dtype=torch.float64)
    place = torch.cartesian_prod(rows, columns)
    colours = levels.double().reshape(height * width, -1)
    # Grey repeated in three colours counts thrice, so a colour's reach is √3 longer.
    reach = params.bilateral_sigma_grey * math.sqrt(colours.shape[1])
    nearby = torch.cat([place / params.bilateral_sigma_xy, colours / reach], 1)
    total = params.smooth_compat * _kernel(place / params.smooth_sigma_xy)
    total += params.bilateral_compat * _kernel(nearby)

    def send(beliefs: torch.Tensor) -> torch.Tensor:
        return (beliefs.double().flatten(1) @ total).reshape(beliefs.shape)

    return send


def _kernel(features: torch.Tensor) -> torch.Tensor:
    """Return D^-½ K D^-½ of (N, F) features, K_ij = exp(−½ |f_i − f_j|²)."""
    squares = (features**2).sum(1)
    kernel = features @ features.T
    kernel.mul_(2).sub_(squares).sub_(squares[:, None]).div_(2).exp_()
    scale = kernel.sum(1).rsqrt()
    return kernel.mul_(scale).mul_(scale[:, None])

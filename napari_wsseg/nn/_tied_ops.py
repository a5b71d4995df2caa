"""The arithmetic of tied deconvolution (Kim & Hwang 2016, section 3.1)."""

from __future__ import annotations

import math

import torch
from torch.nn import functional

from napari_wsseg.nn.losses import at_least_single

NORMALISATIONS = {"layer": (1, 2, 3), "map": (2, 3)}
"""Over which axes of (B, C, h, w) features become zero mean and unit variance."""

EPS = 1e-5


def pool(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Halve (B, C, h, w), h and w even, by maxima; also say where each one was."""
    pooled, switches = functional.max_pool2d(x, 2, return_indices=True)
    return pooled, switches


def unpool(x: torch.Tensor, switches: torch.Tensor) -> torch.Tensor:
    """Put (B, C, h, w) where the maxima were; (B, C, 2h, 2w), zero elsewhere.

    It is the adjoint of `pool` with the same switches.
    """
    return functional.max_unpool2d(x, switches, (2, 2))


def transposed(
    x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None = None
) -> torch.Tensor:
    """Convolve by the transpose of a 'same' convolution's own filters (eq. 3).

    Parameters
    ----------
    x : (B, out, h, w)
        What that convolution may put out.
    weight : (out, in, k, k)
        Its filters as they are, k odd: swapping in and out and turning them round is
        what a transposed convolution does, so this is its exact adjoint.
    bias : (in,)
        The deconvolution's own.
    """
    return functional.conv_transpose2d(x, weight, bias, padding=weight.shape[-1] // 2)


def normalise(x: torch.Tensor, kind: str) -> torch.Tensor:
    """Bring (B, C, h, w) features to zero mean and unit variance, film by film.

    Parameters
    ----------
    kind
        ``"layer"``: all maps of a layer together; ``"map"``: each by itself, which
        also blows up maps that are all but dead. The paper does not say which.
    """
    x = at_least_single(x)
    axes = NORMALISATIONS[kind]
    centred = x - x.mean(axes, keepdim=True)
    return centred * torch.rsqrt(centred.square().mean(axes, keepdim=True) + EPS)


def log_sum_exp(maps: torch.Tensor, s: float) -> torch.Tensor:
    """Pool (…, h, w) to (…): between its mean (s → 0) and its maximum (s → ∞); eq. 7.

    Computed around the maximum, so that large maps do not overflow.
    """
    flat = at_least_single(maps).flatten(-2)
    pooled = torch.logsumexp(s * flat, -1) - math.log(flat.shape[-1])
    return pooled / s

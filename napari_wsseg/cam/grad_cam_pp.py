"""Grad-CAM++ (Chattopadhay 2018, arXiv:1710.11063)."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from napari_wsseg.cam import _explainable, methods


@methods.register("grad-cam++", title="Grad-CAM++", levels=(5, 4, 3))
def grad_cam_pp(
    classifier: _explainable.Explainable,
    images: torch.Tensor,
    findings: Sequence[int] | None = None,
) -> torch.Tensor:
    """Weigh the last map by its positive gradients, evened out over their extent.

    Equation 19's α = g² / (2g² + S·g³), S = ΣA, is 1 / (2 + S·g) where g > 0: its
    denominator is 2 or more, so no epsilon has to keep it from 0/0. For a linear
    layer on a mean, g = W / (h·w) everywhere and the weight of a channel is
    relu(W) / (2 + mean(A)·relu(W)): every finding at once, no backward.

    Parameters
    ----------
    classifier
        Any head that can be differentiated.
    images : (B, c, H, W)
        Normalised as the classifier was trained.
    findings
        Indices of K of its findings; all of them without.

    Returns
    -------
    heat : (B, K, h, w)
        Non-negative, not normalised, on the grid of the last map.
    """
    maps = _explainable.features(classifier, images)
    weight = _explainable.linear_weight(classifier, findings)
    if weight is not None:
        positive = weight.relu()
        means = maps.mean((2, 3))[:, None]
        weights = positive / (2 + means * positive)
        return torch.einsum("bkc,bchw->bkhw", weights, maps).relu()

    def weigh(gradient: torch.Tensor) -> torch.Tensor:
        return (channel_weights(maps, gradient)[..., None, None] * maps).sum(1)

    return _explainable.heat_by_gradient(classifier, maps, findings, weigh)


def channel_weights(
    maps: torch.Tensor, gradient: torch.Tensor, *, eps: float = 0.0
) -> torch.Tensor:
    """Return Σ α·relu(g), the weight of each channel, with the α of equation 19.

    Parameters
    ----------
    maps, gradient : (B, C, h, w)
        Last map A, after its ReLU, and g = ∂logit/∂A of one finding.
    eps
        Added to the denominator of α, as other implementations do; 0 adds nothing. On
        large maps, where g² is about 1e-10, theirs of 1e-6 takes over. It is here for
        comparison.

    Returns
    -------
    (B, C)
    """
    sums = maps.sum((2, 3), keepdim=True)
    positive = gradient.relu()
    if eps == 0:
        alpha = 1 / (2 + sums * positive)
    else:
        squared = gradient**2
        alpha = squared / (2 * squared + sums * gradient**3 + eps)
    return (alpha * positive).sum((2, 3))

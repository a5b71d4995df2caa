"""Grad-CAM++ as the published WSMIS code computes it, for comparison."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from napari_wsseg.cam import _explainable, methods


@methods.register("grad-cam++ (wsmis)", title="Grad-CAM++ as WSMIS has it")
def grad_cam_pp_wsmis(
    classifier: _explainable.Explainable,
    images: torch.Tensor,
    findings: Sequence[int] | None = None,
) -> torch.Tensor:
    """Weigh the last map as WSMIS does: not the published Grad-CAM++.

    Its α = g² / (2g² + exp(S)·Σ(A·g³)) keeps the factor exp(S) of the logit S, which
    the paper's equation 19 has cancelled, and sums A·g³ jointly instead of ΣA times
    g³. The surer the classifier, the less a channel's weight depends on its gradient.
    The code's other factor exp(S), on the whole map, is left out: it overflows, and a
    map is read against its own peak.

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
    with _explainable.in_eval_mode(classifier), torch.no_grad():
        logits = classifier.head(maps)
    chosen = range(logits.shape[1]) if findings is None else findings
    # Beyond e^60 nothing changes but that float32 runs over.
    factors = logits[:, list(chosen)].clamp(max=60).exp()
    weight = _explainable.linear_weight(classifier, findings)
    if weight is not None:
        positive = weight.relu()
        means = maps.mean((2, 3))[:, None]
        weights = positive / (2 + factors[..., None] * means * positive)
        return torch.einsum("bkc,bchw->bkhw", weights, maps).relu()
    heat = [
        _by_gradient(classifier, maps, finding, factors[:, place])
        for place, finding in enumerate(chosen)
    ]
    return torch.cat(heat, 1)


def _by_gradient(
    classifier: _explainable.Explainable,
    maps: torch.Tensor,
    finding: int,
    factor: torch.Tensor,
) -> torch.Tensor:
    def weigh(gradient: torch.Tensor) -> torch.Tensor:
        weights = channel_weights(maps, gradient, factor)
        return (weights[..., None, None] * maps).sum(1)

    return _explainable.heat_by_gradient(classifier, maps, [finding], weigh)


def channel_weights(
    maps: torch.Tensor, gradient: torch.Tensor, factor: torch.Tensor
) -> torch.Tensor:
    """Return Σ α·relu(g), the weight of each channel, with the α of the WSMIS code.

    Parameters
    ----------
    maps, gradient : (B, C, h, w)
        Last map A, after its ReLU, and g = ∂logit/∂A of one finding.
    factor : (B,)
        exp(S) of that finding's logit S, finite.

    Returns
    -------
    (B, C)
    """
    squared = gradient**2
    joint = (maps * gradient**3).sum((2, 3), keepdim=True)
    below = 2 * squared + factor.view(-1, 1, 1, 1) * joint
    alpha = squared / torch.where(below == 0, torch.ones_like(below), below)
    return (alpha * gradient.relu()).sum((2, 3))

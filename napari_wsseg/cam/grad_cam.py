"""Grad-CAM (Selvaraju 2017, arXiv:1610.02391)."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from napari_wsseg.cam import _explainable, methods


@methods.register("grad-cam", title="Grad-CAM", levels=(5, 4, 3))
def grad_cam(
    classifier: _explainable.Explainable,
    images: torch.Tensor,
    findings: Sequence[int] | None = None,
) -> torch.Tensor:
    """Weigh the last map by its mean gradients: relu(Σ_c mean(g_c)·A_c), eq. 1–2.

    For a linear layer on a mean this is CAM / (h·w), for every finding at once.

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
        weight = weight / maps[0, 0].numel()
        return torch.einsum("kc,bchw->bkhw", weight, maps).relu()

    def weigh(gradient: torch.Tensor) -> torch.Tensor:
        return (gradient.mean((2, 3), keepdim=True) * maps).sum(1)

    return _explainable.heat_by_gradient(classifier, maps, findings, weigh)

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
    """
    maps = _explainable.features(classifier, images)
    weight = _explainable.linear_weight(classifier, findings)
    if weight is not None:
        weight = weight / maps[0, 0].numel()
        return torch.einsum("kc,bchw->bkhw", weight, maps).relu()

    def weigh(gradient: torch.Tensor) -> torch.Tensor:
        return (gradient.mean((2, 3), keepdim=True) * maps).sum(1)

    return _explainable.heat_by_gradient(classifier, maps, findings, weigh)

"""LayerCAM (Jiang 2021, doi:10.1109/TIP.2021.3089943)."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from napari_wsseg.cam import _explainable, methods


@methods.register("layer-cam", title="LayerCAM", levels=(5, 4, 3))
def layer_cam(
    classifier: _explainable.Explainable,
    images: torch.Tensor,
    findings: Sequence[int] | None = None,
) -> torch.Tensor:
    """Weigh every pixel by its own positive gradient: relu(Σ_c relu(g_c)·A_c).

    For a linear layer on a mean, g = W / (h·w) everywhere: every finding at once.

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
        weight = weight.relu() / maps[0, 0].numel()
        return torch.einsum("kc,bchw->bkhw", weight, maps).relu()

    def weigh(gradient: torch.Tensor) -> torch.Tensor:
        return (gradient.relu() * maps).sum(1)

    return _explainable.heat_by_gradient(classifier, maps, findings, weigh)

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
    """
    maps = _explainable.features(classifier, images)
    weight = _explainable.linear_weight(classifier, findings)
    if weight is not None:
        weight = weight.relu() / maps[0, 0].numel()
        return torch.einsum("kc,bchw->bkhw", weight, maps).relu()

    def weigh(gradient: torch.Tensor) -> torch.Tensor:
        return (gradient.relu() * maps).sum(1)

    return _explainable.heat_by_gradient(classifier, maps, findings, weigh)

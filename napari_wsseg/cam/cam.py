"""CAM (Zhou 2016, arXiv:1512.04150)."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from napari_wsseg.cam import _explainable, methods


@methods.register("cam", title="CAM")
def cam(
    classifier: _explainable.Explainable,
    images: torch.Tensor,
    findings: Sequence[int] | None = None,
) -> torch.Tensor:
    """Weigh the last map by the head's own weights: relu(W·A).

    Raises
    ------
    ValueError
        When the head is not a mean and one linear layer.
    """
    weight = _explainable.linear_weight(classifier, findings)
    if weight is None:
        raise ValueError(
            f"{type(classifier).__name__} has no linear layer on a mean, which CAM "
            "needs; use grad-cam"
        )
    maps = _explainable.features(classifier, images)
    return torch.einsum("kc,bchw->bkhw", weight, maps).relu()

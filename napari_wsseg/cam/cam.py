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

    Parameters
    ----------
    classifier
        Must have a `linear` layer on the mean of its last map.
    images : (B, c, H, W)
        Normalised as the classifier was trained.
    findings
        Indices of K of its findings; all of them without.

    Returns
    -------
    heat : (B, K, h, w)
        Non-negative, in the unit of a logit, on the grid of the last map.

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

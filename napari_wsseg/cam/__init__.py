"""Class activation maps: where a classifier saw a finding. One method a file."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import torch

from napari_wsseg._registry import Registry
from napari_wsseg.cam._explainable import Explainable


class CamMethod(Protocol):
    """What is registered in `methods`.

    Parameters
    ----------
    classifier
        Anything with ``features`` and ``head``; left exactly as it was found, its
        mode and its gradients included. It is asked in eval mode.
    images : (B, c, H, W)
        On the classifier's device, normalised as it was trained.
    findings
        Indices of K of its findings; ``None`` for all of them.

    Returns
    -------
    heat : (B, K, h, w)
        Non-negative, not normalised, on the grid of the classifier's last map.
    """

    def __call__(
        self,
        classifier: Explainable,
        images: torch.Tensor,
        findings: Sequence[int] | None = None,
    ) -> torch.Tensor:
        """Return the heat of `findings` in `images`."""
        ...


methods: Registry[CamMethod] = Registry(
    "CAM method", "napari_wsseg.cam", "napari_wsseg.cam"
)
"""Facts: ``title``, what people call it (its name by default); ``levels``, those of a
network that it can read (by default the last, 5, alone)."""

"""How greys become network input; the choice is kept in every checkpoint's header."""

from __future__ import annotations

import torch
from torch import Tensor

KINDS = ("film", "imagenet")

#: Mean and standard deviation of ImageNet's luminance, from torchvision's RGB values.
_IMAGENET = (0.449, 0.226)


def normalise(images: Tensor, kind: str) -> Tensor:
    """Normalise (B, C, H, W) greys in [0, 1].

    Parameters
    ----------
    kind
        ``"film"``: zero mean and unit deviation per film, so that exposure does not
        matter; ``"imagenet"``: fixed figures, for encoders trained on ImageNet.

    Raises
    ------
    ValueError
        For any other kind.
    """
    if kind == "film":
        mean = images.mean((-2, -1), keepdim=True)
        deviation = images.std((-2, -1), keepdim=True)
        return (images - mean) / (deviation + 1e-3)
    if kind == "imagenet":
        mean_, deviation_ = _IMAGENET
        return (images - mean_) / deviation_
    raise ValueError(f"no normalisation {kind!r}; there are: {', '.join(KINDS)}")


def as_input(pixels: Tensor, kind: str, channels: int = 1) -> Tensor:
    """Turn (B, H, W) uint8 greys into a network's (B, channels, H, W) float input."""
    images = pixels[:, None].to(torch.float32) / 255
    images = normalise(images, kind)
    return images.expand(-1, channels, -1, -1) if channels > 1 else images

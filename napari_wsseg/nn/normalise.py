"""How greys become network input; the choice is kept in every checkpoint's header."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

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


def soften(images: Tensor, detail: int) -> Tensor:
    """Leave (B, C, H, W) greys no more detail than `detail` pixels a side hold.

    A few dozen pixels show the shape of heart and lungs and nothing of the noise,
    markers and exposure by which a hundred films can be learnt by heart. 0, or more
    than there is, leaves them as they are.
    """
    shape = images.shape[-2:]
    if not 0 < detail < max(shape):
        return images
    coarse = tuple(max(1, round(side * detail / max(shape))) for side in shape)
    small = functional.interpolate(
        images, coarse, mode="bilinear", align_corners=False, antialias=True
    )
    return functional.interpolate(small, shape, mode="bicubic", align_corners=False)


def as_input(
    pixels: Tensor, kind: str, channels: int = 1, *, detail: int = 0
) -> Tensor:
    """Turn (B, H, W) uint8 greys into a network's (B, channels, H, W) float input.

    Parameters
    ----------
    kind
        See `normalise`.
    detail
        See `soften`.
    """
    images = soften(pixels[:, None].to(torch.float32) / 255, detail)
    images = normalise(images, kind)
    return images.expand(-1, channels, -1, -1) if channels > 1 else images

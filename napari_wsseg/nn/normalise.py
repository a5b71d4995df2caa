"""How greys become network input; the choice is kept in every checkpoint's header."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

KINDS = ("film", "imagenet", "imagenet-rgb", "chexpert", "xrayvision")

#: Mean and deviation: of ImageNet's luminance, from torchvision's RGB values; of the
#: films of CheXpert, from the published code of CheXseg; what brings greys in [0, 1]
#: to the [-1024, 1024] of torchxrayvision.
_FIXED = {
    "imagenet": (0.449, 0.226),
    "chexpert": (0.502, 0.085585),
    "xrayvision": (0.5, 1 / 2048),
}
_LUMINANCE = (0.299, 0.587, 0.114)
_RGB = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


def normalise(images: Tensor, kind: str) -> Tensor:
    """Normalise (B, C, H, W) greys in [0, 1].

    Parameters
    ----------
    kind
        ``"film"``: zero mean and unit deviation per film, so that exposure does not
        matter; ``"imagenet"``: fixed figures, for encoders trained on ImageNet;
        ``"imagenet-rgb"``: a mean and a deviation for each of three channels, as
        classifiers of others have learnt with; ``"chexpert"`` and ``"xrayvision"``:
        the figures of those projects' classifiers.

    Returns
    -------
    Tensor
        (B, C, H, W); of one channel ``"imagenet-rgb"`` makes three.

    Raises
    ------
    ValueError
        For any other kind.
    """
    if kind == "film":
        mean = images.mean((-2, -1), keepdim=True)
        deviation = images.std((-2, -1), keepdim=True)
        return (images - mean) / (deviation + 1e-3)
    if kind == "imagenet-rgb":
        mean, deviation = (images.new_tensor(row).view(1, 3, 1, 1) for row in _RGB)
        return (images - mean) / deviation
    if kind in _FIXED:
        fixed_mean, fixed_deviation = _FIXED[kind]
        return (images - fixed_mean) / fixed_deviation
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
    """Turn uint8 films into a network's (B, channels, H, W) float input.

    Parameters
    ----------
    pixels : (B, H, W) greys or (B, 3, H, W) colours
    kind
        See `normalise`.
    channels
        1, or 3: greys are then repeated.
    detail
        See `soften`.
    """
    images = soften(as_planes(pixels, channels), detail)
    return as_channels(normalise(images, kind), channels)


def as_planes(pixels: Tensor, channels: int) -> Tensor:
    """Return uint8 films as (B, 1 or 3, H, W) float in [0, 1].

    A network of one channel sees the luminance of colours (ITU-R BT.601, as Pillow).

    Parameters
    ----------
    pixels : (B, H, W) greys or (B, 3, H, W) colours
    """
    planes = pixels[:, None] if pixels.ndim == 3 else pixels
    images = planes.to(torch.float32) / 255
    if images.shape[1] == 3 and channels == 1:
        weights = images.new_tensor(_LUMINANCE).view(1, 3, 1, 1)
        images = (images * weights).sum(1, keepdim=True)
    return images


def as_channels(images: Tensor, channels: int) -> Tensor:
    """Copy one grey channel into as many as a network takes.

    Raises
    ------
    ValueError
        If there are several channels already and the network takes another number.
    """
    if images.shape[1] not in (1, channels):
        raise ValueError(
            f"the input has {images.shape[1]} channels, the network takes {channels}; "
            "imagenet-rgb needs channels=3"
        )
    return images.expand(-1, channels, -1, -1)

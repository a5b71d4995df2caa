"""One map out of several looks at the same image."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch.nn import functional

from napari_wsseg.cam import CamMethod
from napari_wsseg.cam._classifier import Explainable


def multi_scale(
    method: CamMethod,
    classifier: Explainable,
    images: torch.Tensor,
    *,
    scales: Sequence[float] = (1.0,),
    flip: bool = True,
    findings: Sequence[int] | None = None,
) -> torch.Tensor:
    """Sum a method's maps over scales of the images and their mirror images.

    Parameters
    ----------
    images : (B, c, H, W)
    scales
        Sides of the images seen, relative to those given.
    flip
        See the mirror image at every scale too. Mirrored images then give mirrored
        maps.

    Returns
    -------
    heat : (B, K, h, w)
        On the grid of the first scale; not normalised.
    """
    if not scales or min(scales) <= 0:
        raise ValueError(f"scales are {tuple(scales)}; give one or more above 0")
    heats = []
    for scale in scales:
        seen = _scaled(images, scale)
        heat = method(classifier, seen, findings)
        if flip:
            heat = heat + method(classifier, seen.flip(-1), findings).flip(-1)
        heats.append(heat)
    return torch.stack([_on_grid(heat, heats[0]) for heat in heats]).sum(0)


def fused(heats: Sequence[torch.Tensor]) -> torch.Tensor:
    """Return the largest of several levels' maps at every pixel.

    LayerCAM's fusion (Jiang 2021, §III-C): every map is divided by its own peak
    before, so that no level outshines the others; one without heat adds none.

    Parameters
    ----------
    heats : each (B, K, h, w)
        Their grids may differ.

    Returns
    -------
    heat : (B, K, h, w)
        On the finest grid, in [0, 1]; a single map is returned as it is.
    """
    if len(heats) == 1:
        return heats[0]
    finest = max(heats, key=lambda heat: heat.shape[-1])
    grown = [_on_grid(heat, finest) for heat in heats]
    peaks = [heat.amax((-2, -1), keepdim=True) for heat in grown]
    tiny = torch.finfo(finest.dtype).tiny
    even = [
        heat / peak.clamp_min(tiny) for heat, peak in zip(grown, peaks, strict=True)
    ]
    return torch.stack(even).amax(0)


def _scaled(images: torch.Tensor, scale: float) -> torch.Tensor:
    if scale == 1:
        return images
    height, width = (max(1, round(side * scale)) for side in images.shape[-2:])
    return functional.interpolate(
        images, (height, width), mode="bicubic", align_corners=False
    )


def _on_grid(heat: torch.Tensor, grid: torch.Tensor) -> torch.Tensor:
    shape = grid.shape[-2:]
    return functional.interpolate(heat, shape, mode="bilinear", align_corners=False)

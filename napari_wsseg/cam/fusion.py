"""One map out of several looks at the same image."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch.nn import functional

from napari_wsseg.cam import CamMethod, _explainable
from napari_wsseg.cam._explainable import Explainable
from napari_wsseg.cam.level import AtLevel
from napari_wsseg.nn import cell_centres
from napari_wsseg.nn.cell_centres import Cells
from napari_wsseg.nn.classifier import Classifier


def multi_scale(
    method: CamMethod,
    classifier: Explainable,
    images: torch.Tensor,
    *,
    scales: Sequence[float] = (1.0,),
    flip: bool = True,
    findings: Sequence[int] | None = None,
    cells: Cells | None = None,
    grid: int | None = None,
) -> torch.Tensor:
    """Sum a method's maps over scales of the images and their mirror images.

    Parameters
    ----------
    method, classifier
        One of `napari_wsseg.cam.methods`, and the network that it explains.
    images : (B, c, H, W)
    scales
        Sides of the images seen, relative to those given.
    flip
        See the mirror image at every scale too. Mirrored images then give mirrored
        maps.
    findings
        Columns of the classifier's output; ``None``: all K.
    cells
        Where the map's cells look; every map is drawn there before they are summed.
        ``None``: as if cells tiled the image, as published code has it, which is
        beside it by up to half a cell.
    grid
        With `cells`, the side of the map wanted.

    Returns
    -------
    heat : (B, K, h, w)
        On the grid of the first scale, or on `grid`; not normalised.
    """
    if not scales or min(scales) <= 0:
        raise ValueError(f"scales are {tuple(scales)}; give one or more above 0")

    def look(seen: torch.Tensor) -> torch.Tensor:
        heat = method(classifier, seen, findings)
        return heat if cells is None else _placed(heat, cells, seen, grid)

    heats = []
    for scale in scales:
        seen = _scaled(images, scale)
        heat = look(seen)
        if flip:
            heat = heat + look(seen.flip(-1)).flip(-1)
        heats.append(heat)
    return torch.stack([_on_grid(heat, heats[0]) for heat in heats]).sum(0)


def multi_level(
    classifier: Classifier,
    images: torch.Tensor,
    *,
    levels: Sequence[int] = (3, 4, 5),
    scales: Sequence[float] = (1.0,),
    flip: bool = True,
    findings: Sequence[int] | None = None,
    grid: int | None = None,
    heard: Callable[[torch.Tensor, torch.Tensor], None] | None = None,
) -> torch.Tensor:
    """Return the largest of several levels' LayerCAMs at every pixel.

    LayerCAM's fusion (Jiang 2021, §III-C): every map is divided by its own peak
    before, so that no level outshines the others; one without heat adds none. All
    levels are read off the same forward and the same backwards.

    Parameters
    ----------
    classifier
        The network that is explained.
    images : (B, c, H, W)
        Normalised as the classifier takes them.
    levels
        Two or more of 1 to 5.
    scales, flip, findings
        As of `multi_scale`; summed before levels are compared.
    grid
        Side of the map wanted, on which every cell is drawn where it looks; ``None``:
        as if cells tiled the image.
    heard
        Called with the images (B, c, h, w) of every look and their logits (B, K).

    Returns
    -------
    heat : (B, K, h, w)
        On the grid of the finest level, or on `grid`, in [0, 1].
    """
    distinct = sorted(set(levels))
    if len(distinct) < 2:
        raise ValueError(f"levels are {tuple(levels)}; give two or more of 1 to 5")

    heat = multi_scale(
        _one_after_another(distinct, grid, heard),
        classifier,
        images,
        scales=scales,
        flip=flip,
        findings=findings,
    )
    peaks = heat.amax((-2, -1), keepdim=True)
    relative = heat / peaks.clamp_min(torch.finfo(heat.dtype).tiny)
    return torch.stack(relative.chunk(len(distinct), 1)).amax(0)


def _one_after_another(
    levels: Sequence[int],
    grid: int | None,
    heard: Callable[[torch.Tensor, torch.Tensor], None] | None,
) -> CamMethod:
    """Return LayerCAM as a method of (B, L·K, h, w): level by level, on one grid."""

    def layer_cams(
        classifier: Explainable,
        images: torch.Tensor,
        findings: Sequence[int] | None = None,
    ) -> torch.Tensor:
        if not isinstance(classifier, Classifier):
            raise TypeError(f"a {type(classifier).__name__} has no levels to read")
        heats = _layer_cams(classifier, images, levels, findings, heard)
        if grid is None:
            return torch.cat([_on_grid(heat, heats[0]) for heat in heats], 1)
        every = cell_centres.levels(classifier)
        drawn = [
            _placed(heat, every[level - 1], images, grid)
            for level, heat in zip(levels, heats, strict=True)
        ]
        return torch.cat(drawn, 1)

    return layer_cams


def _layer_cams(
    classifier: Classifier,
    images: torch.Tensor,
    levels: Sequence[int],
    findings: Sequence[int] | None,
    heard: Callable[[torch.Tensor, torch.Tensor], None] | None,
) -> list[torch.Tensor]:
    """Return the LayerCAM (B, K, h, w) of every level, each on its own grid."""
    cut = AtLevel(classifier, levels[0])

    def onward(leaf: torch.Tensor) -> tuple[list[torch.Tensor], torch.Tensor]:
        behind = [leaf, *cut.onward(leaf)]
        read = [behind[level - cut.level] for level in levels]
        logits = classifier.head(behind[-1])
        if heard is not None:
            heard(images, logits.detach())
        return read, logits

    def weigh(maps: torch.Tensor, gradient: torch.Tensor) -> torch.Tensor:
        return (gradient.relu() * maps).sum(1)

    maps = _explainable.features(cut, images)
    return _explainable.heats_by_gradient(cut, maps, onward, findings, weigh)


def _scaled(images: torch.Tensor, scale: float) -> torch.Tensor:
    if scale == 1:
        return images
    height, width = (max(1, round(side * scale)) for side in images.shape[-2:])
    return functional.interpolate(
        images, (height, width), mode="bicubic", align_corners=False
    )


def _placed(
    heat: torch.Tensor, cells: Cells, images: torch.Tensor, grid: int | None
) -> torch.Tensor:
    wanted = heat.shape[-2:] if grid is None else torch.Size((grid, grid))
    return cell_centres.placed(heat, cells, images.shape[-2:], wanted)


def _on_grid(heat: torch.Tensor, grid: torch.Tensor) -> torch.Tensor:
    shape = grid.shape[-2:]
    return functional.interpolate(heat, shape, mode="bilinear", align_corners=False)

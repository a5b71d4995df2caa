"""Where the cells of a network's maps look.

A filter of stride s, kernel k, dilation d and padding p is centred, for its cell i, on
cell s·i + d·(k − 1)/2 − p of what it reads. Gone through from the image on, this gives
the pixel that each cell of a level is centred on (Dumoulin & Visin 2016,
arXiv:1603.07285, relationships 6 and 14). It is seldom where the cell lies when its map
is stretched over the image: a ResNet's cells look at pixel s·i, but would be drawn at
s·i + (s − 1)/2, half a cell down and to the right.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import nn

from napari_wsseg.nn import backbones as _backbones
from napari_wsseg.nn.classifier import Classifier
from napari_wsseg.nn.dilation import DilatedAvgPool


class Cells(NamedTuple):
    """Centres of a map's cells along either axis, in pixels of the image.

    Parameters
    ----------
    stride
        From one cell to the next.
    first
        Centre of cell 0; the middle of the first pixel is 0.
    """

    stride: float = 1.0
    first: float = 0.0

    def behind(self, layer: nn.Module) -> Cells:
        """Return the cells of what `layer` makes of a map with these cells."""
        if isinstance(layer, DilatedAvgPool):
            return Cells(self.stride, self.first + self.stride * layer.dilation / 2)
        if not isinstance(layer, nn.Conv2d | nn.MaxPool2d | nn.AvgPool2d):
            return self
        kernel, stride, padding = (
            _one(getattr(layer, name)) for name in ("kernel_size", "stride", "padding")
        )
        reach = _one(getattr(layer, "dilation", 1)) * (kernel - 1)
        middle = reach / 2 - padding
        return Cells(self.stride * stride, self.first + self.stride * middle)


def levels(classifier: Classifier) -> tuple[Cells, ...]:
    """Return the cells of the five maps of ``classifier.stages``."""
    cut = _backbones.backbone_spec(classifier.spec["arch"])
    cells, found = Cells(), []
    for names in cut.levels:
        for name in names:
            for layer in _on_the_way(classifier.backbone.get_submodule(name)):
                cells = cells.behind(layer)
        found.append(cells)
    for layer in classifier.extra:
        cells = cells.behind(layer)
    return (*found[:-1], cells)


def placed(
    maps: torch.Tensor, cells: Cells, image: torch.Size, grid: torch.Size
) -> torch.Tensor:
    """Draw maps on a grid that is spread over the image, each cell where it looks.

    Parameters
    ----------
    maps : (B, C, h, w)
        With these `cells` along both axes.
    cells
        Where they look along an axis, in pixels of the image.
    image
        Rows and columns of the image that they were made of.
    grid
        Rows and columns wanted.

    Returns
    -------
    (B, C, *grid)
        Bilinear; beyond the outermost centres their cells go on.
    """
    down, across = (
        _weights(cells, cut, pixels, wanted).to(maps)
        for cut, pixels, wanted in zip(maps.shape[-2:], image, grid, strict=True)
    )
    return down @ maps @ across.T


def _weights(cells: Cells, count: int, pixels: int, wanted: int) -> torch.Tensor:
    """Return the (wanted, count) weights of one axis."""
    middles = (torch.arange(wanted, dtype=torch.float64) + 0.5) * pixels / wanted - 0.5
    at = ((middles - cells.first) / cells.stride).clamp(0, count - 1)
    apart = (at[:, None] - torch.arange(count)).abs()
    return (1 - apart).clamp(min=0)


def _on_the_way(module: nn.Module) -> Iterator[nn.Module]:
    """Yield the layers that a map goes through, shortcuts left out.

    A shortcut is centred where what it bridges is. A dense block's layers, which lie
    side by side, are all centred on their cells, so that one after the other they are.
    """
    for name, layer in module.named_modules():
        if "downsample" not in name.split("."):
            yield layer


def _one(value: int | tuple[int, ...] | str) -> int:
    """Return a layer's number for rows, which is that for columns in every trunk."""
    if isinstance(value, str):
        raise TypeError(f"padding {value!r} is not a number")
    return value if isinstance(value, int) else value[0]

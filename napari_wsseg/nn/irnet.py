"""IRNet (Ahn 2019, arXiv:1904.05044): where one thing ends and another begins."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

import torch
from torch import nn
from torch.nn import functional

from napari_wsseg.nn import cell_centres
from napari_wsseg.nn.classifier import Classifier

EDGE_CHANNELS = 32


class IRNet(nn.Module):
    """A boundary and a displacement branch on a trained classifier.

    Parameters
    ----------
    backbone
        Its five levels feed both branches. It is taken over: its parameters are
        frozen and it stays in eval mode, whatever mode the rest is in.
    placed
        Draw every level where its cells look before levels are put together. Without
        it, as in published code, they are apart by up to half a cell of the coarsest.
    """

    def __init__(self, backbone: Classifier, *, placed: bool = False) -> None:
        super().__init__()
        self.cells = cell_centres.levels(backbone) if placed else None
        # Frozen, so it may lie in memory as its convolutions like it best.
        self.backbone = backbone.requires_grad_(False).eval()
        self.backbone.to(memory_format=torch.channels_last)
        channels = backbone.level_channels
        self.edge_levels = nn.ModuleList(
            _reduced(width, EDGE_CHANNELS, groups=4) for width in channels
        )
        self.edge_out = nn.Conv2d(5 * EDGE_CHANNELS, 1, 1)
        widths = (64, 128, 256, 256, 256)
        self.displacement_levels = nn.ModuleList(
            _reduced(width, out, groups=8 if out == 64 else 16)
            for width, out in zip(channels, widths, strict=True)
        )
        self.displacement_coarse = _reduced(sum(widths[2:]), 256, groups=16)
        self.displacement_fine = _reduced(64 + 128 + 256, 256, groups=16)
        self.displacement_out = nn.Conv2d(256, 2, 1, bias=False)
        self.mean_shift = MeanShift()

    def train(self, mode: bool = True) -> IRNet:
        """Set the mode of the branches; the backbone stays in eval mode."""
        super().train(mode)
        self.backbone.eval()
        return self

    def displacement_parameters(self) -> Iterator[nn.Parameter]:
        """Yield the parameters of the displacement branch (paper: 10 × the rate)."""
        return chain(
            self.displacement_levels.parameters(),
            self.displacement_coarse.parameters(),
            self.displacement_fine.parameters(),
            self.displacement_out.parameters(),
        )

    def forward(
        self, images: torch.Tensor, displacement: bool = True
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Look at images (B, c, H, W) of any size.

        Parameters
        ----------
        displacement
            Whether that branch is asked at all; it costs more than the other one.

        Returns
        -------
        edge : (B, 1, h, w)
            Boundary logits at a quarter of the size, rounded up.
        displacement : (B, 2, h, w)
            Rows and columns, in pixels of the map, from each pixel to the centroid
            of what it belongs to; ``None`` where it was not asked for.
        """
        with torch.no_grad():
            levels = self.backbone.stages(images)
        size = images.shape[-2:]
        edge = self.edge(levels, size)
        return edge, self.displacement(levels, size) if displacement else None

    def edge(
        self, levels: list[torch.Tensor], size: torch.Size | None = None
    ) -> torch.Tensor:
        """Return boundary logits (B, 1, h, w) of a backbone's five levels.

        Parameters
        ----------
        size
            Rows and columns of the images; four times the first level's by default.
        """
        shape = levels[0].shape[-2:]
        reduced = [
            functional.relu(self._laid(branch(level), number, shape, size))
            for number, (branch, level) in enumerate(
                zip(self.edge_levels, levels, strict=True)
            )
        ]
        logits: torch.Tensor = self.edge_out(torch.cat(reduced, 1))
        return logits

    def displacement(
        self, levels: list[torch.Tensor], size: torch.Size | None = None
    ) -> torch.Tensor:
        """Return the displacement field (B, 2, h, w) of a backbone's five levels."""
        fine, coarse = levels[0].shape[-2:], levels[2].shape[-2:]
        one, two, three, four, five = (
            self._laid(branch(level), number, fine if number < 2 else coarse, size)
            for number, (branch, level) in enumerate(
                zip(self.displacement_levels, levels, strict=True)
            )
        )
        deep = functional.relu(torch.cat([three, four, five], 1))
        deep = _resized(self.displacement_coarse(deep), fine)
        shallow = functional.relu(torch.cat([one, two, deep], 1))
        hidden = functional.relu(self.displacement_fine(shallow))
        field: torch.Tensor = self.mean_shift(self.displacement_out(hidden))
        return field

    @torch.no_grad()
    def boundary(self, images: torch.Tensor, flip: bool = True) -> torch.Tensor:
        """Return the boundary map (B, 1, h, w) in [0, 1] of images (B, c, H, W).

        With `flip`, the logits are averaged with those of the mirrored images.
        """
        size = images.shape[-2:]
        edge = self.edge(self.backbone.stages(images), size)
        if flip:
            mirrored = self.edge(self.backbone.stages(images.flip(-1)), size)
            edge = (edge + mirrored.flip(-1)) / 2
        return edge.sigmoid()

    def _laid(
        self, x: torch.Tensor, number: int, grid: torch.Size, size: torch.Size | None
    ) -> torch.Tensor:
        """Bring the map of a level, 0 to 4, to a grid that is spread over the film."""
        if self.cells is None:
            return _resized(x, grid)
        stride = 4 if number < 2 else 8
        size = size or torch.Size(side * stride for side in grid)
        return cell_centres.placed(x, self.cells[number], size, grid)


class MeanShift(nn.Module):
    """Subtracts the mean displacement of the training set, in eval mode only.

    A field that is the same everywhere costs no displacement loss, so training
    leaves it undetermined; `mean` (2,) is set once training is over.
    """

    mean: torch.Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(2))

    def forward(self, field: torch.Tensor) -> torch.Tensor:
        """Shift a field (B, 2, h, w)."""
        return field if self.training else field - self.mean.view(1, 2, 1, 1)


def _reduced(channels: int, out: int, *, groups: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels, out, 1, bias=False), nn.GroupNorm(groups, out)
    )


def _resized(x: torch.Tensor, shape: torch.Size) -> torch.Tensor:
    if x.shape[-2:] == shape:
        return x
    return functional.interpolate(x, shape, mode="bilinear", align_corners=False)

"""One training step of IRNet the usual way, to be measured against.

Pair labels come as floats from the loader, path pixels are gathered by index, both
branches learn, everything is single precision, and the frozen backbone still records
what a gradient would need.
"""

from __future__ import annotations

from collections import defaultdict

import numpy as np
import torch
from torch.nn import functional

from napari_wsseg.nn.irnet import IRNet
from napari_wsseg.ops import affinity
from napari_wsseg.schema import IGNORE


class Step:
    """A step on maps of side × side, with all its index tables made beforehand."""

    def __init__(self, side: int, radius: int) -> None:
        reach = radius - 1
        grid = np.arange(side * side).reshape(side, side)
        source = grid[: side - reach, reach : side - reach].ravel()
        by_length = defaultdict(list)
        for offset, path in affinity.path_offsets(radius):
            by_length[len(path)].append((offset, path))
        self.paths, targets, apart = [], [], []
        for pairs in by_length.values():
            steps = [[source + y * side + x for y, x in path] for _, path in pairs]
            self.paths.append(torch.from_numpy(np.array(steps)))
            targets += [source + dy * side + dx for (dy, dx), _ in pairs]
            apart += [offset for offset, _ in pairs]
        self.source, self.target = source, np.stack(targets)
        self.apart = torch.tensor(apart, dtype=torch.float32).T[None, :, :, None]

    def labels(self, seeds: torch.Tensor) -> list[torch.Tensor]:
        """Return (B, P, N) float labels as a loader's worker hands them over."""
        found = []
        for seed in seeds[:, 0].numpy():
            here, there = seed.ravel()[self.source], seed.ravel()[self.target]
            known = (here != IGNORE) & (there != IGNORE)
            same = here == there
            kinds = known & same & (here == 0), known & same & (here > 0), known & ~same
            found.append([kind.astype(np.float32) for kind in kinds])
        return [torch.from_numpy(np.stack(kind)) for kind in zip(*found, strict=True)]

    def __call__(self, net: IRNet, images: torch.Tensor, seeds: torch.Tensor) -> None:
        background, finding, different = self.labels(seeds)
        net.backbone.requires_grad_(True)
        levels = [level.detach() for level in net.backbone.stages(images)]
        net.backbone.requires_grad_(False)
        edge = net.edge(levels).sigmoid().flatten(1)
        affinities = []
        for paths in self.paths:
            values = torch.index_select(edge, 1, paths.flatten())
            values = values.view(len(edge), *paths.shape)
            highest = functional.max_pool2d(values, (paths.shape[1], 1))
            affinities.append(1 - highest.squeeze(2))
        affine = torch.cat(affinities, 1)
        alike, unlike = -torch.log(affine + 1e-5), -torch.log(1 + 1e-5 - affine)
        field = net.displacement(levels).flatten(2)
        ends = torch.index_select(field, 2, torch.from_numpy(self.target).flatten())
        moved = field[:, :, None, torch.from_numpy(self.source)] - ends.view(
            len(field), 2, *self.target.shape
        )
        loss = mean(alike, background) / 4 + mean(alike, finding) / 4
        loss = loss + mean(unlike, different) / 2
        loss = loss + mean(moved.abs(), background[:, None]) / 2
        loss = loss + mean((moved - self.apart).abs(), finding[:, None]) / 2
        loss.backward()


def mean(costs: torch.Tensor, counts: torch.Tensor) -> torch.Tensor:
    return (costs * counts).sum() / (counts.sum() + 1e-5)

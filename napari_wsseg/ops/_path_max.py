"""The highest value on every path, with a backward pass that stores no gathers.

The usual way gathers every path pixel by index (112 MB a film at radius 10) and keeps
it all for the gradient. Shifted slices need no index, and one byte a pair says where
the highest pixel was.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch.autograd.function import once_differentiable

from napari_wsseg.ops._walk import ends

Path = tuple[tuple[int, int], tuple[tuple[int, int], ...]]


class PathMax(torch.autograd.Function):
    """`napari_wsseg.ops.affinity.path_max`; memory for the gradient is n·h·w bytes."""

    @staticmethod
    def forward(
        ctx: Any, boundary: torch.Tensor, offsets: Sequence[Path]
    ) -> torch.Tensor:
        """Return (n_offsets, …, h, w) path maxima of a (…, h, w) map."""
        track = ctx.needs_input_grad[0]
        highest = boundary.new_ones((len(offsets), *boundary.shape))
        which = (
            torch.zeros_like(highest, dtype=torch.uint8)
            if track
            else boundary.new_empty(0, dtype=torch.uint8)
        )
        for place, (offset, path) in enumerate(offsets):
            source, _ = ends(boundary.shape, *offset)
            best, *rest = (boundary[view] for view in _views(boundary, offset, path))
            if track:
                best, which[place][source] = _tracked(best, rest)
            elif rest:
                best = torch.maximum(best, rest[0])
                for value in rest[1:]:
                    torch.maximum(best, value, out=best)
            highest[place][source] = best
        ctx.save_for_backward(which)
        ctx.offsets, ctx.shape = offsets, boundary.shape
        return highest

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, None]:
        """Send each pair's gradient to the pixel that was highest on its path."""
        (which,) = ctx.saved_tensors
        total = gradient.new_zeros(ctx.shape)
        for place, (offset, path) in enumerate(ctx.offsets):
            source, _ = ends(ctx.shape, *offset)
            came, place_on_path = gradient[place][source], which[place][source]
            for step, view in enumerate(_views(total, offset, path)):
                total[view] += came * (place_on_path == step)
        return total, None


def _tracked(
    best: torch.Tensor, rest: Sequence[torch.Tensor]
) -> tuple[torch.Tensor, torch.Tensor]:
    best = best.clone()
    which = torch.zeros_like(best, dtype=torch.uint8)
    for step, value in enumerate(rest, start=1):
        which.masked_fill_(value > best, step)
        torch.maximum(best, value, out=best)
    return best, which


def _views(
    boundary: torch.Tensor,
    offset: tuple[int, int],
    path: Sequence[tuple[int, int]],
) -> list[tuple[Any, ...]]:
    """Return where each path pixel of all valid pairs of one offset lies."""
    height, width = boundary.shape[-2:]
    dy, dx = offset
    rows, left, right = height - dy, max(0, -dx), width - max(0, dx)
    return [
        (..., slice(y, max(y, rows + y)), slice(left + x, max(left, right) + x))
        for y, x in path
    ]

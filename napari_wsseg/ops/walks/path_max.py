"""The highest value on every path, with a backward pass that stores no gathers.

The usual way gathers every path pixel by index (112 MB a film at radius 10) and keeps
it all for the gradient. Shifted slices need no index, and one byte a pair says where
the highest pixel was.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch.autograd.function import once_differentiable

from napari_wsseg.ops.pixel_pairs import ends, views

Path = tuple[tuple[int, int], tuple[tuple[int, int], ...]]


class PathMax(torch.autograd.Function):
    """`napari_wsseg.ops.affinity.path_max`; memory for the gradient is n·h·w bytes."""

    @staticmethod
    def forward(
        ctx: Any, boundary: torch.Tensor, offsets: Sequence[Path]
    ) -> torch.Tensor:
        """Return (n_offsets, …, h, w) path maxima of a (…, h, w) map.

        Parameters
        ----------
        ctx
            Where autograd keeps what `backward` needs.
        boundary : (…, h, w)
        offsets
            Offsets with their paths, see `napari_wsseg.ops.pixel_pairs.path_offsets`.
        """
        highest = boundary.new_ones((len(offsets), *boundary.shape))
        track = ctx.needs_input_grad[0]
        which = torch.zeros_like(highest if track else boundary[:0], dtype=torch.uint8)
        for place, source, best, step in each_path(boundary, offsets, track=track):
            highest[place][source] = best
            if step is not None:
                which[place][source] = step
        ctx.save_for_backward(which)
        ctx.offsets, ctx.shape = offsets, boundary.shape
        return highest

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, None]:
        """Send each pair's gradient to the pixel that was highest on its path."""
        (which,) = ctx.saved_tensors
        sink = Sink(ctx.shape, gradient)
        for place, (offset, path) in enumerate(ctx.offsets):
            source, _ = ends(ctx.shape, *offset)
            sink.add(gradient[place][source], which[place][source], source, path)
        return sink.total, None


def each_path(
    boundary: torch.Tensor, offsets: Sequence[Path], *, track: bool
) -> Iterator[tuple[int, Any, torch.Tensor, torch.Tensor | None]]:
    """Yield each offset's number, where its sources lie, their highest, and its step.

    Both tensors show the valid pairs and may be kept.

    Parameters
    ----------
    boundary : (…, h, w)
    offsets
        As in `PathMax.forward`.
    track
        Whether the step on the path where the highest pixel is comes too, else
        ``None``.
    """
    longest = max(len(path) for _, path in offsets) if track else 1
    mask = (1 << (longest - 1).bit_length()) - 1
    steps = _signed(boundary, longest, mask) if track else [boundary]
    for place, (offset, path) in enumerate(offsets):
        source, _ = ends(boundary.shape, *offset)
        values = [
            steps[step if track else 0][view]
            for step, view in enumerate(views(boundary.shape, offset, path))
        ]
        best = torch.maximum(values[0], values[1])
        for value in values[2:]:
            torch.maximum(best, value, out=best)
        step = mask - (best.view(torch.int64) & mask) if track else None
        yield place, source, best.to(boundary.dtype), step


class Sink:
    """Collects what pairs send to the highest pixels of their paths."""

    def __init__(self, shape: Sequence[int], like: torch.Tensor) -> None:
        self.total = like.new_zeros(shape)
        self._width = shape[-1]
        count = self.total.numel()
        self._origin = torch.arange(count, device=like.device).reshape(*shape)

    def add(
        self,
        gradient: torch.Tensor,
        step: torch.Tensor,
        source: Any,
        path: Sequence[tuple[int, int]],
    ) -> None:
        """Add the gradient of one offset's valid pairs.

        Parameters
        ----------
        gradient, step
            Of the pairs, and where on the path their highest pixel is.
        source
            Where in the map their sources lie.
        path
            Offsets from a source of the pixels on the way.
        """
        ways = torch.tensor(
            [y * self._width + x for y, x in path], device=gradient.device
        )
        target = self._origin[source] + ways[step.long()]
        self.total.view(-1).scatter_add_(0, target.flatten(), gradient.flatten())


def _signed(boundary: torch.Tensor, count: int, mask: int) -> list[torch.Tensor]:
    """Return the map once for every step of a path, the step in its lowest bits.

    One maximum then finds the highest value and where it was; the first of equals has
    the largest bits. A single-precision value leaves those bits of a double free.
    """
    bits = boundary.double().view(torch.int64) & ~mask
    return [(bits | (mask - step)).view(torch.float64) for step in range(count)]

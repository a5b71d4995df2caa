"""IRNet's losses: pairs of pixels that seeds say are alike, or are not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch.autograd.function import once_differentiable
from torch.nn import functional

from napari_wsseg.nn import ranks
from napari_wsseg.nn.losses import at_least_single
from napari_wsseg.ops import affinity
from napari_wsseg.ops.pixel_pairs import ends
from napari_wsseg.ops.walks.path_max import Sink, each_path

EPSILON = 1e-5
"""Keeps logarithms finite and the mean of no pairs at 0, as in the published code."""


@dataclass(frozen=True, slots=True, eq=False)
class Pairs:
    """How often seeds make a pair of pixels alike or different, over all findings.

    Parameters
    ----------
    radius
        Pairs are nearer than this, in pixels of the map.
    background, finding, different : (P, B, h, w) uint8
        Pairs of two background pixels, of two pixels of the same finding, of two
        unlike ones, in the order of `napari_wsseg.ops.affinity.path_offsets`, at
        their first pixel. A pair with an ignored pixel is in none of them.
    """

    radius: int
    background: torch.Tensor
    finding: torch.Tensor
    different: torch.Tensor


@dataclass(frozen=True, slots=True, eq=False)
class BoundaryTerms:
    """The boundary branch's loss, each term a mean over its own pairs."""

    alike_background: torch.Tensor
    alike_finding: torch.Tensor
    different: torch.Tensor

    @property
    def total(self) -> torch.Tensor:
        """½[½ background + ½ finding + different], as it is coded."""
        alike = (self.alike_background + self.alike_finding) / 2
        return (alike + self.different) / 2


@dataclass(frozen=True, slots=True, eq=False)
class DisplacementTerms:
    """The displacement branch's loss, each term a mean over pairs and coordinates."""

    background: torch.Tensor
    finding: torch.Tensor

    @property
    def total(self) -> torch.Tensor:
        """½[background + finding]."""
        return (self.background + self.finding) / 2


def on_grid(seeds: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    """Bring seeds (B, K, H, W) uint8 to the grid of `like` (…, h, w), by nearest."""
    return functional.interpolate(seeds, like.shape[-2:], mode="nearest-exact")


def pairs(seeds: torch.Tensor, *, radius: int = 10) -> Pairs:
    """Compare every pair of pixels nearer than `radius`.

    Parameters
    ----------
    seeds : (B, K, h, w) integer
        0 background, 1 and above findings, 255 ignore. The K maps of one film count
        each on its own: findings may overlap. One map of several classes is K = 1.
    """
    count = seeds.shape[1]
    if count > 255:
        raise ValueError(f"there are {count} findings; a pair is counted up to 255")
    first, *others = (
        affinity.pair_labels(seeds[:, finding], radius) for finding in range(count)
    )
    counts = [kind.view(torch.uint8) for kind in first]
    for labels in others:
        for total, kind in zip(counts, labels, strict=True):
            total += kind.view(torch.uint8)
    return Pairs(radius, *counts)


def boundary(edge_logits: torch.Tensor, pairs: Pairs) -> BoundaryTerms:
    """Cross-entropy of the affinity a = 1 − max σ(edge) along each pair's path.

    Parameters
    ----------
    edge_logits : (B, 1, h, w)
    pairs
        Of seeds on the same grid.
    """
    edge = at_least_single(edge_logits)[:, 0].sigmoid()
    if edge.device.type == "mps":  # has no double precision, which the paths need
        on_cpu = Pairs(pairs.radius, *(kind.cpu() for kind in _kinds(pairs)))
        sums = _PathCosts.apply(edge.cpu(), on_cpu).to(edge.device)
    else:
        sums = _PathCosts.apply(edge, pairs)
    return BoundaryTerms(
        *(_mean(sums[place], kind) for place, kind in enumerate(_kinds(pairs)))
    )


class _PathCosts(torch.autograd.Function):
    """Sums of −log affinity, or of −log (1 − affinity), over each kind of pairs.

    A few offsets at a time, forward and backward, so that what is computed for them
    stays in the cache: all at once they are a dozen maps of 40 MB.
    """

    @staticmethod
    def forward(ctx: Any, edge: torch.Tensor, pairs: Pairs) -> torch.Tensor:
        """Return (3,) sums, in the order of the kinds of `Pairs`."""
        offsets = affinity.path_offsets(pairs.radius)
        highest = edge.new_ones((len(offsets), *edge.shape))
        which = torch.zeros_like(highest, dtype=torch.uint8)
        track = ctx.needs_input_grad[0]
        for place, source, best, step in each_path(edge, offsets, track=track):
            highest[place][source] = best
            if step is not None:
                which[place][source] = step
        sums = edge.new_zeros(3)
        for some in _blocks(highest):
            background, finding, different = (kind[some] for kind in _kinds(pairs))
            alike = (1 - highest[some] + EPSILON).log_()
            sums[0] -= (alike * background).sum()
            sums[1] -= (alike * finding).sum()
            sums[2] -= ((highest[some] + EPSILON).log_() * different).sum()
        ctx.save_for_backward(highest, which)
        ctx.pairs, ctx.shape = pairs, edge.shape
        return sums

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, None]:
        """Send each pair's slope to the highest pixel on its path."""
        highest, which = ctx.saved_tensors
        sink = Sink(ctx.shape, highest)
        offsets = affinity.path_offsets(ctx.pairs.radius)
        for some in _blocks(highest):
            background, finding, different = (kind[some] for kind in _kinds(ctx.pairs))
            slope = gradient[0] * background + gradient[1] * finding
            slope /= 1 - highest[some] + EPSILON
            slope -= gradient[2] * different / (highest[some] + EPSILON)
            for (offset, path), sent, step in zip(
                offsets[some], slope, which[some], strict=True
            ):
                source, _ = ends(ctx.shape, *offset)
                sink.add(sent[source], step[source], source, path)
        return sink.total, None


def displacement(field: torch.Tensor, pairs: Pairs) -> DisplacementTerms:
    """L1 distance from a field that points all alike pixels at one centroid.

    x + D(x) is the same for both pixels of a pair where D(x_i) − D(x_j) = x_j − x_i;
    on the background D is the same. (CheXseg prints the sign the other way round;
    its vectors would point away from the centroid.)

    Parameters
    ----------
    field : (B, 2, h, w)
        Rows, then columns, in pixels of the map.
    """
    sums = _ShiftCosts.apply(at_least_single(field), pairs)
    return DisplacementTerms(
        _mean(sums[0], pairs.background), _mean(sums[1], pairs.finding)
    )


class _ShiftCosts(torch.autograd.Function):
    """Sums over pairs of how far a field is from the same, and from one centroid.

    The slope of a distance is its sign, known once the distance is: it is summed up
    on the way, and nothing of the pairs is kept for the backward pass.
    """

    @staticmethod
    def forward(ctx: Any, field: torch.Tensor, pairs: Pairs) -> torch.Tensor:
        """Return (2,) sums: background pairs, pairs of a finding."""
        sums = field.new_zeros(2)
        slopes = field.new_zeros((2, *field.shape)) if ctx.needs_input_grad[0] else None
        offsets = affinity.path_offsets(pairs.radius)
        for place, (offset, _) in enumerate(offsets):
            source, target = ends(field.shape, *offset)
            apart = field[source] - field[target]
            wanted = apart.new_tensor(offset).view(2, 1, 1)
            for kind, counts, off in (
                (0, pairs.background, apart),
                (1, pairs.finding, apart - wanted),
            ):
                weight = counts[place][source][:, None] / field.shape[1]
                sums[kind] += (off.abs() * weight).sum()
                if slopes is not None:
                    slope = off.sign() * weight
                    slopes[kind][source] += slope
                    slopes[kind][target] -= slope
        if slopes is not None:
            ctx.save_for_backward(slopes)
        return sums

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, None]:
        """Weigh both slopes."""
        (slopes,) = ctx.saved_tensors
        return gradient[0] * slopes[0] + gradient[1] * slopes[1], None


def _blocks(stack: torch.Tensor) -> Iterator[slice]:
    """Yield slices of the first axis, of about 1 MB in single precision each."""
    step = max(1, (1 << 18) // max(1, stack[0].numel()))
    for first in range(0, len(stack), step):
        yield slice(first, first + step)


def _kinds(pairs: Pairs) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    return pairs.background, pairs.finding, pairs.different


def _mean(total: torch.Tensor, count: torch.Tensor) -> torch.Tensor:
    return ranks.total(total) / (ranks.total(count.sum()) + EPSILON)

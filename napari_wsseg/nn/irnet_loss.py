"""IRNet's losses: pairs of pixels that seeds say are alike, or are not."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch.nn import functional

from napari_wsseg.nn.losses import at_least_single
from napari_wsseg.ops import affinity

EPSILON = 1e-5
"""Keeps logarithms finite and the mean of no pairs at 0, as in the published code."""


@dataclass(frozen=True, slots=True, eq=False)
class Pairs:
    """How often seeds make a pair of pixels alike or different, over all findings.

    Parameters
    ----------
    radius
        Pairs are nearer than this, in pixels of the map.
    background, finding, different : (P, B, h, w) float32
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
    first, *others = (
        affinity.pair_labels(seeds[:, finding], radius)
        for finding in range(seeds.shape[1])
    )
    counts = [kind.to(torch.float32) for kind in first]
    for labels in others:
        for count, kind in zip(counts, labels, strict=True):
            count += kind
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
    highest = affinity.path_max(edge, pairs.radius)
    alike = -torch.log(1 - highest + EPSILON)
    different = -torch.log(highest + EPSILON)
    return BoundaryTerms(
        _mean((alike * pairs.background).sum(), pairs.background),
        _mean((alike * pairs.finding).sum(), pairs.finding),
        _mean((different * pairs.different).sum(), pairs.different),
    )


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
    field = at_least_single(field)
    background, finding = field.new_zeros(()), field.new_zeros(())
    offsets = affinity.path_offsets(pairs.radius)
    for place, ((down, right), _) in enumerate(offsets):
        difference, source = _difference(field, down, right)
        target = field.new_tensor((down, right)).view(1, 2, 1, 1)
        alike = difference.abs().mean(1)
        background = background + (alike * pairs.background[place][source]).sum()
        apart = (difference - target).abs().mean(1)
        finding = finding + (apart * pairs.finding[place][source]).sum()
    return DisplacementTerms(
        _mean(background, pairs.background), _mean(finding, pairs.finding)
    )


def _difference(
    field: torch.Tensor, down: int, right: int
) -> tuple[torch.Tensor, tuple[slice, ...]]:
    """Return D(x_i) − D(x_j) of all pairs of an offset, and where the x_i are."""
    height, width = field.shape[-2:]
    left, stop = max(0, -right), max(0, width - max(0, right))
    rows = max(0, height - down)
    here = (slice(None), slice(0, rows), slice(left, max(left, stop)))
    source = field[:, :, here[1], here[2]]
    there = field[:, :, down : down + rows, left + right : max(left, stop) + right]
    return source - there, here


def _mean(total: torch.Tensor, count: torch.Tensor) -> torch.Tensor:
    return total / (count.sum() + EPSILON)

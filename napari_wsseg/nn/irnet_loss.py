"""IRNet's losses: pairs of pixels that a seed says are alike, or are not."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from napari_wsseg.nn import pixel_pairs
from napari_wsseg.nn.pixel_pairs import Pairs

EPSILON = 1e-5
"""Keeps logarithms finite and means of no pairs at 0, as in the published code."""


@dataclass(frozen=True, slots=True, eq=False)
class BoundaryTerms:
    """The boundary branch's loss, each term a mean over its own pairs."""

    alike_background: torch.Tensor
    alike_finding: torch.Tensor
    different: torch.Tensor

    @property
    def total(self) -> torch.Tensor:
        """½[½ background + ½ finding + different], eq. 8 as it is coded."""
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


def boundary(edge_logits: torch.Tensor, pairs: Pairs) -> BoundaryTerms:
    """Cross-entropy of the affinity a = 1 − max σ(edge) along each pair's path.

    Parameters
    ----------
    edge_logits : (B, 1, h, w)
    pairs
        Of labels on the same grid.
    """
    affinity = 1 - pixel_pairs.path_max(edge_logits[:, 0].sigmoid(), pairs.radius)
    alike = -torch.log(affinity + EPSILON)
    different = -torch.log(1 + EPSILON - affinity)
    return BoundaryTerms(
        _mean(alike, pairs.background),
        _mean(alike, pairs.finding),
        _mean(different, pairs.different),
    )


def displacement(field: torch.Tensor, pairs: Pairs) -> DisplacementTerms:
    """L1 distance from a field that points at one centroid for all alike pixels.

    x + D(x) is the same for both pixels of a pair where D(x_i) − D(x_j) = x_j − x_i;
    on the background D is the same. (CheXseg prints the sign the other way round;
    its vectors would point away from the centroid.)

    Parameters
    ----------
    field : (B, 2, h, w)
        Rows, then columns, in pixels of the map.
    """
    source, other = pixel_pairs.ends(field, pairs.radius)
    difference = source - other
    target = pixel_pairs.offsets(pairs.radius, field).view(1, 2, -1, 1)
    finding = (difference - target).abs().mean(1)
    background = difference.abs().mean(1)
    return DisplacementTerms(
        _mean(background, pairs.background), _mean(finding, pairs.finding)
    )


def _mean(each: torch.Tensor, count: torch.Tensor) -> torch.Tensor:
    """Mean of `each` (B, P, N), every entry as often as `count` says."""
    return (each * count).sum() / (count.sum() + EPSILON)

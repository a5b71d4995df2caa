"""Ways to rank: mixed, in turn, far apart, cluster by cluster, by chance and score."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

CLUSTERS = 16
"""Films that `diverse` puts first, no two of one cluster."""

_GREEDY_AFTER = 64
"""Films that are read when `clasp` has become greedy."""


_Item = TypeVar("_Item")


def mixed(positives: Sequence[str], negatives: Sequence[str]) -> list[str]:
    """Return two of the first, one of the second, and so on until both are used up."""
    left, found = iter(negatives), list[str]()
    for number, one in enumerate(positives, 1):
        found.append(one)
        if number % 2 == 0:
            found += islice(left, 1)
    return [*found, *left]


def farthest_first(points: NDArray[np.float64], number: int) -> list[int]:
    """Return places of points, each as far as can be from those before it.

    Parameters
    ----------
    points : (N, D)
        The one nearest to their mean comes first.
    number
        How many are wanted, at most N.
    """
    if not len(points):
        return []
    away = ((points - points.mean(0)) ** 2).sum(1)
    chosen = [int(away.argmin())]
    near = ((points - points[chosen[0]]) ** 2).sum(1)
    while len(chosen) < min(number, len(points)) and near.max() > 0:
        chosen.append(int(near.argmax()))
        near = np.minimum(near, ((points - points[chosen[-1]]) ** 2).sum(1))
    return chosen


def cluster_order(points: NDArray[np.float64], clusters: int = CLUSTERS) -> list[int]:
    """Return places of points, one of every cluster in turn, the most typical first.

    Parameters
    ----------
    points : (N, D)
    clusters
        Their centres are points chosen by `farthest_first`; the largest cluster begins.
    """
    centres = farthest_first(points, clusters)
    if not centres:
        return []
    away = ((points[:, None] - points[centres]) ** 2).sum(-1)
    own = away.argmin(1)
    groups = []
    for number in range(len(centres)):
        members = np.flatnonzero(own == number)
        typical = ((points[members] - points[members].mean(0)) ** 2).sum(1)
        groups.append([int(one) for one in members[typical.argsort(kind="stable")]])
    groups.sort(key=len, reverse=True)
    return list(in_turn(groups))


def power_order(
    scores: NDArray[np.float64], power: float, rng: np.random.Generator
) -> list[int]:
    """Return places drawn without replacement with chances that go by score ** power.

    Parameters
    ----------
    scores : (N,)
        At least 0. Power 0 shuffles, a large one sorts.
    power
        At least 0.
    rng
        Draws the Gumbel noise that is added to the logarithm.
    """
    noise = rng.gumbel(size=len(scores))
    keys = power * np.log(np.maximum(scores, 1e-9)) + noise
    return [int(place) for place in np.argsort(-keys, kind="stable")]


def power_after(n_read: int) -> float:
    """Return the power of `clasp`, from 1 to 100, when so many films are read.

    It rises evenly in its logarithm until 64 films are read; that schedule is ours.
    """
    return float(100 ** min(1.0, n_read / _GREEDY_AFTER))


def in_turn(groups: Sequence[Sequence[_Item]]) -> Iterator[_Item]:
    """Yield the first of every group, then the second, and so on."""
    for place in range(max(map(len, groups), default=0)):
        for group in groups:
            if place < len(group):
                yield group[place]

"""Which films are in a batch: pure functions of the seed and the step.

No sampler keeps state, so a resumed run draws what the uninterrupted one would have.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray


def deal(pool: Sequence[int], start: int, count: int, seed: int) -> list[int]:
    """Return `count` members of `pool`, `start` draws into an endless deal.

    Every member comes once before any comes twice: the pool is shuffled anew, by
    `seed` and the number of the round, each time it runs out.

    Parameters
    ----------
    pool
        Film numbers; one may be in it several times.
    start, count
        Draws that went before, and draws that are wanted; 0 or more.
    seed
        What the order depends on, with the number of the round.

    Raises
    ------
    ValueError
        If the pool is empty and something is wanted of it.
    """
    if count and not pool:
        raise ValueError("nothing to draw from; the pool is empty")
    drawn: list[int] = []
    while len(drawn) < count:
        round_, offset = divmod(start + len(drawn), len(pool))
        order = _order(seed, round_, len(pool))
        rest = order[offset : offset + count - len(drawn)]
        drawn.extend(pool[index] for index in rest)
    return drawn


@lru_cache(maxsize=16)
def _order(seed: int, round_: int, size: int) -> NDArray[np.int64]:
    """Return the order of a round; a batch takes a few of it, the next batch more."""
    return np.random.default_rng([seed, round_]).permutation(size)


def balanced(groups: Sequence[Sequence[int]]) -> list[int]:
    """Return a pool in which every group comes equally often.

    Members of a smaller group are in it several times, so that a rare finding is drawn
    as often as a common one. Empty groups are left out.

    Parameters
    ----------
    groups
        Film numbers, e.g. of each finding; a film may be in several.
    """
    filled = [group for group in groups if group]
    most = max((len(group) for group in filled), default=0)
    return [group[place % len(group)] for group in filled for place in range(most)]


@dataclass(slots=True)
class ShareCounter:
    """Counts how many films of `counted` the batches of a sampler hold.

    A pure function of the step, too: what was not asked for yet is drawn again.
    """

    sampler: Callable[[int], Sequence[int]]
    counted: frozenset[int]
    _upto: list[int] = field(default_factory=lambda: [0])
    _films: list[int] = field(default_factory=lambda: [0])

    def share(self, steps: int) -> float:
        """Return their share of the films of the first `steps` batches, in [0, 1]."""
        while len(self._upto) <= steps:
            batch = self.sampler(len(self._upto) - 1)
            mine = sum(row in self.counted for row in batch)
            self._upto.append(self._upto[-1] + mine)
            self._films.append(self._films[-1] + len(batch))
        return self._upto[steps] / max(1, self._films[steps])


@dataclass(frozen=True, slots=True)
class RatioSampler:
    """Two pools mixed at a fixed ratio: CheXseg's sampling ratio p, exactly.

    The published sampler draws p in tenths and film by film, so that p = 0.6 is really
    0.5. Here every batch takes ``round(p · B)`` of the first pool, the remainder
    carried on, so that n batches hold ``round(n · p · B)`` of them.

    Parameters
    ----------
    first, second
        Film numbers; `first` is the pool that `share` speaks of (expert films).
    share
        p, in [0, 1]. With one pool empty the other fills every batch.
    batch
        Films per batch, B.
    """

    first: Sequence[int]
    second: Sequence[int]
    share: float
    batch: int
    seed: int

    def __post_init__(self) -> None:
        if not 0 <= self.share <= 1:
            raise ValueError(f"sampling ratio is {self.share}; it goes from 0 to 1")
        if not self.first and not self.second:
            raise ValueError("nothing to draw from; both pools are empty")

    @property
    def effective_share(self) -> float:
        """The share that can be had: 0 or 1 where a pool is empty."""
        if not self.first:
            return 0.0
        return self.share if self.second else 1.0

    def n_expert_until(self, steps: int) -> int:
        """Return how many of the first pool the first `steps` batches hold."""
        return round(steps * self.effective_share * self.batch)

    def __call__(self, step: int) -> list[int]:
        """Return the film numbers of batch `step`, those of the first pool first."""
        before, after = self.n_expert_until(step), self.n_expert_until(step + 1)
        rest_before = step * self.batch - before
        return [
            *deal(self.first, before, after - before, self.seed * 2),
            *deal(
                self.second,
                rest_before,
                self.batch - (after - before),
                self.seed * 2 + 1,
            ),
        ]


@dataclass(frozen=True, slots=True)
class ShuffledSampler:
    """Every film once per epoch, in an order of its own each time."""

    pool: Sequence[int]
    batch: int
    seed: int

    def __call__(self, step: int) -> list[int]:
        """Return the film numbers of batch `step`."""
        return deal(self.pool, step * self.batch, self.batch, self.seed)


@dataclass(frozen=True, slots=True)
class TenthsSampler:
    """Two pools mixed as CheXseg's published code mixes them, for comparison.

    Film by film it draws ``u = randint(1, 10) * 0.1`` and takes the first pool if
    ``u <= p``: p counts in tenths, and what 0.1 is more than a tenth makes p = 0.3, 0.6
    and 0.7 the tenth below. Both pools are gone through by one index over both, so
    that the smaller comes round more often.

    Parameters
    ----------
    first, second, share, batch
        See `RatioSampler`.
    """

    first: Sequence[int]
    second: Sequence[int]
    share: float
    batch: int
    seed: int

    def __post_init__(self) -> None:
        # The same words are refused.
        RatioSampler(self.first, self.second, self.share, self.batch, self.seed)

    def __call__(self, step: int) -> list[int]:
        """Return the film numbers of batch `step`."""
        both = range(len(self.first) + len(self.second))
        places = deal(both, step * self.batch, self.batch, self.seed)
        tenths = np.random.default_rng([self.seed, 1, step]).integers(1, 11, self.batch)
        return [
            self._at(place, int(tenth))
            for place, tenth in zip(places, tenths, strict=True)
        ]

    def _at(self, place: int, tenth: int) -> int:
        from_first = tenth * 0.1 <= self.share if self.second else True
        pool = self.first if from_first and self.first else self.second
        return pool[place % len(pool)]


@dataclass(frozen=True, slots=True)
class NewestSampler:
    """Part of every batch from the newest films, the rest mixed from two pools.

    Of n batches ``round(n · newest_share · B)`` films are of `newest`, and of the rest
    ``round(rest · share)`` of `earlier`, both exact as in `RatioSampler`.

    Parameters
    ----------
    newest, earlier, weak
        Film numbers; what an empty pool would have given the others give.
    newest_share
        In [0, 1].
    share
        p, the share of `earlier` films among those that are not of `newest`.
    batch
        Films per batch, B.
    """

    newest: Sequence[int]
    earlier: Sequence[int]
    weak: Sequence[int]
    newest_share: float
    share: float
    batch: int
    seed: int

    def __post_init__(self) -> None:
        if not 0 <= self.newest_share <= 1:
            raise ValueError(f"share is {self.newest_share}; it goes from 0 to 1")
        if self._mixed or not self.newest:
            # The same shares and pools are refused.
            RatioSampler(self.earlier, self.weak, self.share, self.batch, self.seed)

    @property
    def _mixed(self) -> bool:
        return bool(self.earlier or self.weak)

    def n_newest_until(self, steps: int) -> int:
        """Return how many of the newest films the first `steps` batches hold."""
        share = self.newest_share if self._mixed else 1.0
        return round(steps * self.batch * share) if self.newest else 0

    def __call__(self, step: int) -> list[int]:
        """Return the film numbers of batch `step`, those of `newest` first."""
        before, after = self.n_newest_until(step), self.n_newest_until(step + 1)
        drawn = deal(self.newest, before, after - before, self.seed * 3)
        if len(drawn) == self.batch:
            return drawn
        start, end = step * self.batch - before, (step + 1) * self.batch - after
        mix = RatioSampler(self.earlier, self.weak, self.share, 1, self.seed)
        first, last = mix.n_expert_until(start), mix.n_expert_until(end)
        return [
            *drawn,
            *deal(self.earlier, first, last - first, self.seed * 3 + 1),
            *deal(
                self.weak,
                start - first,
                end - start - (last - first),
                self.seed * 3 + 2,
            ),
        ]

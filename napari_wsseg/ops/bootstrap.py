"""How far chance reaches: percentile intervals from films drawn with replacement.

Whole films are drawn, so that what the findings of one film share stays together.
Two stages are compared on the same draws: the difference is taken draw by draw, which
leaves out that some films are harder than others (Efron & Tibshirani 1993, ch. 13).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_wsseg.ops import tally
from napari_wsseg.ops.tally import METRICS, PerFinding, Tally

N_RESAMPLES = 2000
LEVEL = 0.95

#: Weights held at a time: 16 MiB of float64.
_AT_ONCE = 2_000_000


@dataclass(frozen=True, slots=True, eq=False)
class Resamples:
    """Figures of many resamples of the films of one tally.

    Parameters
    ----------
    per_finding
        Figure to (B, K), NaN where a resample leaves it undefined.
    support
        Figure to (K,): how many films of the tally the figure rests on.
    """

    findings: tuple[str, ...]
    per_finding: dict[str, NDArray[np.float64]]
    support: dict[str, NDArray[np.int64]] = field(default_factory=dict)

    def average(self, metric: str) -> NDArray[np.float64]:
        """(B,) the figure averaged over findings."""
        return tally.average(self.per_finding[metric])

    def intervals(self, level: float = LEVEL) -> dict[str, Any]:
        """Return figure to ``[low, high]`` or ``None``, and the same per finding."""
        per_finding = {
            name: {
                metric: interval(self.per_finding[metric][:, k], level)
                if self.support[metric][k] > 1
                else None
                for metric in METRICS
            }
            for k, name in enumerate(self.findings)
        }
        averages = {
            metric: interval(self.average(metric), level)
            if self.support[metric].max(initial=0) > 1
            else None
            for metric in METRICS
        }
        return {**averages, "per_finding": per_finding}


def resample(
    tallies: Mapping[str, Tally], *, n_resamples: int = N_RESAMPLES, seed: int = 0
) -> dict[str, Resamples]:
    """Score resamples of the films of several tallies, the same films in each.

    Parameters
    ----------
    tallies
        By name; all of the same films.
    n_resamples
        How often as many films as there are are drawn with replacement; 0: never.
    seed
        What the draws depend on.

    Returns
    -------
    dict
        By the same names, with B = `n_resamples`.

    Raises
    ------
    ValueError
        If the tallies are not of the same films.
    """
    films = {name: np.unique(one.film) for name, one in tallies.items()}
    n_films = {len(each) for each in films.values()}
    if len(n_films) > 1:
        raise ValueError(f"tallies of {sorted(n_films)} films; give those of the same")
    places = {name: np.searchsorted(films[name], t.film) for name, t in tallies.items()}
    parts: dict[str, list[PerFinding]] = {name: [] for name in tallies}
    for weights in resample_weights(max(n_films, default=0), n_resamples, seed):
        for name, one in tallies.items():
            parts[name].append(one.per_finding(weights[:, places[name]]))
    return {
        name: Resamples(
            one.findings,
            {
                metric: np.concatenate(
                    [
                        np.zeros((0, len(one.findings))),
                        *(part[metric] for part in parts[name]),
                    ]
                )
                for metric in METRICS
            },
            _support(one),
        )
        for name, one in tallies.items()
    }


def interval(values: NDArray[np.float64], level: float = LEVEL) -> list[float] | None:
    """Return the middle `level` of (B,) values, ``None`` if none is defined.

    Resamples in which the figure is not defined, as one without any positive film,
    are left out.
    """
    defined = values[~np.isnan(values)]
    if not defined.size:
        return None
    tail = (1 - level) / 2
    low, high = np.quantile(defined, [tail, 1 - tail])
    return [float(low), float(high)]


def difference(
    this: Resamples, other: Resamples, metric: str, level: float = LEVEL
) -> list[float] | None:
    """Return the interval of this figure less the other's, draw by draw.

    Parameters
    ----------
    this, other
        By one call of `resample`, so that both have the same draws.
    metric
        One of `napari_wsseg.ops.tally.METRICS`, averaged over findings.
    level
        Share of the draws that the interval holds, in (0, 1).

    Returns
    -------
    list or None
        ``[low, high]`` in the figure's own unit; ``None`` if it is never defined.
    """
    return interval(this.average(metric) - other.average(metric), level)


def resample_weights(
    films: int, n_resamples: int, seed: int
) -> Iterator[NDArray[np.float64]]:
    """Yield how often each film was drawn, some resamples at a time.

    Parameters
    ----------
    films
        How many there are, and how many each resample draws; 0 yields nothing.
    n_resamples
        How many rows are yielded in all.
    seed
        What the draws depend on.

    Yields
    ------
    (b, films) float64
        Whole numbers; each row sums to `films`.
    """
    rng = np.random.default_rng(seed)
    at_once = max(1, _AT_ONCE // max(films, 1))
    while films and n_resamples > 0:
        part = min(n_resamples, at_once)
        chance = np.full(films, 1 / films)
        yield rng.multinomial(films, chance, size=part).astype(np.float64)
        n_resamples -= part


def aurocs(
    scores: NDArray[np.float64],
    labels: NDArray[np.bool_],
    weights: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Area under the ROC curve of B choices of N films: (B,), ties one half.

    NaN where a choice holds one class alone.

    Parameters
    ----------
    scores, labels : (N,)
    weights : (B, N)
        How often each film counts.
    """
    order = np.argsort(scores, kind="stable")
    edges = np.flatnonzero(np.diff(scores[order], prepend=np.nan) != 0)
    present = labels[order]
    drawn = weights[:, order]
    positive = np.add.reduceat(drawn * present, edges, axis=1)
    negative = np.add.reduceat(drawn * ~present, edges, axis=1)
    below = np.cumsum(negative, axis=1) - negative
    wins = (positive * (below + negative / 2)).sum(1)
    pairs = positive.sum(1) * negative.sum(1)
    return np.where(pairs > 0, wins / np.maximum(pairs, 1), np.nan)


def _support(counts: Tally) -> dict[str, NDArray[np.int64]]:
    def films(pairs: NDArray[np.bool_]) -> NDArray[np.int64]:
        return np.array(
            [np.unique(counts.film[column]).size for column in pairs.T], np.int64
        )

    known, positive = films(counts.known), films(counts.positive)
    return {
        "pos_iou": positive,
        "all_iou": known,
        "pooled_miou": known,
        "dice": known,
        "emptiness": films(counts.known & (counts.truth == 0)),
    }

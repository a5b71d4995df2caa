"""Pixel counts of many masks against their truth, and the figures made of them.

Counts are small and films are many: once a film is counted its masks can go, and any
choice of films can be scored from the counts alone (see `napari_wsseg.ops.bootstrap`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from napari_wsseg.schema import Mask

METRICS = ("pos_iou", "all_iou", "pooled_miou", "dice", "emptiness")

#: Figures by name: (B, K) per finding, NaN where a figure is not defined.
PerFinding: TypeAlias = dict[str, NDArray[np.float64]]


@dataclass(frozen=True, slots=True)
class Overlap:
    """Pixel counts of one prediction and one truth of `pixels` pixels."""

    both: int
    pred: int
    truth: int
    pixels: int

    @classmethod
    def between(cls, pred: Mask, truth: Mask, *, void: Mask | None = None) -> Overlap:
        """Count two masks of the same shape.

        Parameters
        ----------
        pred, truth : (H, W) bool
        void : (H, W) bool
            Pixels that count as set in neither; they stay in `pixels`.

        Raises
        ------
        ValueError
            The masks have different shapes.
        """
        ours, theirs = np.asarray(pred, bool), np.asarray(truth, bool)
        if ours.shape != theirs.shape:
            raise ValueError(
                f"the prediction is {ours.shape} but the truth is {theirs.shape}; "
                "bring both to the film's shape first"
            )
        if void is not None:
            ours, theirs = ours & ~void, theirs & ~void
        return cls(
            int(np.count_nonzero(ours & theirs)),
            int(np.count_nonzero(ours)),
            int(np.count_nonzero(theirs)),
            ours.size,
        )

    @property
    def iou(self) -> float:
        """Intersection over union; 1.0 when both are empty."""
        union = self.pred + self.truth - self.both
        return self.both / union if union else 1.0

    @property
    def dice(self) -> float:
        """Dice overlap; 1.0 when both are empty."""
        total = self.pred + self.truth
        return 2 * self.both / total if total else 1.0


@dataclass(frozen=True, slots=True, eq=False)
class Tally:
    """Counts of N rows, each one film or one comparison on a film, by K findings.

    Parameters
    ----------
    film : (N,) int
        Which film each row is of; rows of one film are never parted in a resample.
    both, pred, truth, pixels : (N, K) int64
        As in `Overlap`.
    known : (N, K) bool
        Whether that finding's truth is known on that row; others count nowhere.
    """

    findings: tuple[str, ...]
    film: NDArray[np.int64]
    both: NDArray[np.int64]
    pred: NDArray[np.int64]
    truth: NDArray[np.int64]
    pixels: NDArray[np.int64]
    known: NDArray[np.bool_]

    @classmethod
    def from_rows(
        cls,
        rows: Sequence[Mapping[str, Overlap]],
        *,
        findings: Sequence[str] | None = None,
        film: Sequence[int] | None = None,
    ) -> Tally:
        """Gather rows of overlaps by finding.

        Parameters
        ----------
        rows
            Overlap by finding; one that is missing is not known there.
        findings
            K names in order; those of the rows, as they come, without.
        film
            Which film each row is of; every row its own without.
        """
        names = tuple(findings or dict.fromkeys(name for row in rows for name in row))
        counts = np.zeros((4, len(rows), len(names)), np.int64)
        known = np.zeros(counts.shape[1:], bool)
        for n, row in enumerate(rows):
            for k, name in enumerate(names):
                if (one := row.get(name)) is not None:
                    counts[:, n, k] = one.both, one.pred, one.truth, one.pixels
                    known[n, k] = True
        films = np.asarray(range(len(rows)) if film is None else film, np.int64)
        both, pred, truth, pixels = counts
        return cls(names, films, both, pred, truth, pixels, known)

    @property
    def positive(self) -> NDArray[np.bool_]:
        """(N, K) whether the truth is known and not empty."""
        return self.known & (self.truth > 0)

    @property
    def share(self) -> NDArray[np.float64]:
        """(N, K) share of the film that the truth covers, in [0, 1]."""
        return self.truth / np.maximum(self.pixels, 1)

    def only(self, keep: NDArray[np.bool_]) -> Tally:
        """Return the same rows with just the (N, K) pairs in `keep` known."""
        return replace(self, known=self.known & keep)

    def blank(self) -> Tally:
        """Return what masks that are empty everywhere would have counted."""
        nothing = np.zeros_like(self.both)
        return replace(self, both=nothing, pred=nothing)

    def per_finding(self, weights: NDArray[np.float64]) -> PerFinding:
        """Score B choices of rows at once.

        Parameters
        ----------
        weights : (B, N)
            How often each row counts.

        Returns
        -------
        dict
            The figures of `napari_wsseg.ops.metrics.evaluate`, each (B, K).
        """
        union = self.pred + self.truth - self.both
        areas = self.pred + self.truth
        iou = np.where(union > 0, self.both / np.maximum(union, 1), 1.0)
        dice = np.where(areas > 0, 2 * self.both / np.maximum(areas, 1), 1.0)
        negative = self.known & (self.truth == 0)

        def mean(values: NDArray[Any], over: NDArray[Any]) -> NDArray[np.float64]:
            total, count = weights @ (values * over), weights @ over.astype(float)
            return np.where(count > 0, total / np.maximum(count, 1), np.nan)

        pooled = weights @ (union * self.known).astype(float)
        both = weights @ (self.both * self.known).astype(float)
        return {
            "pos_iou": mean(iou, self.positive),
            "all_iou": mean(iou, self.known),
            "pooled_miou": np.where(pooled > 0, both / np.maximum(pooled, 1), np.nan),
            "dice": mean(dice, self.known),
            "emptiness": mean(self.pred == 0, negative),
        }

    def metrics(self) -> dict[str, Any]:
        """Score all rows: averages over findings, and ``per_finding``.

        ``None`` stands where a figure is not defined.
        """
        found = self.per_finding(np.ones((1, len(self.film))))
        per_finding = {
            name: {
                **{metric: _plain(found[metric][0, k]) for metric in METRICS},
                "n": int(self.known[:, k].sum()),
                "n_positive": int(self.positive[:, k].sum()),
            }
            for k, name in enumerate(self.findings)
        }
        averages = {metric: _plain(average(found[metric])[0]) for metric in METRICS}
        return {**averages, "per_finding": per_finding}


def average(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Average (B, K) over the findings that are defined: (B,), NaN if none is."""
    defined = ~np.isnan(values)
    count = defined.sum(1)
    total = np.where(defined, values, 0.0).sum(1)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def _plain(value: float) -> float | None:
    return None if np.isnan(value) else float(value)

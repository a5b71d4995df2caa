"""Figures by lesion size: films that have a finding, in thirds of its area."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from napari_wsseg.ops.tally import Tally
from napari_wsseg.pipeline.evaluation.result import Intervals, Scores, SizeScores

SIZES = ("small", "middle", "large")


def thirds(truth: Tally) -> dict[str, NDArray[np.bool_]]:
    """Return which (film, finding) are the small, middle and large third.

    Only films that have the finding; of equal areas the earlier film is the smaller.
    """
    kept = {size: np.zeros_like(truth.known) for size in SIZES}
    for k in range(len(truth.findings)):
        rows = np.flatnonzero(truth.positive[:, k])
        ordered = rows[np.argsort(truth.share[rows, k], kind="stable")]
        for size, part in zip(SIZES, np.array_split(ordered, 3), strict=True):
            kept[size][part, k] = True
    return kept


def metrics_by_size(
    truth: Tally,
    kept: Mapping[str, NDArray[np.bool_]],
    scores: Mapping[str, Scores],
    intervals: Mapping[str, Intervals],
) -> dict[str, tuple[SizeScores, ...]]:
    """Return the thirds of each finding, with their range of area and ``pos_iou``.

    Parameters
    ----------
    truth
        Counts of the truth on all films.
    kept
        As `thirds` returns it.
    scores, intervals
        By size, of the tally with just that third.
    """
    rows: dict[str, tuple[SizeScores, ...]] = {}
    for k, finding in enumerate(truth.findings):
        rows[finding] = tuple(
            SizeScores(
                size=size,
                share=(float(shares.min()), float(shares.max())),
                n=int(shares.size),
                pos_iou=scores[size].per_finding[finding].metrics.pos_iou,
                interval=intervals[size].per_finding[finding].pos_iou,
            )
            for size, keep in kept.items()
            if (shares := truth.share[keep[:, k], k]).size
        )
    return rows

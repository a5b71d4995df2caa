"""How good is a mask, how good is a classifier; numpy only.

Two conventions disagree by a factor of five on the same masks, so every figure here
says which one it is (`evaluate`), and `blank_all_iou` says what an empty prediction
scores where empty against empty counts as 1.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal, TypeAlias, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_wsseg.ops.tally import Overlap, Tally
from napari_wsseg.schema import Mask

Masks: TypeAlias = Mapping[str, Mask] | NDArray[np.bool_]
"""Masks of one image: by finding, or (K, H, W), or (H, W) for a single finding."""

Images: TypeAlias = Mapping[str, Masks] | Iterable[Masks]
"""Masks of many images: in order, or by case id."""


def iou(pred: Mask, truth: Mask) -> float:
    """Intersection over union of two masks, in [0, 1]; 1.0 when both are empty."""
    return Overlap.between(pred, truth).iou


def dice(pred: Mask, truth: Mask) -> float:
    """Dice overlap of two masks, in [0, 1]; 1.0 when both are empty."""
    return Overlap.between(pred, truth).dice


def evaluate(
    preds: Images, truths: Images, *, findings: Sequence[str] | None = None
) -> dict[str, Any]:
    """Score one stage's masks against the truth, per finding and averaged.

    Parameters
    ----------
    preds, truths
        One entry per image, in the same order, or two mappings by case id (the
        truth's ids are the ones that count). An entry is a mapping from finding to
        (H, W) bool mask, a (K, H, W) array, or a (H, W) array. A finding that a
        truth mapping lacks is unknown there and is not counted. Both may be
        generators: no more than one image is held.
    findings
        Names of the K findings of array entries; ``"0"``, ``"1"`` … without.

    Returns
    -------
    dict
        Per finding, then averaged over the findings for which it is defined, or
        ``None`` if it is defined for none:
        ``pos_iou`` mean IoU over images whose truth is non-empty;
        ``all_iou`` mean IoU over all images, empty against empty = 1;
        ``pooled_miou`` sum of intersections over sum of unions;
        ``dice`` mean Dice over all images, empty against empty = 1 (SIIM rule);
        ``emptiness`` share of truth-empty images left empty.
        ``per_finding`` holds the same by name, with ``n`` and ``n_positive``.

    Raises
    ------
    ValueError
        If lengths or shapes differ, or a prediction lacks a finding the truth has.
    """
    rows: list[dict[str, Overlap]] = []
    for place, (pred, truth) in enumerate(_pairs(preds, truths)):
        named = _by_finding(pred, findings)
        row: dict[str, Overlap] = {}
        for finding, mask in _by_finding(truth, findings).items():
            if finding not in named:
                raise ValueError(
                    f"image {place}: the truth knows {finding!r} but the prediction "
                    f"has only {sorted(named)}; predict it, if only as an empty mask"
                )
            row[finding] = Overlap.between(named[finding], mask)
        rows.append(row)
    return Tally.from_rows(rows).metrics()


def blank_all_iou(
    truths: Images, *, findings: Sequence[str] | None = None
) -> float | None:
    """Return the ``all_iou`` of a prediction that is empty everywhere.

    It is the share of truth-empty images, per finding, averaged over findings;
    ``None`` without any truth. `truths` and `findings` are those of `evaluate`.
    """
    empty: dict[str, list[bool]] = {}
    for truth in truths.values() if isinstance(truths, Mapping) else truths:
        for finding, mask in _by_finding(truth, findings).items():
            empty.setdefault(finding, []).append(not np.any(mask))
    return _mean([float(np.mean(flags)) for flags in empty.values()])


def auroc(scores: ArrayLike, labels: ArrayLike) -> float | None:
    """Area under the ROC curve; ``None`` when only one class is there.

    Parameters
    ----------
    scores : (N,) float
        Higher means more likely present. Ties count one half.
    labels : (N,) bool or 0/1
    """
    values, truth = _scored(scores, labels)
    n_positive = int(truth.sum())
    n_negative = truth.size - n_positive
    if not n_positive or not n_negative:
        return None
    _, place, count = np.unique(values, return_inverse=True, return_counts=True)
    rank = (np.cumsum(count) - (count - 1) / 2)[place]  # ties share their mean rank
    wins = rank[truth].sum() - n_positive * (n_positive + 1) / 2
    return float(wins / (n_positive * n_negative))


_HAIR = 1e-9


def auroc_interval(
    area: float, n_positive: int, n_negative: int, *, z: float = 1.959964
) -> tuple[float, float]:
    """Return the score interval of an area under the ROC curve.

    Unlike an interval of resamples it is not closed up where every film is told apart:
    an area of 1 on few films may well be less. Newcombe, Statistics in Medicine 25
    (2006) 559-573, method 5: the variance of Hanley and McNeil (1982) at the bound.

    Parameters
    ----------
    area
        In [0, 1], as `auroc` returns it.
    n_positive, n_negative
        Images with and without the finding, at least one of each.
    z
        Standard normal quantile; by default of a 95 % interval.

    Raises
    ------
    ValueError
        There is no image with, or none without.
    """
    if n_positive < 1 or n_negative < 1:
        raise ValueError("an interval needs images with and without the finding")
    from scipy import optimize  # slow to import, and the window imports this module

    middle = (n_positive + n_negative) / 2 - 1

    def excess(bound: float) -> float:
        spread = 1 + middle * ((1 - bound) / (2 - bound) + bound / (1 + bound))
        variance = bound * (1 - bound) * spread / (n_positive * n_negative)
        return abs(area - bound) - z * float(np.sqrt(variance))

    # At 0 and 1 themselves there is no variance, so a hair beside them.
    low = optimize.brentq(excess, 0.0, area - _HAIR) if area > 0 else 0.0
    high = optimize.brentq(excess, area + _HAIR, 1.0) if area < 1 else 1.0
    return float(low), float(high)


def f1(pred: ArrayLike, labels: ArrayLike) -> float | None:
    """F1 of (N,) yes/no answers; ``None`` when nothing is positive in either."""
    answers, truth = _scored(pred, labels)
    called = answers.astype(bool)
    positives = int(called.sum()) + int(truth.sum())
    return 2 * int((called & truth).sum()) / positives if positives else None


def best_threshold(
    scores: ArrayLike,
    labels: ArrayLike,
    *,
    criterion: Literal["f1", "youden", "accuracy"] = "f1",
) -> float | None:
    """Return t so that ``scores >= t`` does best; ``None`` when one class is missing.

    The cut lies half-way between two neighbouring scores. Of equally good cuts the
    highest is taken, which calls the fewest images positive.

    Parameters
    ----------
    scores, labels : (N,)
        As in `auroc`.
    criterion
        ``"f1"``; ``"youden"``: sensitivity + specificity − 1; ``"accuracy"``: the share
        of images that it is right about.
    """
    values, truth = _scored(scores, labels)
    n_positive = int(truth.sum())
    n_negative = truth.size - n_positive
    if not n_positive or not n_negative:
        return None
    order = np.argsort(-values, kind="stable")
    ranked, hits = values[order], np.cumsum(truth[order])
    last = np.append(np.flatnonzero(np.diff(ranked)), ranked.size - 1)
    called, hits = last + 1, hits[last]  # a cut cannot part equal scores
    if criterion == "f1":
        merit = 2 * hits / (called + n_positive)
    elif criterion == "accuracy":
        merit = (hits + n_negative - (called - hits)) / truth.size
    else:
        merit = hits / n_positive - (called - hits) / n_negative
    best = int(np.argmax(merit))
    below = ranked[last[best] + 1] if best + 1 < last.size else ranked[last[best]]
    middle = float((ranked[last[best]] + below) / 2)
    # Half-way between neighbours in floating point may round down to the lower one.
    return middle if middle > below else float(ranked[last[best]])


def _mean(values: Sequence[float | None]) -> float | None:
    defined = [value for value in values if value is not None]
    return float(np.mean(defined)) if defined else None


def _pairs(preds: Images, truths: Images) -> Iterator[tuple[Masks, Masks]]:
    if isinstance(preds, Mapping) and isinstance(truths, Mapping):
        missing = sorted(set(truths) - set(preds))
        if missing:
            raise ValueError(f"no prediction for {missing}; predict them first")
        return ((preds[case], truths[case]) for case in truths)
    if isinstance(preds, Mapping) or isinstance(truths, Mapping):
        raise ValueError("give predictions and truths both by case id or both in order")
    return zip(preds, truths, strict=True)


def _by_finding(masks: Masks, findings: Sequence[str] | None) -> Mapping[str, Mask]:
    if isinstance(masks, Mapping):
        return masks
    stack = np.asarray(masks, bool)
    if stack.ndim == 2:
        stack = stack[None]
    names = findings if findings is not None else [str(k) for k in range(len(stack))]
    if stack.ndim != 3 or len(names) != len(stack):
        raise ValueError(
            f"masks are {stack.shape} for findings {list(names)}; give (K, H, W) with "
            "one mask per finding"
        )
    return dict(zip(names, stack, strict=True))


def _scored(
    scores: ArrayLike, labels: ArrayLike
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    values, truth = np.asarray(scores, np.float64), np.asarray(labels)
    if values.shape != truth.shape or values.ndim != 1:
        raise ValueError(
            f"scores are {values.shape} but labels are {truth.shape}; "
            "give one number and one label per image"
        )
    if not np.isfinite(values).all():
        raise ValueError("scores hold NaN or infinity; leave those images out")
    if not np.isin(truth, (0, 1)).all():
        raise ValueError(
            f"labels are {np.unique(truth).tolist()}, but only 0 and 1 can be scored; "
            "leave unknown and uncertain ones out"
        )
    return values, cast("NDArray[np.bool_]", truth.astype(bool))

"""Whether a finding is on a film: the classifier's word, joined with what is measured.

A classifier is one witness. The chest's own measures are another, where a finding is an
organ that is too large; a segmenter that has found no lesion on a film says something,
too. How much each counts is learnt from image-level labels, see
`trainers.tasks.presence`, and stands in a segmenter's header.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import special

from napari_wsseg.io import anatomy
from napari_wsseg.io.project import Project
from napari_wsseg.ops import geometry
from napari_wsseg.ops.chest import share_of_breadth, share_of_width
from napari_wsseg.ops.masks import keep_largest
from napari_wsseg.schema import Case

Values = NDArray[np.float64]

_SURE = 1e-3  # probabilities beyond it say no more
_TOP = 0.005  # of the film: the part of a map that tells if it has found anything

_DRAWN = 0.5

SIDE = 256
"""Longest side of the masks that a chest is measured on."""

MEASURES = {"breadth": share_of_breadth, "chest": share_of_width}
"""Of an organ, by kind of evidence; runs of before read ``"chest"``."""

GATE = 0.5
"""Probability from which a finding with evidence of several kinds is present."""


def joined(
    found: Mapping[str, Values], rules: Mapping[str, Any], findings: Sequence[str]
) -> NDArray[np.float32]:
    """Return (K,) probabilities from evidence (K,) by kind.

    Parameters
    ----------
    found
        As `evidence` returns it.
    rules
        Of some findings: ``"weights"`` by kind of evidence, ``"centre"`` and
        ``"scale"`` of each, and ``"cut"``, the sum from which it is present. Of others
        the classifier's probability stays.
    findings
        K names, in the order of the result.
    """
    present = special.expit(found["classifier"])
    for k, name in enumerate(findings):
        if name in rules:
            values = {kind: float(each[k]) for kind, each in found.items()}
            present[k] = special.expit(_sum(values, rules[name]) - rules[name]["cut"])
    return np.asarray(present, np.float32)


def _sum(values: Mapping[str, float], rule: Mapping[str, Any]) -> float:
    """Return the weighted sum of even evidence; what is unknown adds nothing."""
    total = 0.0
    for kind, weight in rule["weights"].items():
        value = (values[kind] - rule["centre"][kind]) / rule["scale"][kind]
        total += 0.0 if np.isnan(value) else weight * value
    return total


def evidence(
    project: Project,
    case: Case,
    findings: Sequence[str],
    *,
    classifier: NDArray[np.floating],
    score: NDArray[np.floating],
    run: str,
    structures: Mapping[str, Sequence[str]],
    joined: bool = False,
) -> dict[str, Values]:
    """Return (K,) of each kind of evidence that a finding is on a film.

    Parameters
    ----------
    project, case, findings
        Open; the film; and K names in order.
    classifier : (K,)
        Its probabilities.
    score : (K, S, S)
        A segmenter's map.
    run
        Of the stage anatomy, which has seen the film.
    structures
        Finding to the structures that it is an enlargement of, see `places`.
    joined
        Whether the map of an organ is anatomy's as well, see `organs`; else the width
        of either is measured.
    """
    ordered = np.sort(score.reshape(len(score), -1), axis=1)
    top = ordered[:, -max(1, round(_TOP * ordered.shape[1])) :].mean(1)
    measures = {kind: np.full(len(findings), np.nan) for kind in MEASURES}
    wanted = set(anatomy.LUNGS).union(*structures.values())
    masks = (
        anatomy.masks(project, case, run, side=SIDE, names=wanted) if structures else {}
    )
    for k, name in enumerate(findings):
        if name in structures and masks:
            drawn = geometry.unletterbox(
                score[k].astype(np.float32), masks["left_lung"].shape
            )
            organs = [keep_largest(drawn >= _DRAWN)]
            if not joined:
                organs.append(
                    np.logical_or.reduce([masks[part] for part in structures[name]])
                )
            for kind, measure in MEASURES.items():
                known = [measure(organ, masks) for organ in organs]
                measures[kind][k] = _mean(known)
    return {"classifier": _odds(classifier), "mask": _odds(top), **measures}


def _mean(ratios: Sequence[float | None]) -> float:
    known = [ratio for ratio in ratios if ratio is not None]
    return float(np.mean(known)) if known else np.nan


def _odds(probability: NDArray[np.floating]) -> Values:
    sure = np.clip(np.asarray(probability, np.float64), _SURE, 1 - _SURE)
    return np.asarray(special.logit(sure))

"""What the stages in use say of a film, and how unsure they are of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_wsseg import pipeline
from napari_wsseg.io import stages
from napari_wsseg.io.project import Project
from napari_wsseg.ops import geometry, seeds
from napari_wsseg.ops.tally import Overlap
from napari_wsseg.schema import STAGES, Case, Mask, StageMaps, StageSettings

SIDE = 128
"""Longest side, in cells, of the grid on which maps are compared."""

BAND = 3
"""Cells on either side of an outline in which its draft is asked how sure it is."""


@dataclass(frozen=True, eq=False)
class Views:
    """What the stages in use say of one film, on a grid of `SIDE` cells.

    Parameters
    ----------
    masks
        Stage to (K, h, w) bool, its drafts with gates opened and shut by known labels.
    scores
        Stage to (K, h, w) float32 in [0, 1], so bent that its threshold is at 0.5.
    asked
        Places of findings that the film is labelled with, or that a stage marks.
    """

    masks: Mapping[str, NDArray[np.bool_]]
    scores: Mapping[str, NDArray[np.float32]]
    asked: tuple[int, ...]

    @property
    def last(self) -> str:
        """The last stage that has seen the film."""
        return [*self.masks][-1]


def outline_doubt(views: Views) -> float:
    """Return how unsure the last stage is near its outlines: 0 sure, 1 not at all.

    The mean binary entropy within `BAND` cells of the draft's outline, of the finding
    where it is highest. A film that is labelled with a finding of which there is no
    draft is as unsure as can be.
    """
    scores, masks = views.scores[views.last], views.masks[views.last]
    doubts = [_near_outline(scores[k], masks[k]) for k in views.asked]
    return max(doubts, default=0.0)


def stage_disagreement(views: Views) -> float:
    """Return 1 − the mean Dice of every two stages, of the finding with the most."""
    pairs = list(combinations(views.masks.values(), 2))
    found = [
        1 - float(np.mean([Overlap.between(a[k], b[k]).dice for a, b in pairs]))
        for k in views.asked
        if pairs
    ]
    return max(found, default=0.0)


def entropies(views: Views) -> dict[int, float]:
    """Return the mean binary entropy of the last stage's score, by finding asked."""
    scores = views.scores[views.last]
    return {k: float(_entropy(scores[k]).mean()) for k in views.asked}


def features(maps: StageMaps) -> NDArray[np.float64]:
    """Return what the classifier makes of a film: K logits and its maps as 4 × 4.

    Returns
    -------
    (17 K,) float64
    """
    chance = np.clip(maps.present.astype(float), 1e-3, 1 - 1e-3)
    side = maps.score.shape[-1]
    edges = np.linspace(0, side, 5).astype(int)
    pooled = [
        maps.score[:, top:bottom, left:right].mean((1, 2))
        for top, bottom in pairwise(edges)
        for left, right in pairwise(edges)
    ]
    return np.concatenate([np.log(chance / (1 - chance)), *pooled])


def views_on(
    case: Case,
    maps: Mapping[str, StageMaps],
    settings: Mapping[str, StageSettings],
    findings: Sequence[str],
) -> Views | None:
    """Return what stages say of a film; ``None`` without any that knows `findings`.

    Parameters
    ----------
    case
        The film.
    maps, settings
        By stage, in the order of `STAGES`.
    findings
        The project's K; a stage that was trained on others is left out.
    """
    shape = small_shape(case.shape)
    labels = [case.labels.get(name) for name in findings]
    masks, scores = {}, {}
    for stage, own in maps.items():
        rules = settings[stage]
        if tuple(rules.findings) != tuple(findings):
            continue
        masks[stage] = pipeline.label_conditioned_masks(own, rules, shape, labels)
        scores[stage] = np.stack(
            [
                _bent(geometry.unletterbox(score, case.shape, grid=shape), rules, k)
                for k, score in enumerate(own.score)
            ]
        )
    if not masks:
        return None
    marked = np.any([m.any((1, 2)) for m in masks.values()], axis=0)
    asked = [k for k, label in enumerate(labels) if label == 1 or marked[k]]
    return Views(masks, scores, tuple(asked))


def small_shape(shape: tuple[int, int], side: int = SIDE) -> tuple[int, int]:
    """Return rows and columns of a film whose longer side is at most `side`."""
    factor = min(1.0, side / max(shape))
    return max(1, round(shape[0] * factor)), max(1, round(shape[1] * factor))


def views(project: Project, case_ids: Sequence[str]) -> Iterator[tuple[Case, Views]]:
    """Yield what the runs in use say of films; those that none has seen are left out.

    Parameters
    ----------
    project
        Open. Maps are read one film at a time.
    case_ids
        Whose.

    Raises
    ------
    DataError
        A file of maps is damaged.
    """
    folder, in_use = project.folder, project.runs_in_use()
    runs = {stage: in_use[stage] for stage in STAGES if stage in in_use}
    read = {s: stages.read_settings(folder, s, run) for s, run in runs.items()}
    settings = {stage: one for stage, one in read.items() if one is not None}
    findings = [finding.name for finding in project.findings]
    for one in case_ids if settings else ():
        found = {s: stages.read(folder, s, runs[s], one) for s in settings}
        maps = {stage: each for stage, each in found.items() if each is not None}
        case = project.case(one)
        seen = views_on(case, maps, settings, findings) if maps else None
        if seen is not None:
            yield case, seen


def _bent(
    score: NDArray[np.float32], rules: StageSettings, k: int
) -> NDArray[np.float32]:
    """Return a score so bent that what is cut at the threshold is cut at 0.5."""
    at = seeds.otsu(score) if rules.rule == "otsu" else rules.thresholds[k]
    at = min(max(at, 1e-3), 1 - 1e-3)
    return np.interp(score, [0, at, 1], [0, 0.5, 1]).astype(np.float32)


def _near_outline(score: NDArray[np.float32], mask: Mask) -> float:
    if not mask.any():
        return 1.0
    away = ndimage.distance_transform_edt(mask) + ndimage.distance_transform_edt(~mask)
    return float(_entropy(score)[away <= BAND].mean())


def _entropy(score: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the binary entropy, in bits, of each probability."""
    p = np.clip(score.astype(float), 1e-6, 1 - 1e-6)
    return np.asarray(-p * np.log2(p) - (1 - p) * np.log2(1 - p))

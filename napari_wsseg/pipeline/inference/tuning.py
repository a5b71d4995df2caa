"""Thresholds and gates that validation films' masks are met best with."""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import TypeAlias

import numpy as np

from napari_wsseg.io import anatomy, stages
from napari_wsseg.io.project import Project
from napari_wsseg.ops import geometry, metrics
from napari_wsseg.pipeline import cut, label_conditioned_masks
from napari_wsseg.pipeline.inference.places import structures_of
from napari_wsseg.schema import Case, Mask, StageMaps, StageSettings

logger = logging.getLogger(__name__)

#: Thresholds tried on validation masks.
GRID = tuple(round(0.1 + 0.05 * step, 2) for step in range(17))


_EMPTY = 0.95
"""Share of the films without a finding that stay empty, see `thresholds_of_exact`."""

_LEAST = 4

SHUT = 1.0
"""Gate of a finding that no film is drawn with: presence is below it."""

#: Thresholds tried by the pooled IoU of training masks, as CheXseg's code has them.
POOLED_GRID = tuple(round(0.05 * step, 2) for step in range(20))


#: Per finding and threshold tried, the IoU of every film.
_Tried: TypeAlias = dict[str, dict[float, list[float]]]


def thresholds(
    project: Project, stage: str, run: str, settings: StageSettings
) -> StageSettings:
    """Return settings with, per finding, the threshold of the best mean IoU on val.

    Of films that have the finding, gates open. A finding that no validation film has
    an expert mask of keeps its threshold, which is logged.

    Parameters
    ----------
    project
        Open.
    stage, run
        Whose maps are cut; films that they have not seen are passed over.
    settings
        Findings, rule and thresholds so far; the thresholds of `GRID` are tried.
    """
    tried: _Tried = {}
    for case_id in project.annotated("val"):
        maps = stages.read(project.folder, stage, run, case_id)
        if maps is not None:
            truths = project.expert_masks(case_id)
            _try(tried, settings, maps, project.case(case_id), truths)
    for finding in settings.findings:
        if finding not in tried:
            logger.warning(
                "%s: no validation film has an expert mask of it, so its threshold "
                "is not tuned",
                finding,
            )
    return _chosen(tried, settings)


def thresholds_pooled(
    project: Project, stage: str, run: str, settings: StageSettings
) -> StageSettings:
    """Return settings with, per finding, the threshold of the best IoU on train.

    CheXseg's (appendix A.1): intersections and unions are summed over all training
    films whose expert mask of the finding is known, empty ones too, gates open. A
    finding that none shows keeps its threshold, which is logged.

    Parameters
    ----------
    project
        Open.
    stage, run
        Whose maps are cut; films that they have not seen are passed over.
    settings
        Findings, rule and thresholds so far; the thresholds of `POOLED_GRID` are tried.
    """
    counted: dict[str, list[list[int]]] = {}
    for case_id in project.annotated("train"):
        maps = stages.read(project.folder, stage, run, case_id)
        if maps is None:
            continue
        shape, truths = project.case(case_id).shape, project.expert_masks(case_id)
        for finding, score in zip(settings.findings, maps.score, strict=True):
            truth = truths.get(finding)
            if truth is None:
                continue
            film = geometry.unletterbox(score, shape)
            sums = counted.setdefault(finding, [[0, 0] for _ in POOLED_GRID])
            for one, threshold in zip(sums, POOLED_GRID, strict=True):
                mask = cut(film, settings, threshold)
                one[0] += int((mask & truth).sum())
                one[1] += int((mask | truth).sum())
    chosen = (
        _best_pooled(counted.get(finding), finding, default)
        for finding, default in zip(settings.findings, settings.thresholds, strict=True)
    )
    return replace(settings, thresholds=tuple(chosen))


def _best_pooled(
    counted: Sequence[Sequence[int]] | None, finding: str, default: float
) -> float:
    """Return the first threshold of the best ratio of (intersection, union)."""
    ratios = [both / max(1, either) for both, either in counted or ()]
    if not any(ratios):
        logger.warning(
            "%s: no training film has an expert mask that shows it, so its threshold "
            "is not tuned",
            finding,
        )
        return default
    return POOLED_GRID[ratios.index(max(ratios))]


def thresholds_of_weak(
    project: Project,
    stage: str,
    run: str,
    settings: StageSettings,
    weak: Mapping[str, str],
) -> StageSettings:
    """Return settings with thresholds that give the weak masks back as they were.

    A segmenter that learns noisy masks by Dice and weighted cross-entropy draws them
    too large at one half. Cut where it meets the weak masks of the validation films
    best, it draws them as large as they are; no expert mask is looked at.

    Parameters
    ----------
    project, stage, run
        Open; the stage; and the run that computed it.
    settings
        With the thresholds that are replaced.
    weak
        ``stage`` and ``run`` that the weak masks are of.
    """
    below = (project.folder, weak["stage"], weak["run"])
    how = stages.read_settings(*below)
    if how is None:
        return settings
    tried: _Tried = {}
    for case in project.cases("val"):
        maps = stages.read(project.folder, stage, run, case.id)
        theirs = stages.read(*below, case.id)
        labels = [case.labels.get(finding) for finding in settings.findings]
        if maps is None or theirs is None or 1 not in labels:
            continue
        # Where the label is not known there is nothing to meet.
        labels = [label if label == 1 else 0 for label in labels]
        found = label_conditioned_masks(theirs, how, case.shape, labels)
        truths = dict(zip(settings.findings, found, strict=True))
        _try(tried, settings, maps, case, truths)
    return _chosen(tried, settings)


def thresholds_of_organs(
    project: Project, stage: str, run: str, settings: StageSettings
) -> StageSettings:
    """Return settings with organs cut where they meet the anatomy stage's best on val.

    One cut for all suits lesions or hearts. Findings that are an organ grown too large
    are held against that organ on films that are labelled with them, as the anatomy
    stage in use draws it; no expert mask is looked at. Others keep their threshold, as
    do organs where the anatomy stage has seen no such film.

    Parameters
    ----------
    project
        Open.
    stage, run
        Whose maps are cut; films that they have not seen are passed over.
    settings
        Findings, rule and thresholds so far; the thresholds of `GRID` are tried.
    """
    organs = structures_of(project)
    tried: _Tried = {}
    for case in project.cases("val"):
        shown = {name: organs[name] for name in organs if case.labels.get(name) == 1}
        maps = stages.read(project.folder, stage, run, case.id) if shown else None
        if maps is None:
            continue
        drawn = anatomy.masks(project, case, names=set().union(*shown.values()))
        if drawn:
            truths = {
                name: np.logical_or.reduce([drawn[part] for part in parts])
                for name, parts in shown.items()
            }
            _try(tried, settings, maps, case, truths)
    return _chosen(tried, settings)


def thresholds_of_exact(
    project: Project,
    stage: str,
    run: str,
    settings: StageSettings,
    findings: Collection[str],
) -> StageSettings:
    """Return settings with the lowest cut that leaves films without a finding empty.

    Who has learnt a lesion from planted ones is less sure of those that readers mark.
    How low it may be cut is told by the validation films that are labelled without the
    finding, of which every pixel is known: `_EMPTY` of them stay empty, gates as they
    are. No expert mask is looked at. With fewer than `_LEAST` such films a finding
    keeps its threshold.

    Parameters
    ----------
    project
        Open.
    stage, run
        Whose maps are cut; films that they have not seen are passed over.
    settings
        Findings, rule, gates and thresholds so far; those of `GRID` are tried.
    findings
        Those that were learnt by exact masks.
    """
    empty: dict[str, list[list[bool]]] = {}
    for case in project.cases("val"):
        without = [name for name in findings if case.labels.get(name) == 0]
        maps = stages.read(project.folder, stage, run, case.id) if without else None
        if maps is None:
            continue
        for k, finding in enumerate(settings.findings):
            if finding in without:
                film = geometry.unletterbox(maps.score[k], case.shape)
                shut = bool(maps.present[k] < settings.gates[k])
                left = [shut or not cut(film, settings, each).any() for each in GRID]
                empty.setdefault(finding, []).append(left)
    chosen = (
        _lowest_empty(empty.get(finding, ()), default)
        for finding, default in zip(settings.findings, settings.thresholds, strict=True)
    )
    return replace(settings, thresholds=tuple(chosen))


def _lowest_empty(films: Sequence[Sequence[bool]], default: float) -> float:
    """Return the lowest of `GRID` at which films (N, G) are empty as they should be."""
    if len(films) < _LEAST:
        return default
    share = np.mean(films, axis=0)
    return GRID[int(np.argmax(share >= min(_EMPTY, float(share.max()))))]


def _try(
    tried: _Tried,
    settings: StageSettings,
    maps: StageMaps,
    case: Case,
    truths: Mapping[str, Mask],
) -> None:
    """Add a film's IoU at every threshold, for the findings that it shows."""
    for finding, score in zip(settings.findings, maps.score, strict=True):
        truth = truths.get(finding)
        if truth is None or not truth.any():
            continue
        film = geometry.unletterbox(score, case.shape)
        for threshold in GRID:
            mask = cut(film, settings, threshold)
            known = tried.setdefault(finding, {})
            known.setdefault(threshold, []).append(metrics.iou(mask, truth))


def _chosen(tried: _Tried, settings: StageSettings) -> StageSettings:
    found = (
        _best(tried.get(finding), default)
        for finding, default in zip(settings.findings, settings.thresholds, strict=True)
    )
    return replace(settings, thresholds=tuple(found))


def _best(tried: dict[float, list[float]] | None, default: float) -> float:
    if not tried:
        return default
    return max(tried, key=lambda threshold: float(np.mean(tried[threshold])))


def gates(
    project: Project, stage: str, run: str, settings: StageSettings
) -> StageSettings:
    """Return settings with, per finding, the gate of the best mean Dice on val.

    Thresholds stay. Films count that an expert has drawn the finding on, or whose
    label says that it is absent: there a mask that is left empty is worth 1, and any
    other 0 (the SIIM rule). Without films of both kinds a gate stays as it is.

    Parameters
    ----------
    project
        Open.
    stage, run
        Whose maps are cut; films that they have not seen are passed over.
    settings
        Findings, rule, thresholds, which stay, and gates so far.
    """
    rows: dict[str, list[tuple[float, float, float]]] = {}
    drawn = project.annotated("val")
    for case in project.cases("val"):
        maps = stages.read(project.folder, stage, run, case.id)
        if maps is None:
            continue
        truths = project.expert_masks(case.id) if case.id in drawn else {}
        for k, finding in enumerate(settings.findings):
            truth = truths.get(finding)
            if truth is None and case.labels.get(finding) != 0:
                continue
            film = geometry.unletterbox(maps.score[k], case.shape)
            mask = cut(film, settings, settings.thresholds[k])
            truth = np.zeros_like(mask) if truth is None else truth
            worth = (metrics.dice(mask, truth), float(not truth.any()))
            rows.setdefault(finding, []).append((float(maps.present[k]), *worth))
    found = (
        best_gate(rows.get(finding, ()), default)
        for finding, default in zip(settings.findings, settings.gates, strict=True)
    )
    return replace(settings, gates=tuple(found))


def best_gate(rows: Sequence[tuple[float, float, float]], default: float) -> float:
    """Return the gate that films (presence, Dice if open, Dice if shut) do best with.

    It lies half-way between two films; of equally good ones the highest is taken.
    `SHUT` where every film that it could open for costs more than it gains.

    Parameters
    ----------
    rows
        One a film.
    default
        The gate without films of both kinds.
    """
    if len({shut for _, _, shut in rows}) < 2:
        return default
    present, opened, shut = np.array(sorted(rows, reverse=True)).T
    # Worth of opening the first n films: what they gain by it, and the rest by not.
    gain = np.concatenate([[0.0], np.cumsum(opened - shut)])
    cuts = [n for n in range(1, len(rows)) if present[n - 1] > present[n]]
    if not cuts:
        return default
    best = max([0, *cuts], key=lambda n: (round(float(gain[n]), 9), -n))
    if best == 0:
        return SHUT
    return float((present[best - 1] + present[best]) / 2)

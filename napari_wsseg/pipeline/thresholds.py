"""Default thresholds and gates of a stage.

Gates come from image-level labels of the validation films. Thresholds of a stage
that only weak labels went into are fixed, or each film's own (Otsu): they never see a
pixel of truth. Those of a segmenter that learnt from expert masks, and of maps whose
settings say "tuned", are tuned on the validation films' masks and frozen for test
(CheXseg appendix A.1, which tunes on the training films).
"""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import Any

import numpy as np

from napari_wsseg.io import stages
from napari_wsseg.io.project import Project
from napari_wsseg.ops import geometry, metrics
from napari_wsseg.pipeline import cut
from napari_wsseg.schema import StageSettings

logger = logging.getLogger(__name__)

FIXED = {"cam": 0.3, "crf": 0.5, "irnet": 0.3, "segmentation": 0.5}

#: Thresholds tried on validation masks.
GRID = tuple(round(0.1 + 0.05 * step, 2) for step in range(17))


def defaults(
    project: Project, stage: str, run: str, header: dict[str, Any]
) -> StageSettings:
    """Return thresholds and gates for a stage whose maps are all there.

    `stage` may name a variant, as `io.stages` does.
    """
    findings = tuple(header["findings"])
    findings = tuple(header["findings"])
    own = stage.partition("~")[0]
    chosen = header.get("thresholds", {}).get(own, FIXED[own])
    settings = StageSettings(
        findings=findings,
        thresholds=(float(chosen),) * len(findings),
        gates=_gates(project, stage, run, findings),
    )
    how = header.get("cut", "fixed")
    if own == "cam":
        settings = replace(settings, **header.get("mask", {}))
        if how == "otsu":
            settings = replace(settings, rule="otsu")
    if header.get("tune_on_expert_masks") or (own == "cam" and how == "tuned"):
        return _tuned(project, stage, run, settings)
    return settings


def _gates(
    project: Project, stage: str, run: str, findings: tuple[str, ...]
) -> tuple[float, ...]:
    """Per finding, the probability that best parts present from absent on val.

    A variant that has not seen every film takes the probabilities of the run's own.
    """
    cases = project.cases("val")
    maps = [
        stages.read(project.folder, stage, run, case.id)
        or stages.read(project.folder, stage.partition("~")[0], run, case.id)
        for case in cases
    ]
    gates = []
    for k, finding in enumerate(findings):
        rows = [
            (float(found.present[k]), case.labels.get(finding))
            for case, found in zip(cases, maps, strict=True)
            if found is not None and case.labels.get(finding) in (0, 1)
        ]
        cut = None
        if rows:
            scores, labels = zip(*rows, strict=True)
            cut = metrics.best_threshold(scores, labels, criterion="youden")
        gates.append(0.5 if cut is None else cut)
    return tuple(gates)


def _tuned(
    project: Project, stage: str, run: str, settings: StageSettings
) -> StageSettings:
    """Per finding, the threshold with the best mean IoU on val's expert masks.

    Of films that have the finding, gates open.
    """
    ious: dict[str, dict[float, list[float]]] = {}
    for case_id in project.annotated("val"):
        maps = stages.read(project.folder, stage, run, case_id)
        if maps is None:
            continue
        truths = project.expert_masks(case_id)
        shape = project.case(case_id).shape
        for finding, score in zip(settings.findings, maps.score, strict=True):
            truth = truths.get(finding)
            if truth is None or not truth.any():
                continue
            film = geometry.unletterbox(score, shape)
            for threshold in GRID:
                mask = cut(film, settings, threshold)
                tried = ious.setdefault(finding, {})
                tried.setdefault(threshold, []).append(metrics.iou(mask, truth))
    for finding in settings.findings:
        if finding not in ious:
            logger.warning(
                "%s: no validation film has an expert mask of it, so its threshold "
                "is not tuned",
                finding,
            )
    thresholds = tuple(
        _best(ious.get(finding), default)
        for finding, default in zip(settings.findings, settings.thresholds, strict=True)
    )
    return replace(settings, thresholds=thresholds)


def _best(tried: dict[float, list[float]] | None, default: float) -> float:
    if not tried:
        return default
    return max(tried, key=lambda threshold: float(np.mean(tried[threshold])))

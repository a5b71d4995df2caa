"""Default thresholds and gates of a stage.

Gates come from image-level labels of the validation films; where the classifier tells
a finding hardly better than by chance there, drafts stay empty rather than anywhere,
but for those of a segmenter that has learnt by exact masks to draw nothing. Thresholds
of a stage that only weak labels went into are fixed, or each film's own (Otsu), or, of
a segmenter, where it meets the weak masks of the validation films best: they never see
a pixel of truth. Nor do those of findings learnt from planted lesions, which are as low
as leaves validation films without them empty. Those of a segmenter that learnt from
expert masks, and of maps whose settings say "tuned", are tuned on the validation films'
masks and frozen for test; so are such a segmenter's gates. "tuned on train" is
CheXseg's way (appendix A.1): the best pooled IoU on the training films. "area" and
"agreement" need no truth, see `truth_free`.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

from napari_wsseg.io import stages
from napari_wsseg.io.project import Project
from napari_wsseg.ops import metrics
from napari_wsseg.pipeline.inference import truth_free
from napari_wsseg.pipeline.inference import tuning as _tuning
from napari_wsseg.pipeline.inference.evidence import GATE
from napari_wsseg.schema import ANATOMY, StageSettings

logger = logging.getLogger(__name__)

_TELLS = 0.8
"""AUROC on the validation films below which a classifier is not trusted with a gate
that opens more for films without the finding than it is worth."""

_HALF = 0.5
"""What a draft of a film with the finding is taken to be worth there, against 1 for
one that is rightly empty."""

WEAK = ("cam", "crf", "irnet")

FIXED = {"cam": 0.3, "crf": 0.5, "irnet": 0.3, "segmentation": 0.5, "anatomy": 0.5}


def defaults(
    project: Project, stage: str, run: str, header: dict[str, Any]
) -> StageSettings:
    """Return thresholds and gates for a stage whose maps are all there.

    `stage` may name a variant, as `io.stages` does.

    Parameters
    ----------
    project
        Open.
    stage
        A stage, or a variant of one as `napari_wsseg.io.stages` names it.
    run
        Id of the run that computed it.
    header
        Of the run's weights, see `napari_wsseg.pipeline.inference.networks.load`.
    """
    if stage == ANATOMY:  # what everybody has: no gate
        structures = tuple(header["structures"])
        count = len(structures)
        return StageSettings(structures, (FIXED[stage],) * count, (0.0,) * count)
    findings = tuple(header["findings"])
    own = stage.partition("~")[0]
    chosen = header.get("thresholds", {}).get(own, FIXED[own])
    settings = StageSettings(
        findings=findings,
        thresholds=(float(chosen),) * len(findings),
        gates=_gates(
            project,
            stage,
            run,
            findings,
            header.get("operating_points", {}),
            header.get("exact", ()),
        ),
    )
    settings = _with_joined_gates(settings, header)
    how = header.get("cut", "fixed")
    settings = replace(
        settings,
        exclusive=bool(header.get("exclusive", False)),
        min_area=float(header.get("post", {}).get("min_area", 0.0)),
    )
    if own == "cam":
        settings = replace(settings, **header.get("mask", {}))
        if how == "otsu":
            settings = replace(settings, rule="otsu")
    if header.get("organ_cut") and own in WEAK:
        settings = _tuning.thresholds_of_organs(project, stage, run, settings)
    if own == "cam" and how == "tuned":
        return _tuning.thresholds(project, stage, run, settings)
    if own == "cam" and how == "area":
        areas = header.get("areas", {})
        return truth_free.by_area(project, stage, run, settings, areas)
    if own == "cam" and how == "agreement":
        return truth_free.by_agreement(project, stage, run, settings)
    if own == "cam" and how == "tuned on train":
        return _tuning.thresholds_pooled(project, stage, run, settings)
    if header.get("tune_on_expert_masks"):
        settings = _tuning.thresholds(project, stage, run, settings)
        settings = _tuning.gates(project, stage, run, settings)
        return _with_joined_gates(settings, header)
    if header.get("exact"):
        exact = header["exact"]
        settings = _tuning.thresholds_of_exact(project, stage, run, settings, exact)
    if header.get("weak"):
        return _tuning.thresholds_of_weak(project, stage, run, settings, header["weak"])
    return settings


def _with_joined_gates(
    settings: StageSettings, header: dict[str, Any]
) -> StageSettings:
    """Return settings whose joined evidence is cut where its rule was learnt to be."""
    rules = header.get("presence", {}).get("findings", {})
    gates = (
        GATE if finding in rules else gate
        for finding, gate in zip(settings.findings, settings.gates, strict=True)
    )
    return replace(settings, gates=tuple(gates))


def _presence(
    project: Project, stage: str, run: str, case_id: str
) -> tuple[float, ...] | None:
    """Return a film's probabilities without its maps, or ``None`` if it has none.

    The maps of all validation films at once would be as large as the data set.

    Raises
    ------
    DataError
        If the film's file is damaged.
    """
    found = stages.read_present(project.folder, stage, run, case_id)
    if found is None:
        maps = stages.read(project.folder, stage, run, case_id)
        return None if maps is None else tuple(map(float, maps.present))
    return tuple(map(float, found))


def _gates(
    project: Project,
    stage: str,
    run: str,
    findings: tuple[str, ...],
    points: Mapping[str, float],
    exact: Collection[str],
) -> tuple[float, ...]:
    """Per finding, the probability that best parts present from absent on val.

    Where val does not say, it is the operating point that a classifier of others came
    with, else one half. Findings that were learnt by exact masks, empty ones too, have
    an open gate where the probability says little.

    A variant that has not seen every film takes the probabilities of the run's own.
    """
    cases = project.cases("val")
    own = stage.partition("~")[0]
    seen = [
        _presence(project, stage, run, case.id) or _presence(project, own, run, case.id)
        for case in cases
    ]
    gates = []
    for k, finding in enumerate(findings):
        rows = [
            (found[k], label)
            for case, found in zip(cases, seen, strict=True)
            if found is not None and (label := case.labels.get(finding)) in (0, 1)
        ]
        cut = _gate(rows, exact=finding in exact)
        if cut == _tuning.SHUT:
            logger.warning(
                "%s: the classifier tells it too badly on the validation films to open "
                "its gate for any, so its drafts stay empty where no label is known",
                finding,
            )
        gates.append(points.get(finding, 0.5) if cut is None else cut)
    return tuple(gates)


def _gate(rows: Sequence[tuple[float, int]], *, exact: bool) -> float | None:
    """Return the gate from (probability, label) of films; ``None`` if they say none."""
    if not rows:
        return None
    scores, labels = zip(*rows, strict=True)
    tells = metrics.auroc(scores, labels)
    if tells is None or tells >= _TELLS:
        return metrics.best_threshold(scores, labels, criterion="youden")
    if exact:
        return 0.0
    worth = [(score, _HALF * label, 1.0 - label) for score, label in rows]
    return _tuning.best_gate(worth, _tuning.SHUT)

"""Default thresholds and gates of a stage.

Gates come from image-level labels of the validation films. Thresholds of a stage
that only weak labels went into are fixed, or each film's own (Otsu), or, of a
segmenter, where it meets the weak masks of the validation films best: they never see a
pixel of truth. Those of a segmenter that learnt from expert masks, and of maps whose
settings say "tuned", are tuned on the validation films' masks and frozen for test;
so are such a segmenter's gates. "tuned on train" is CheXseg's way (appendix A.1): the
best pooled IoU on the training films. "area" and "agreement" need no truth, see
`truth_free`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from napari_wsseg.io import stages
from napari_wsseg.io.project import Project
from napari_wsseg.ops import metrics
from napari_wsseg.pipeline.inference import truth_free
from napari_wsseg.pipeline.inference import tuning as _tuning
from napari_wsseg.pipeline.inference.evidence import GATE
from napari_wsseg.schema import ANATOMY, StageSettings

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
        gates=_gates(project, stage, run, findings, header.get("operating_points", {})),
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
) -> tuple[float, ...]:
    """Per finding, the probability that best parts present from absent on val.

    Where val does not say, it is the operating point that a classifier of others came
    with, else one half.

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
            (found[k], case.labels.get(finding))
            for case, found in zip(cases, seen, strict=True)
            if found is not None and case.labels.get(finding) in (0, 1)
        ]
        cut = None
        if rows:
            scores, labels = zip(*rows, strict=True)
            cut = metrics.best_threshold(scores, labels, criterion="youden")
        gates.append(points.get(finding, 0.5) if cut is None else cut)
    return tuple(gates)

"""How good every stage is, on films whose truth is known."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from typing import Any

import numpy as np

from napari_wsseg.io import stages
from napari_wsseg.io.project import Project
from napari_wsseg.jobs import DataError, Progress
from napari_wsseg.ops import metrics
from napari_wsseg.pipeline import stage_masks
from napari_wsseg.schema import STAGES, Case, Mask


def evaluate(
    project: Project, split: str = "test"
) -> Generator[Progress, None, dict[str, Any]]:
    """Yield progress; return the dictionary that ``wsseg evaluate --json`` prints.

    Every stage in use is scored on the films of `split` that have an expert mask,
    in *predicted* mode: no image-level label of those films is used. A film counts
    for the findings that an expert has drawn, or shown to be absent, on it.

    Raises
    ------
    DataError
        If no film of the split has an expert mask, or a stage in use has not seen
        all of them.
    """
    chosen = None if split == "all" else split
    cases = project.cases(chosen)
    if not cases:
        raise DataError(f"no film is in split {split!r}; see the labels' split column")
    truths = {
        case.id: project.expert_masks(case.id)
        for case in cases
        if case.id in project.annotated(chosen)
    }
    scored = [case for case in cases if truths.get(case.id)]
    results: dict[str, Any] = {}
    in_use = {stage: run for stage in STAGES if (run := project.adopted(stage))}
    for number, (stage, run) in enumerate(in_use.items()):
        yield Progress(number, len(in_use), f"scoring {stage}")
        if scored:
            predictions = _predictions(project, stage, run, scored)
            results[stage] = {
                **metrics.evaluate(predictions, [truths[case.id] for case in scored]),
                "run": run,
            }
    yield Progress(len(in_use), len(in_use), "scored")
    return {
        "split": split,
        "n_cases": len(cases),
        "n_positive": sum(any(v == 1 for v in case.labels.values()) for case in cases),
        "n_with_expert_masks": len(scored),
        "blank": {"all_iou": metrics.blank_all_iou([truths[c.id] for c in scored])},
        "stages": results,
        "classifier": _classifier(project, cases),
    }


def _predictions(
    project: Project, stage: str, run: str, cases: list[Case]
) -> list[Mapping[str, Mask]]:
    settings = stages.read_settings(project.folder, stage, run)
    if settings is None:
        raise DataError(
            f"stage {stage} of run {run} was never computed; infer it first"
        )
    predictions: list[Mapping[str, Mask]] = []
    for case in cases:
        maps = stages.read(project.folder, stage, run, case.id)
        if maps is None:
            raise DataError(
                f"stage {stage} of run {run} has not seen {case.path}; "
                f"run: wsseg infer {stage} -p {project.folder}"
            )
        masks = stage_masks(maps, settings, case.shape)
        predictions.append(dict(zip(settings.findings, masks, strict=True)))
    return predictions


def _classifier(project: Project, cases: list[Case]) -> dict[str, Any]:
    """AUROC and F1 of the classifier in use, against the image-level labels."""
    run = project.adopted("cam")
    settings = run and stages.read_settings(project.folder, "cam", run)
    if not run or not settings:
        return {"auroc": None, "f1": None, "per_finding": {}}
    maps = {c.id: stages.read(project.folder, "cam", run, c.id) for c in cases}
    per_finding: dict[str, Any] = {}
    for k, finding in enumerate(settings.findings):
        labels = {c.id: c.labels.get(finding) for c in cases}
        rows = [
            (float(found.present[k]), label)
            for id_, label in labels.items()
            if label in (0, 1) and (found := maps[id_]) is not None
        ]
        scores = np.array([row[0] for row in rows])
        truth = np.array([row[1] for row in rows], bool)
        called = scores >= settings.gates[k]
        per_finding[finding] = {
            "auroc": metrics.auroc(scores, truth) if len(rows) else None,
            "f1": metrics.f1(called, truth) if len(rows) else None,
            "n": len(rows),
            "n_positive": int(truth.sum()),
        }
    return {
        "auroc": _mean(row["auroc"] for row in per_finding.values()),
        "f1": _mean(row["f1"] for row in per_finding.values()),
        "per_finding": per_finding,
        "run": run,
    }


def _mean(values: Any) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None

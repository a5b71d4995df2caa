"""How good the classifier in use is, against image-level labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from napari_wsseg.io import stages
from napari_wsseg.io.project import Project
from napari_wsseg.ops import bootstrap, metrics, tally
from napari_wsseg.pipeline.evaluation.result import (
    CalledFinding,
    CalledIntervals,
    ClassifierScores,
    span,
)
from napari_wsseg.schema import Case


def scores(
    project: Project,
    cases: Sequence[Case],
    run: str | None,
    *,
    n_resamples: int,
    seed: int,
) -> ClassifierScores:
    """Return AUROC and F1 per finding and averaged, with intervals by film.

    Parameters
    ----------
    project, cases
        Open; and the films.
    run
        The run whose CAM is in use; without one every figure is ``None``.
    n_resamples, seed
        Resamples of the bootstrap and what they depend on; 0: no intervals.
    """
    settings = run and stages.read_settings(project.folder, "cam", run)
    if not run or not settings:
        return ClassifierScores(None, None, {})
    present = [
        stages.read_present(project.folder, "cam", run, case.id) for case in cases
    ]
    per_finding: dict[str, CalledFinding] = {}
    drawn: dict[str, list[NDArray[np.float64]]] = {"auroc": [], "f1": []}
    for k, finding in enumerate(settings.findings):
        rows = [
            (place, float(found[k]), case.labels.get(finding))
            for place, (case, found) in enumerate(zip(cases, present, strict=True))
            if found is not None and case.labels.get(finding) in (0, 1)
        ]
        films = np.array([row[0] for row in rows], np.int64)
        values = np.array([row[1] for row in rows], np.float64)
        labels = np.array([row[2] for row in rows], bool)
        called = values >= settings.gates[k]
        resampled = _resampled(
            len(cases), films, values, labels, called, n_resamples, seed
        )
        for name, each in resampled.items():
            drawn[name].append(each)
        per_finding[finding] = CalledFinding(
            auroc=metrics.auroc(values, labels) if len(rows) else None,
            f1=metrics.f1(called, labels) if len(rows) else None,
            n=len(rows),
            n_positive=int(labels.sum()),
            interval=_intervals(resampled),
        )
    return ClassifierScores(
        auroc=_mean([row.auroc for row in per_finding.values()]),
        f1=_mean([row.f1 for row in per_finding.values()]),
        per_finding=per_finding,
        run=run,
        interval=_intervals(
            {
                name: tally.average(np.stack(columns, axis=1))
                for name, columns in drawn.items()
            }
        ),
    )


def _intervals(resampled: Mapping[str, NDArray[np.float64]]) -> CalledIntervals:
    found = {name: span(bootstrap.interval(each)) for name, each in resampled.items()}
    return CalledIntervals(found["auroc"], found["f1"])


def _resampled(
    n_films: int,
    films: NDArray[np.int64],
    values: NDArray[np.float64],
    labels: NDArray[np.bool_],
    called: NDArray[np.bool_],
    n_resamples: int,
    seed: int,
) -> dict[str, NDArray[np.float64]]:
    """Return (draws,) AUROC and F1 of the same resamples for every finding."""
    found: dict[str, list[NDArray[np.float64]]] = {"auroc": [], "f1": []}
    for weights in bootstrap.resample_weights(
        n_films, n_resamples if films.size else 0, seed
    ):
        here = weights[:, films]
        found["auroc"].append(bootstrap.aurocs(values, labels, here))
        total = here @ (labels.astype(float) + called)
        hits = here @ (labels & called).astype(float)
        f1 = np.where(total > 0, 2 * hits / np.maximum(total, 1), np.nan)
        found["f1"].append(f1)
    nothing = np.full(n_resamples, np.nan)
    return {
        name: np.concatenate(parts) if parts else nothing
        for name, parts in found.items()
    }


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None

"""How good every stage is, on films whose truth is known."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from itertools import combinations
from typing import Any

from napari_wsseg.io.project import Project
from napari_wsseg.jobs import DataError, Progress
from napari_wsseg.ops import bootstrap
from napari_wsseg.ops.tally import METRICS, Tally
from napari_wsseg.pipeline.evaluation import anatomy as _anatomy
from napari_wsseg.pipeline.evaluation import by_size as _by_size
from napari_wsseg.pipeline.evaluation import classifier as _classifier
from napari_wsseg.pipeline.evaluation import counts as _counts
from napari_wsseg.pipeline.evaluation import cuts as _cuts
from napari_wsseg.pipeline.evaluation import reader_ceiling as _reader_ceiling
from napari_wsseg.pipeline.evaluation import teacher as _teacher
from napari_wsseg.pipeline.evaluation import warnings as _warnings
from napari_wsseg.pipeline.evaluation.conventions import CONVENTIONS
from napari_wsseg.pipeline.evaluation.counts import Tallies
from napari_wsseg.schema import Case


def evaluate(
    project: Project,
    split: str = "test",
    *,
    runs: Mapping[str, str] | None = None,
    n_resamples: int = bootstrap.N_RESAMPLES,
    seed: int = 0,
) -> Generator[Progress, None, dict[str, Any]]:
    """Yield progress; return the dictionary that ``wsseg evaluate --json`` prints.

    Every stage is scored on the films of `split` that have an expert mask, in
    *predicted* mode: no image-level label of those films is used. A film counts for
    the findings that an expert has drawn, or shown to be absent, on it.

    Parameters
    ----------
    split
        ``"train"``, ``"val"``, ``"test"`` or ``"all"``.
    runs
        Run by stage; those in use without.
    n_resamples, seed
        Resamples of the bootstrap and where they begin; 0 resamples: no intervals.

    Raises
    ------
    DataError
        If no film is in the split, or a stage has not seen all that are scored.
    """
    chosen = None if split == "all" else split
    cases = project.cases(chosen)
    if not cases:
        raise DataError(f"no film is in split {split!r}; see the labels' split column")
    annotated = project.annotated(chosen)
    scored = [case for case in cases if annotated.get(case.id)]
    in_use = project.runs_in_use() if runs is None else dict(runs)
    counted = yield from _counts.count(project, in_use if scored else {}, scored)
    result: dict[str, Any] = {
        "split": split,
        "n_cases": len(cases),
        "n_positive": sum(any(v == 1 for v in case.labels.values()) for case in cases),
        "n_with_expert_masks": len(scored),
        "blank": _blank(counted.truth),
        "stages": {},
        "classifier": _classifier.scores(
            project, cases, in_use.get("cam"), n_resamples=n_resamples, seed=seed
        ),
        "bootstrap": {
            **{"draws": n_resamples, "seed": seed, "level": bootstrap.LEVEL},
            "unit": "film",
        },
        "conventions": CONVENTIONS,
    }
    yield Progress(0, 1, "drawing films again for intervals")
    _score(project, counted, in_use, result, n_resamples, seed)
    result["teacher"] = None
    if scored and (student := in_use.get("segmentation")):
        result["teacher"] = yield from _teacher.compare(
            project,
            student,
            counted.gated["segmentation"],
            scored,
            n_resamples=n_resamples,
            seed=seed,
        )
    result["experts"] = _reader_ceiling.ceiling(
        _reader_ceiling.between_readers(project, scored),
        counted.gated,
        n_resamples=n_resamples,
        seed=seed,
    )
    result["anatomy"] = yield from _anatomy.scores(project, cases)
    result["warnings"] = _warnings.evaluation_warnings(result)
    yield Progress(1, 1, "drawing films again for intervals")
    return result


def scored_cases(project: Project, split: str) -> list[Case]:
    """Return the films of a split that have an expert mask of anything."""
    chosen = None if split == "all" else split
    annotated = project.annotated(chosen)
    return [case for case in project.cases(chosen) if annotated.get(case.id)]


def _blank(truth: Tally) -> dict[str, Any]:
    """Return what blank masks score, ``all_iou`` above all."""
    metrics = truth.metrics()
    per_finding = {
        name: {metric: row[metric] for metric in METRICS}
        for name, row in metrics["per_finding"].items()
    }
    return {**{f: metrics[f] for f in METRICS}, "per_finding": per_finding}


def _score(
    project: Project,
    counted: Tallies,
    in_use: Mapping[str, str],
    result: dict[str, Any],
    n_resamples: int,
    seed: int,
) -> None:
    """Fill in ``stages`` and ``differences``."""
    thirds = _by_size.thirds(counted.truth)
    tallies = {
        (stage, size): tally if size is None else tally.only(thirds[size])
        for stage, tally in counted.gated.items()
        for size in (None, *thirds)
    }
    names = {key: "|".join(str(part) for part in key) for key in tallies}
    drawn = bootstrap.resample(
        {names[key]: tally for key, tally in tallies.items()},
        n_resamples=n_resamples,
        seed=seed,
    )
    for stage, tally in counted.gated.items():
        others = {
            "open_gates": counted.open_gates[stage].metrics(),
            "label_conditioned": counted.conditioned[stage].metrics(),
        }
        result["stages"][stage] = {
            **tally.metrics(),
            "run": in_use[stage],
            "interval": drawn[names[stage, None]].intervals(),
            **{
                mode: {metric: found[metric] for metric in METRICS}
                for mode, found in others.items()
            },
            "by_size": _by_size.metrics_by_size(
                counted.truth,
                thirds,
                {size: tallies[stage, size].metrics() for size in thirds},
                {size: drawn[names[stage, size]].intervals() for size in thirds},
            ),
            "cut": _cuts.cut_settings(project, stage, in_use[stage]),
        }
    result["differences"] = [
        {
            "stage": stage,
            "against": other,
            **{
                metric: _difference(result, drawn, names, stage, other, metric)
                for metric in METRICS
            },
        }
        for other, stage in combinations(counted.gated, 2)
    ]


def _difference(
    result: Mapping[str, Any],
    drawn: Mapping[str, bootstrap.Resamples],
    names: Mapping[tuple[str, str | None], str],
    stage: str,
    other: str,
    metric: str,
) -> dict[str, Any]:
    ours, theirs = (result["stages"][name][metric] for name in (stage, other))
    both = [result["stages"][name]["interval"][metric] for name in (stage, other)]
    span = None
    if all(both):
        span = bootstrap.difference(
            drawn[names[stage, None]], drawn[names[other, None]], metric
        )
    value = None if ours is None or theirs is None else ours - theirs
    return {"difference": value, "interval": span}

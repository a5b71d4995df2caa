"""How good every stage is, on films whose truth is known."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from itertools import combinations
from typing import Any

from napari_wsseg.io.project import Project
from napari_wsseg.jobs import DataError, Progress
from napari_wsseg.ops import bootstrap
from napari_wsseg.ops.tally import FIGURES, Tally
from napari_wsseg.pipeline.evaluation import anatomy as _anatomy
from napari_wsseg.pipeline.evaluation import by_size as _by_size
from napari_wsseg.pipeline.evaluation import classifier as _classified
from napari_wsseg.pipeline.evaluation import counts as _tallies
from napari_wsseg.pipeline.evaluation import cuts as _cuts
from napari_wsseg.pipeline.evaluation import reader_ceiling as _agreement
from napari_wsseg.pipeline.evaluation import teacher as _against_teacher
from napari_wsseg.pipeline.evaluation import warnings as _warnings
from napari_wsseg.pipeline.evaluation.conventions import CONVENTIONS
from napari_wsseg.pipeline.evaluation.counts import Tallies
from napari_wsseg.schema import Case


def evaluate(
    project: Project,
    split: str = "test",
    *,
    runs: Mapping[str, str] | None = None,
    draws: int = bootstrap.DRAWS,
    seed: int = 0,
) -> Generator[Progress, None, dict[str, Any]]:
    """Yield progress; return the dictionary that ``wsseg evaluate --json`` prints.

    Every stage is scored on the films of `split` that have an expert mask, in
    *predicted* mode: no image-level label of those films is used. A film counts for
    the findings that an expert has drawn, or shown to be absent, on it.

    Parameters
    ----------
    runs
        Run by stage; those in use without.
    draws, seed
        Resamples of the bootstrap and where they begin; 0 draws: no intervals.

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
    counted = yield from _tallies.count(project, in_use if scored else {}, scored)
    result: dict[str, Any] = {
        "split": split,
        "n_cases": len(cases),
        "n_positive": sum(any(v == 1 for v in case.labels.values()) for case in cases),
        "n_with_expert_masks": len(scored),
        "blank": _blank(counted.truth),
        "stages": {},
        "classifier": _classified.scores(
            project, cases, in_use.get("cam"), draws=draws, seed=seed
        ),
        "bootstrap": {
            **{"draws": draws, "seed": seed, "level": bootstrap.LEVEL},
            "unit": "film",
        },
        "conventions": CONVENTIONS,
    }
    yield Progress(0, 1, "drawing films again for intervals")
    _score(project, counted, in_use, result, draws, seed)
    result["teacher"] = None
    if scored and (student := in_use.get("segmentation")):
        result["teacher"] = yield from _against_teacher.compare(
            project,
            student,
            counted.gated["segmentation"],
            scored,
            draws=draws,
            seed=seed,
        )
    result["experts"] = _agreement.ceiling(
        _agreement.between_readers(project, scored),
        counted.gated,
        draws=draws,
        seed=seed,
    )
    result["anatomy"] = yield from _anatomy.scores(project, cases)
    result["warnings"] = _warnings.of(result)
    yield Progress(1, 1, "drawing films again for intervals")
    return result


def scored_cases(project: Project, split: str) -> list[Case]:
    """Return the films of a split that have an expert mask of anything."""
    chosen = None if split == "all" else split
    annotated = project.annotated(chosen)
    return [case for case in project.cases(chosen) if annotated.get(case.id)]


def _blank(truth: Tally) -> dict[str, Any]:
    """Return what blank masks score, ``all_iou`` above all."""
    figures = truth.figures()
    per_finding = {
        name: {figure: row[figure] for figure in FIGURES}
        for name, row in figures["per_finding"].items()
    }
    return {**{f: figures[f] for f in FIGURES}, "per_finding": per_finding}


def _score(
    project: Project,
    counted: Tallies,
    in_use: Mapping[str, str],
    result: dict[str, Any],
    draws: int,
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
    drawn = bootstrap.draw(
        {names[key]: tally for key, tally in tallies.items()}, draws=draws, seed=seed
    )
    for stage, tally in counted.gated.items():
        others = {
            "open_gates": counted.open_gates[stage].figures(),
            "label_conditioned": counted.conditioned[stage].figures(),
        }
        result["stages"][stage] = {
            **tally.figures(),
            "run": in_use[stage],
            "interval": drawn[names[stage, None]].intervals(),
            **{
                mode: {figure: found[figure] for figure in FIGURES}
                for mode, found in others.items()
            },
            "by_size": _by_size.told(
                counted.truth,
                thirds,
                {size: tallies[stage, size].figures() for size in thirds},
                {size: drawn[names[stage, size]].intervals() for size in thirds},
            ),
            "cut": _cuts.told(project, stage, in_use[stage]),
        }
    result["differences"] = [
        {
            "stage": stage,
            "against": other,
            **{
                figure: _difference(result, drawn, names, stage, other, figure)
                for figure in FIGURES
            },
        }
        for other, stage in combinations(counted.gated, 2)
    ]


def _difference(
    result: Mapping[str, Any],
    drawn: Mapping[str, bootstrap.Draws],
    names: Mapping[tuple[str, str | None], str],
    stage: str,
    other: str,
    figure: str,
) -> dict[str, Any]:
    ours, theirs = (result["stages"][name][figure] for name in (stage, other))
    both = [result["stages"][name]["interval"][figure] for name in (stage, other)]
    span = None
    if all(both):
        span = bootstrap.difference(
            drawn[names[stage, None]], drawn[names[other, None]], figure
        )
    value = None if ours is None or theirs is None else ours - theirs
    return {"difference": value, "interval": span}

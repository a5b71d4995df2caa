"""How good every stage is, on films whose truth is known."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from itertools import combinations

from napari_wsseg.io.project import Project
from napari_wsseg.jobs import DataError, Progress
from napari_wsseg.ops import bootstrap
from napari_wsseg.ops.tally import Tally
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
from napari_wsseg.pipeline.evaluation.result import (
    BlankScores,
    Bootstrap,
    ByMetric,
    Difference,
    Evaluation,
    Intervals,
    Scores,
    StageDifference,
    StageScores,
    less,
    metrics_in,
)
from napari_wsseg.pipeline.film_workers import HERE, Workers
from napari_wsseg.schema import Case


def evaluate(
    project: Project,
    split: str = "test",
    *,
    runs: Mapping[str, str] | None = None,
    n_resamples: int = bootstrap.N_RESAMPLES,
    seed: int = 0,
    workers: Workers = HERE,
) -> Generator[Progress, None, Evaluation]:
    """Yield progress; return what was found.

    Every stage is scored on the films of `split` that have an expert mask, in
    *predicted* mode: no image-level label of those films is used. A film counts for
    the findings that an expert has drawn, or shown to be absent, on it.

    Parameters
    ----------
    project
        Open.
    split
        ``"train"``, ``"val"``, ``"test"`` or ``"all"``.
    runs
        Run by stage; those in use without.
    n_resamples, seed
        Resamples of the bootstrap and where they begin; 0 resamples: no intervals.
    workers
        Who looks at the films; what is found is the same.

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
    counted = yield from _counts.count(
        project, in_use if scored else {}, scored, workers
    )
    classifier = _classifier.scores(
        project, cases, in_use.get("cam"), n_resamples=n_resamples, seed=seed
    )
    yield Progress(0, 1, "drawing films again for intervals")
    stages, differences = _score(project, counted, in_use, n_resamples, seed)
    blank, teacher = _blank(counted.truth), None
    if scored and (student := in_use.get("segmentation")):
        teacher = yield from _teacher.compare(
            project,
            student,
            counted.gated["segmentation"],
            scored,
            n_resamples=n_resamples,
            seed=seed,
            workers=workers,
        )
    experts = _reader_ceiling.ceiling(
        _reader_ceiling.between_readers(project, scored),
        counted.gated,
        n_resamples=n_resamples,
        seed=seed,
    )
    anatomy = yield from _anatomy.scores(project, cases, workers)
    yield Progress(1, 1, "drawing films again for intervals")
    return Evaluation(
        split=split,
        n_cases=len(cases),
        n_positive=sum(any(v == 1 for v in case.labels.values()) for case in cases),
        n_with_expert_masks=len(scored),
        blank=blank,
        stages=stages,
        classifier=classifier,
        bootstrap=Bootstrap(n_resamples, seed, bootstrap.LEVEL),
        conventions=CONVENTIONS,
        differences=differences,
        teacher=teacher,
        experts=experts,
        anatomy=anatomy,
        warnings=_warnings.evaluation_warnings(stages, differences, blank),
    )


def scored_cases(project: Project, split: str) -> list[Case]:
    """Return the films of a split that have an expert mask of anything."""
    chosen = None if split == "all" else split
    annotated = project.annotated(chosen)
    return [case for case in project.cases(chosen) if annotated.get(case.id)]


def _blank(truth: Tally) -> BlankScores:
    """Return what blank masks score, ``all_iou`` above all."""
    found = Scores.from_metrics(truth.metrics())
    per_finding = {name: row.metrics for name, row in found.per_finding.items()}
    return BlankScores(found.mean, per_finding)


def _score(
    project: Project,
    counted: Tallies,
    in_use: Mapping[str, str],
    n_resamples: int,
    seed: int,
) -> tuple[dict[str, StageScores], tuple[StageDifference, ...]]:
    """Return the scores of every stage, and each less those before it."""
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
    scores = {key: Scores.from_metrics(t.metrics()) for key, t in tallies.items()}
    intervals = {
        key: Intervals.from_resamples(drawn[name].intervals())
        for key, name in names.items()
    }
    stages = {
        stage: StageScores(
            scores=scores[stage, None],
            run=in_use[stage],
            interval=intervals[stage, None],
            open_gates=metrics_in(counted.open_gates[stage].metrics()),
            label_conditioned=metrics_in(counted.conditioned[stage].metrics()),
            by_size=_by_size.metrics_by_size(
                counted.truth,
                thirds,
                {size: scores[stage, size] for size in thirds},
                {size: intervals[stage, size] for size in thirds},
            ),
            cut=_cuts.cut_settings(project, stage, in_use[stage]),
            miou_with_background=_with_background(counted, stage),
        )
        for stage in counted.gated
    }
    differences = tuple(
        StageDifference(
            stage,
            other,
            _differences(
                *(stages[stage], stages[other]),
                *(drawn[names[stage, None]], drawn[names[other, None]]),
            ),
        )
        for other, stage in combinations(counted.gated, 2)
    )
    return stages, differences


def _with_background(counted: Tallies, stage: str) -> float | None:
    """Return VOC's mean IoU: of every finding and of the background, films pooled.

    ``None`` where findings may overlap, and a pixel has no one class.
    """
    if stage not in counted.background:
        return None
    scores = [
        finding["pooled_miou"]
        for tally in (counted.gated[stage], counted.background[stage])
        for finding in tally.metrics()["per_finding"].values()
    ]
    known = [score for score in scores if score is not None]
    return sum(known) / len(known) if known else None


def _differences(
    ours: StageScores,
    theirs: StageScores,
    our_resamples: bootstrap.Resamples,
    their_resamples: bootstrap.Resamples,
) -> ByMetric[Difference]:
    def difference(metric: str) -> Difference:
        known = ours.interval.mean[metric] and theirs.interval.mean[metric]
        return less(
            ours.scores.mean[metric],
            theirs.scores.mean[metric],
            bootstrap.difference(our_resamples, their_resamples, metric)
            if known
            else None,
        )

    return ByMetric.from_each(difference)

"""A student against the teacher that it learnt from, on the same films."""

from __future__ import annotations

from collections.abc import Generator, Sequence

from napari_wsseg.io.project import Project
from napari_wsseg.jobs import DataError, Progress
from napari_wsseg.ops import bootstrap
from napari_wsseg.ops.tally import Tally
from napari_wsseg.pipeline.evaluation import counts as _counts
from napari_wsseg.pipeline.evaluation import cuts as _cuts
from napari_wsseg.pipeline.evaluation.result import (
    ByMetric,
    Intervals,
    LostTeacher,
    Scores,
    TeacherScores,
    less,
)
from napari_wsseg.pipeline.film_workers import HERE, Workers
from napari_wsseg.schema import Case

STAGE = "segmentation"


def compare(
    project: Project,
    student: str,
    counted: Tally,
    cases: Sequence[Case],
    *,
    n_resamples: int,
    seed: int,
    workers: Workers = HERE,
) -> Generator[Progress, None, TeacherScores | LostTeacher | None]:
    """Yield progress; return the teacher's figures and the student's less them.

    ``None`` where the run has no teacher.

    Parameters
    ----------
    project, student
        Open; and the run whose teacher is asked for.
    counted
        The student's masks on `cases`.
    cases
        Films, in the order of the rows of `counted`.
    n_resamples, seed
        Resamples of the bootstrap and what they depend on; 0: no intervals.
    workers
        Who counts the films.
    """
    teacher = _cuts.header(project, student).get("teacher")
    if not teacher:
        return None
    try:
        found = yield from _counts.count(project, {STAGE: teacher}, cases, workers)
    except DataError as error:
        return LostTeacher(teacher, str(error))
    both = {"student": counted, "teacher": found.gated[STAGE]}
    drawn = bootstrap.resample(both, n_resamples=n_resamples, seed=seed)
    ours, theirs = (
        Scores.from_metrics(both[who].metrics()) for who in ("student", "teacher")
    )
    return TeacherScores(
        run=teacher,
        student=student,
        scores=theirs,
        interval=Intervals.from_resamples(drawn["teacher"].intervals()),
        student_less_teacher=ByMetric.from_each(
            lambda metric: less(
                ours.mean[metric],
                theirs.mean[metric],
                bootstrap.difference(drawn["student"], drawn["teacher"], metric),
            )
        ),
    )

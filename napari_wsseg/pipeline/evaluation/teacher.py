"""A student against the teacher that it learnt from, on the same films."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Any

from napari_wsseg.io.project import Project
from napari_wsseg.jobs import DataError, Progress
from napari_wsseg.ops import bootstrap
from napari_wsseg.ops.tally import FIGURES, Tally
from napari_wsseg.pipeline.evaluation import counts as _tallies
from napari_wsseg.pipeline.evaluation import cuts as _cuts
from napari_wsseg.schema import Case

STAGE = "segmentation"


def compare(
    project: Project,
    student: str,
    counted: Tally,
    cases: Sequence[Case],
    *,
    draws: int,
    seed: int,
) -> Generator[Progress, None, dict[str, Any] | None]:
    """Yield progress; return the teacher's figures and the student's less them.

    ``None`` where the run has no teacher. Where the teacher cannot be scored any more,
    ``message`` says why.

    Parameters
    ----------
    counted
        The student's masks on `cases`.
    """
    teacher = _cuts.header(project, student).get("teacher")
    if not teacher:
        return None
    try:
        found = yield from _tallies.count(project, {STAGE: teacher}, cases)
    except DataError as error:
        return {"run": teacher, "message": str(error)}
    both = {"student": counted, "teacher": found.gated[STAGE]}
    drawn = bootstrap.draw(both, draws=draws, seed=seed)
    ours, theirs = (both[who].figures() for who in ("student", "teacher"))
    return {
        "run": teacher,
        "student": student,
        **theirs,
        "interval": drawn["teacher"].intervals(),
        "student_less_teacher": {
            figure: {
                "difference": None
                if ours[figure] is None or theirs[figure] is None
                else ours[figure] - theirs[figure],
                "interval": bootstrap.difference(
                    drawn["student"], drawn["teacher"], figure
                ),
            }
            for figure in FIGURES
        },
    }

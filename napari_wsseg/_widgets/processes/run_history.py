"""Which run can go on, and which one was the last to finish."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from napari_wsseg._widgets.processes.events import Step, numbers
from napari_wsseg.io.runs import RunFolder, RunInfo


def can_resume(project: Path, info: RunInfo) -> bool:
    """Whether a run ended early and left a state to go on from."""
    if info.state in ("done", "running"):
        return False
    return (project / "runs" / info.id / "last.pt").exists()


def resumable_run(
    project: Path, infos: Iterable[RunInfo], recipe: str | None
) -> RunInfo | None:
    """Return the newest run of `recipe` (``None``: of any) if it can go on.

    Parameters
    ----------
    infos
        Newest first.
    """
    newest = next((i for i in infos if recipe in (None, i.recipe)), None)
    return newest if newest is not None and can_resume(project, newest) else None


def last_done(infos: Iterable[RunInfo], recipe: str | None) -> RunInfo | None:
    """Return the newest finished run of `recipe`, or ``None``."""
    return next((i for i in infos if i.state == "done" and i.recipe == recipe), None)


def earlier_steps(run: Path) -> list[Step]:
    """Return what a run that goes on has told of its steps before."""
    steps = []
    try:
        for row in RunFolder(run).metrics():
            metrics = {k: v for k, v in row.items() if k not in ("step", "total")}
            step = Step(int(row["step"]), int(row["total"]), "", numbers(metrics), None)
            steps.append(step)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        # A damaged file has nothing more to draw; the training itself goes on.
        pass
    return steps

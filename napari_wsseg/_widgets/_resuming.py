"""Which run can go on, and which one was the last to finish."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from napari_wsseg.io.runs import RunInfo


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

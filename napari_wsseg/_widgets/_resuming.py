"""Which run can go on."""

from __future__ import annotations

from pathlib import Path

from napari_wsseg.io import runs
from napari_wsseg.io.runs import RunInfo


def can_resume(project: Path, info: RunInfo) -> bool:
    """Whether a run ended early and left a state to go on from."""
    if info.state in ("done", "running"):
        return False
    return (project / "runs" / info.id / "last.pt").exists()


def resumable_run(project: Path, recipe: str | None) -> RunInfo | None:
    """Return the newest run of `recipe` (``None``: of any) if it can go on."""
    for info in runs.listing(project):
        if recipe is None or info.recipe == recipe:
            return info if can_resume(project, info) else None
    return None

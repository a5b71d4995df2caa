"""Whether a run with the same inputs is there already."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from napari_wsseg.io import runs
from napari_wsseg.io.project import Project
from trainers.engine.recipe import configure, recipes, settings_of


@dataclass(frozen=True, slots=True)
class Same:
    """Runs whose inputs are the same: one that is done, or one to go on with."""

    done: str | None
    resumable: str | None
    metrics: Mapping[str, float]


def fingerprint(project: Project, recipe: str, settings: Mapping[str, Any]) -> str:
    """Return a hash of all that decides what a run learns.

    That is the recipe, its settings (upstream runs included), every case with labels
    and split, and the newest expert masks of the recipes that look at them.

    Parameters
    ----------
    project
        Open.
    recipe
        The recipe's name.
    settings
        All of its settings as plain values, see `settings_of`; ``tracker`` does not
        count.

    Returns
    -------
    str
        SHA-256, hexadecimal.
    """
    cases = [
        (case.id, case.split, sorted(case.labels.items())) for case in project.cases()
    ]
    experts: list[tuple[str, str, str]] = []
    if "n_expert" in settings:
        for case_id, findings in sorted(project.annotated().items()):
            for finding in findings:
                latest = project.latest(case_id, finding)
                if latest is not None:
                    experts.append((case_id, finding, latest.mask_sha))
    decisive = {key: settings[key] for key in sorted(settings) if key != "tracker"}
    text = json.dumps([recipe, decisive, cases, experts], default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def same(project: Project, recipe: str, settings: dict[str, Any]) -> Same:
    """Find runs of the recipe with these very inputs.

    Parameters
    ----------
    project
        Open.
    recipe
        The recipe's name.
    settings
        Those that differ from its defaults; values may be text.

    Returns
    -------
    Same
        A run that is done, else one that can be resumed, else neither.

    Raises
    ------
    UsageError
        For a setting that there is not, or that is out of range.
    """
    wanted = fingerprint(project, recipe, settings_of(configure(recipe, settings)))
    alike = [
        info
        for info in runs.listing(project.folder)
        if info.recipe == recipe and info.notes.get("inputs") == wanted
    ]
    for info in alike:
        if (
            info.state == "done"
            and runs.RunFolder(_path(project, info.id)).best.exists()
        ):
            return Same(info.id, None, info.metrics)
    for info in alike:
        folder = runs.RunFolder(_path(project, info.id))
        if info.state in ("stopped", "interrupted") and folder.last.exists():
            return Same(None, info.id, {})
    return Same(None, None, {})


def imported(project: Project, recipe: str) -> Same | None:
    """Return the recipe's run in use if it was imported: no training replaces it."""
    stages = recipes[recipe].stages
    run = project.adopted(stages[0]) if stages else None
    if not run:
        return None
    info = runs.find(project.folder, run).info()
    brought = info.recipe == recipe and "imported" in info.notes
    return Same(run, None, info.metrics) if brought else None


def _path(project: Project, run: str) -> Any:
    return project.folder / "runs" / run

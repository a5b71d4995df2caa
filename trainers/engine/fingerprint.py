"""Whether a run with the same inputs is there already."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from napari_wsseg.io import runs
from napari_wsseg.io.index.cases import UNKNOWN
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
    and split, the project's prior, and the newest expert masks of the recipes that look
    at them.

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
    experts: list[tuple[str, str, str]] = []
    if "n_expert" in settings:
        for case_id, findings in sorted(project.annotated().items()):
            for finding in findings:
                latest = project.latest(case_id, finding)
                if latest is not None:
                    experts.append((case_id, finding, latest.mask_sha))
    decisive = {key: settings[key] for key in sorted(settings) if key != "tracker"}
    # The text of one list of all four, without a list of all films in memory.
    digest = hashlib.sha256(
        f"{json.dumps([recipe, decisive], default=str)[:-1]}, [".encode()
    )
    for text in _cases(project):
        digest.update(text.encode())
    prior = f", {json.dumps(project.prior)}" if project.prior else ""
    digest.update(f"], {json.dumps(experts)}{prior}]".encode())
    return digest.hexdigest()


def _cases(project: Project) -> Iterator[str]:
    """Yield the JSON of every case's id, split and labels, commas between."""
    names = sorted(finding.name for finding in project.findings)
    order = [[f.name for f in project.findings].index(name) for name in names]
    columns = project.case_columns()
    known: dict[bytes, str] = {}
    rows = zip(columns.ids, columns.splits, columns.labels[:, order], strict=True)
    for place, (case_id, split, labels) in enumerate(rows):
        key = labels.tobytes()
        if key not in known:
            values = (None if v == UNKNOWN else v for v in labels.tolist())
            known[key] = json.dumps(list(zip(names, values, strict=True)))
        comma = ", " if place else ""
        yield f"{comma}[{json.dumps(case_id)}, {json.dumps(split)}, {known[key]}]"


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

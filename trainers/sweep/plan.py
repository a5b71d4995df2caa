"""One setting at several values, several trials each: what to train, what came out.

Each cell is an ordinary run; a sweep only remembers which. So a sweep that was
stopped goes on when it is asked for again: a run with the same inputs is kept, one
that was stopped half-way is resumed (`trainers.engine.fingerprint`).
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from napari_wsseg.io.project import Project
from napari_wsseg.jobs import DataError, UsageError
from napari_wsseg.schema import STAGES
from trainers.engine.recipe import configure, recipes, settings_of


@dataclass(frozen=True, slots=True)
class Cell:
    """One training: a value of the setting, and a trial, which is a seed."""

    value: Any
    trial: int
    settings: dict[str, Any]

    @property
    def key(self) -> str:
        """What the cell is called in files."""
        return f"{self.value}/{self.trial}"


@dataclass(frozen=True, slots=True)
class Plan:
    """A sweep before its first training.

    Parameters
    ----------
    key
        The setting that is swept.
    base
        Every other setting, whole; its ``seed`` is that of the first trial.
    cells
        Trial by trial, so that a sweep that is stopped has seen every value.
    """

    recipe: str
    key: str
    base: dict[str, Any]
    values: tuple[Any, ...]
    trials: int
    cells: tuple[Cell, ...]

    @property
    def name(self) -> str:
        """A folder name that is the same for the same settings."""
        text = json.dumps([self.recipe, self.key, sorted(self.base.items())])
        return (
            f"{self.recipe}-{self.key}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"
        )


def plan(
    recipe: str, key: str, values: Sequence[str], trials: int, settings: dict[str, Any]
) -> Plan:
    """Check every cell's settings and return them in order.

    Parameters
    ----------
    recipe
        The recipe's name.
    key
        The setting that is swept; any but ``seed``.
    values
        Its values as text, each once.
    trials
        Trainings of each value, 1 or more, with seeds that follow each other.
    settings
        Every other setting that differs from the recipe's defaults; values may be text.

    Raises
    ------
    UsageError
        For an unknown recipe or setting, a value that is out of range or given
        twice, or no trial at all.
    """
    if recipe not in recipes:
        raise UsageError(f"no recipe {recipe!r}; there are: {', '.join(recipes)}")
    if key in settings:
        raise UsageError(f"--set {key} has no effect: {key} is what is swept")
    if key == "seed":
        raise UsageError("trials are seeds already; sweep another setting")
    if trials < 1:
        raise UsageError(f"--trials {trials} is nothing to train; give 1 or more")
    base = settings_of(configure(recipe, settings))
    read = [
        settings_of(configure(recipe, {**settings, key: value}))[key]
        for value in values
    ]
    if not read or len(set(read)) < len(read):
        raise UsageError(
            f"--values {','.join(values)} is empty or has a value twice; "
            "more trials are asked for with --trials"
        )
    base.pop(key)
    cells = tuple(
        Cell(value, trial, {**base, key: value, "seed": base["seed"] + trial})
        for trial in range(trials)
        for value in read
    )
    return Plan(recipe, key, base, tuple(read), trials, cells)


def pinned(
    project: Project, recipe: str, settings: Mapping[str, Any]
) -> dict[str, Any]:
    """Name the upstream runs that are in use, so that no cell builds on another.

    Parameters
    ----------
    project
        Open.
    recipe
        The recipe's name.
    settings
        Its settings as plain values.

    Returns
    -------
    dict
        The same settings; those that name a run, and are empty, name the one in use.
    """
    named = dict(settings)
    for key, stage in recipes[recipe].upstream(settings).items():
        # With labels=auto a run that is named counts for IRNet, see `weak_masks`.
        stage = "irnet" if stage == "auto" else stage
        if key in named and not named[key] and stage in STAGES:
            named[key] = project.adopted(stage) or ""
    return named


def check(project: Project, plan: Plan) -> tuple[str, ...]:
    """Look for what would fail only after hours; return the splits to score on.

    Raises
    ------
    DataError
        If no test film has an expert mask, or none to learn from where p > 0.
    """
    splits = tuple(split for split in ("val", "test") if project.annotated(split))
    if "test" not in splits:
        raise DataError(
            "no film in split test has an expert mask, so no cell could be scored; "
            "draw some or import them with wsseg init --masks"
        )
    wants = [cell.settings.get("p", 0) for cell in plan.cells]
    if max(wants) > 0 and not project.annotated("train"):
        raise DataError(
            f"p={max(wants)} asks for expert films, but no training film has an expert "
            "mask; draw some, import them with wsseg init --masks, or sweep p=0 alone"
        )
    return splits


def truth_stamp(project: Project) -> str:
    """Return a hash of all expert masks: scores of others are not kept."""
    rows = [
        (case_id, finding, latest.mask_sha)
        for case_id, findings in sorted(project.annotated().items())
        for finding in findings
        if (latest := project.latest(case_id, finding)) is not None
    ]
    return hashlib.sha256(json.dumps(rows).encode()).hexdigest()


def folder_of(project: Path, name: str) -> Path:
    """Return a sweep's folder; `UsageError` if the name is no plain folder name."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", name):
        raise UsageError(f"--name {name!r}: use letters, digits, . _ and -")
    return project / "sweeps" / name

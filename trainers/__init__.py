"""Headless recipes, one a file, and `run`: the one loop that saves and stops."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from napari_wsseg.io.project import Project
from napari_wsseg.jobs import Checkpoint, Progress
from trainers.engine.recipe import Recipe, TrainingConfig, configure, recipes
from trainers.settings.preset_notes import notes as preset_notes
from trainers.settings.presets import presets

__all__ = [
    "Recipe",
    "TrainingConfig",
    "configure",
    "preset_notes",
    "presets",
    "recipes",
    "run",
]


def run(
    name: str,
    project: Project | Path,
    config: TrainingConfig | dict[str, Any] | None = None,
    *,
    cancel: threading.Event | None = None,
    resume: str | None = None,
) -> Iterator[Progress | Checkpoint]:
    """Train by the recipe `name`, saving what it yields into a run folder.

    Parameters
    ----------
    name
        One of `recipes`.
    project
        A project, open or as a folder; nothing but its ``runs``, ``cache`` and
        ``stages`` folders is written.
    config
        The recipe's settings, as its config or as a dictionary.
    cancel
        Set it, from any thread: the batch in hand is finished, the state saved.
    resume
        Id of a run to go on with; its own settings are used.

    Raises
    ------
    UsageError, DataError, JobFailed
        As the recipe says; the run folder then says so too.
    """
    from trainers.engine.run import Run

    yield from Run.prepare(name, project, config, cancel=cancel, resume=resume)

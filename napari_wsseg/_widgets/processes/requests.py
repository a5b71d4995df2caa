"""What the window asks a process of its own for: one training, a sweep, all stages."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Sweep:
    """One setting at several values, several seeds of each.

    Parameters
    ----------
    key
        The setting.
    values
        As written.
    name
        Folder of an earlier sweep to go on with; empty: by its settings.
    title
        What the form calls the setting; empty: its key.
    """

    key: str
    values: tuple[str, ...]
    trials: int = 3
    name: str = ""
    title: str = ""

    @property
    def setting(self) -> str:
        """Return what to call the setting."""
        return self.title or self.key.replace("_", " ")

    def arguments(self) -> list[str]:
        """Return it as ``wsseg sweep`` reads it."""
        arguments = ["--key", self.key, "--values", ",".join(self.values)]
        arguments += ["--trials", str(self.trials)]
        return [*arguments, "--name", self.name] if self.name else arguments


@dataclass(frozen=True, slots=True)
class Request:
    """What to train.

    Parameters
    ----------
    project
        Project folder.
    recipe
        One recipe, or ``None`` for every stage in order, by `preset`.
    settings
        What differs from the recipe's defaults; ``recipe.setting`` for every stage.
    resume
        Run to go on with, or ``None`` for a new one.
    sweep
        Train `recipe` many times; then `settings` are all of its settings.
    """

    project: Path
    recipe: str | None
    settings: Mapping[str, Any] = field(default_factory=dict)
    preset: str = "fast"
    resume: str | None = None
    sweep: Sweep | None = None

    @property
    def trains_several(self) -> bool:
        """Whether it trains several runs one after the other."""
        return self.recipe is None or self.sweep is not None

    def command(self) -> list[str]:
        """Return the words that start it as a process of its own."""
        project = ["-p", str(self.project), "--json"]
        if self.recipe is None:
            arguments = ["napari_wsseg.cli", "run", *project, "--preset", self.preset]
            arguments.append("--no-adopt")
        elif self.sweep is not None:
            arguments = ["napari_wsseg.cli", "sweep", self.recipe, *project]
            arguments += self.sweep.arguments()
        else:
            arguments = ["trainers", self.recipe, *project, "--infer"]
        if self.resume:
            arguments += ["--resume", self.resume]
        elif self.settings:
            arguments += ["--set", *pairs(self.settings)]
        return [sys.executable, "-m", *arguments, "--parent", str(os.getpid())]


def pairs(settings: Mapping[str, Any]) -> list[str]:
    """Write settings as ``--set`` reads them."""
    return [
        f"{name}={value if isinstance(value, str) else json.dumps(value)}"
        for name, value in settings.items()
    ]

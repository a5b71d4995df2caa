"""The recipes, imported off the main thread: they bring torch, which takes seconds."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class RecipeCard:
    """What the panels need to know of a recipe."""

    name: str
    config: type[Any]
    stages: tuple[str, ...]
    summary: str


@dataclass(frozen=True, slots=True)
class Loaded:
    """All that came with the recipes.

    Parameters
    ----------
    presets
        Names of ways to run every stage.
    device
        What a training will run on, for a person.
    """

    recipes: Mapping[str, RecipeCard]
    presets: tuple[str, ...]
    device: str


#: Recipes do not change while the program runs, so they are read once.
_known: list[Loaded] = []


def known() -> Loaded | None:
    """Return the recipes if they have been loaded."""
    return _known[0] if _known else None


def load() -> Loaded:
    """Import the recipes; slow the first time, safe in any thread."""
    if not _known:
        import trainers

        cards = {
            name: RecipeCard(
                name,
                trainers.recipes[name].config,
                tuple(trainers.recipes[name].stages),
                trainers.recipes[name].summary,
            )
            for name in trainers.recipes.names()
        }
        _known.append(Loaded(cards, tuple(trainers.presets), describe_device()))
    return _known[0]


def load_safely() -> Loaded | str:
    """Return the recipes, or why they cannot be had, for a person.

    An error is a value here because a RuntimeError may get lost on its way out of a
    worker, and the panel would say "loading" for ever.
    """
    try:
        return load()
    except Exception as error:
        return (
            f"The recipes could not be loaded ({type(error).__name__}: {error}). "
            "Run “wsseg doctor” in a terminal to see what is missing."
        )


def describe_device() -> str:
    """Return what torch will train on.

    The card's memory is asked of its own tool: asking torch would take some hundred
    megabytes of that memory for this window, for as long as it is open.
    """
    import torch

    if torch.cuda.is_available():
        return _gpu() or "graphics card"
    if torch.backends.mps.is_available():
        return "Apple graphics (mps)"
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None
    cores = cores or os.cpu_count() or 1
    return f"CPU, {cores} core{'s' if cores > 1 else ''}; no graphics card found"


def _gpu() -> str:
    asked = [
        "--query-gpu=name,memory.free,memory.total",
        "--format=csv,noheader,nounits",
    ]
    try:
        told = subprocess.run(
            ["nvidia-smi", *asked], capture_output=True, text=True, timeout=10
        ).stdout
        name, free, total = told.splitlines()[0].split(", ")
        return f"{name}, {int(free) / 1024:.0f} of {int(total) / 1024:.0f} GB free"
    except (OSError, ValueError, IndexError, subprocess.SubprocessError):
        # A driver without its tool is still a driver that trains.
        return ""

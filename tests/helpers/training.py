"""Trainings run to their end."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import torch

from trainers.engine.run import Run

LEARNING: dict[str, Any] = {"learning_rate": 3e-3, "augment": 0.0}
"""What lets a network learn a little from a dozen pictures."""


def train(project: Path, recipe: str, **settings: Any) -> Run:
    """Train a recipe in this process, on one thread; return the run."""
    torch.set_num_threads(1)
    run = Run.prepare(recipe, project, {"device": "cpu", **settings})
    for _ in run:
        pass
    return run


train_colours = partial(train, size=64, batch=4, channels=3)

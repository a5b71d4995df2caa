"""Recipes as the Train panel is told of them, without a process that imports torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from napari_wsseg._widgets.processes.recipes import Loaded, RecipeCard


@dataclass(frozen=True, kw_only=True)
class Weak:
    """Settings of each kind that a form shows."""

    epochs: Annotated[int, {"min": 1, "max": 100, "basic": True}] = 20
    batch: Annotated[int, {"min": 1, "max": 64, "basic": True}] = 8
    learning_rate: Annotated[float, {"min": 0.0, "max": 1.0}] = 0.01
    flip: bool = True
    choose_by: Annotated[str, {"choices": ["val_auroc", "last"]}] = "last"
    weights: str = "synthetic"


@dataclass(frozen=True, kw_only=True)
class Mixed(Weak):
    """Settings of a recipe that mixes expert and weak masks."""

    p: Annotated[float, {"min": 0.0, "max": 1.0}] = 0.8


LOADED = Loaded(
    {
        "classifier": RecipeCard("classifier", Weak, ("cam", "crf"), "Learn"),
        "chexseg": RecipeCard("chexseg", Mixed, ("segmentation",), "Mix"),
    },
    ("fast", "wsmis"),
    "CPU, 2 cores; no graphics card found",
    preset_settings={
        "fast": {
            "classifier": {"epochs": 16, "batch": 16, "flip": False},
            "chexseg": {"epochs": 28, "flip": False},
        },
        "wsmis": {"classifier": {"epochs": 5, "batch": 32}},
    },
)

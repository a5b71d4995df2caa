"""What a Train panel of the tests offers, and hands on it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pytestqt.qtbot import QtBot
from qtpy.QtCore import Qt

from napari_wsseg._widgets.processes.recipes import Loaded, RecipeCard
from napari_wsseg._widgets.training import memory_note as _memory_note
from napari_wsseg._widgets.training.panel import TrainPanel


@dataclass(frozen=True, kw_only=True)
class WeakConfig:
    epochs: Annotated[int, {"min": 1, "max": 100, "basic": True}] = 20
    batch: Annotated[int, {"min": 1, "max": 64, "basic": True}] = 8


@dataclass(frozen=True, kw_only=True)
class MixedConfig(WeakConfig):
    p: Annotated[float, {"min": 0.0, "max": 1.0}] = 0.8
    n_expert: Annotated[int, {"min": 0, "max": 1000}] = 0


LOADED = Loaded(
    {
        "classifier": RecipeCard("classifier", WeakConfig, ("cam", "crf"), "Learn"),
        "chexseg": RecipeCard("chexseg", MixedConfig, ("segmentation",), "Mix"),
        "mean_teacher": RecipeCard("mean_teacher", WeakConfig, ("segmentation",), "T"),
    },
    ("fast", "wsmis"),
    "CPU, 2 cores; no graphics card found",
    preset_notes={"wsmis": ("Regions below 0.2 % are dropped.",)},
)


#: Eight films need 1.8 GB, of 2 GB.
ROOM = _memory_note.MemoryNeed(
    "cpu", fixed=2**30, per_film=2**30 // 10, free=2 * 2**30, batch=8
)


Open = Callable[..., TrainPanel]


def click(qtbot: QtBot, button: object) -> None:
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)


def ended(qtbot: QtBot, panel: TrainPanel) -> None:
    qtbot.waitUntil(lambda: panel.result.isVisible(), timeout=15_000)


def folder_of(panel: TrainPanel) -> Path:
    assert panel.session.project is not None
    return panel.session.project.folder

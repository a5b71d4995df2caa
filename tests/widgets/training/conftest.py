"""A Train panel on a small project, whose trainings are played."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pytestqt.qtbot import QtBot

from helpers.train_panel import LOADED, ROOM, Open
from helpers.training_project import FakeJobs, make_project, open_session
from napari_wsseg._widgets.processes import recipes as _recipes
from napari_wsseg._widgets.training import memory_note as _memory_note
from napari_wsseg._widgets.training.panel import TrainPanel


def has_room(
    arguments: list[str], wanted: Callable[[], bool]
) -> Iterator[_memory_note.MemoryNeed]:
    yield ROOM


@pytest.fixture
def open_panel(
    qtbot: QtBot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Open]:
    monkeypatch.setattr(_recipes, "_known", [LOADED])
    monkeypatch.setattr(_memory_note, "ask", has_room)
    panels: list[TrainPanel] = []

    def begin(
        mode: str = "done", *, films: int = 10, expert: int = 4, project: bool = True
    ) -> TrainPanel:
        folder = None
        if project:
            folder = make_project(tmp_path, films=films, expert=expert)
        panel = TrainPanel(open_session(folder), FakeJobs(mode))
        qtbot.addWidget(panel)
        panel.resize(320, 640)
        panel.show()
        panels.append(panel)
        return panel

    yield begin
    for panel in panels:
        job = panel.jobs.current
        if job is not None and job.alive:
            job.force_stop()
            qtbot.waitUntil(lambda job=job: not job.alive, timeout=10_000)
        panel.session.close()

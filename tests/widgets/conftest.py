"""A real window on a small project, for tests that press keys and drag the mouse."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from qtpy.QtCore import QSettings
from qtpy.QtWidgets import QLabel

from helpers import noise_project, qt_waiting, training_project
from napari_wsseg._widgets import window
from napari_wsseg._widgets.canvas.bench import Workbench
from napari_wsseg._widgets.parts import preferences
from napari_wsseg._widgets.workbench import workbench_of
from napari_wsseg.session import Session

qt_waiting.sleep_in_qwait()


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Return the folder of a project of four films with CAMs."""
    folder = noise_project.make_project(tmp_path)
    noise_project.add_stage(folder)
    noise_project.adopt(folder)
    return folder


@pytest.fixture
def session(tmp_path: Path) -> Iterator[Session]:
    """Return a session, without a window, on a project of films to train on."""
    folder = training_project.make_project(tmp_path)
    session = training_project.open_session(folder)
    yield session
    session.close()


@pytest.fixture
def open_bench(
    make_napari_viewer: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    qtbot: Any,
) -> Iterator[Callable[..., Workbench]]:
    """Return what opens the window; Train and Runs are left out, they load slowly."""
    settings = QSettings(str(tmp_path / "window.ini"), QSettings.Format.IniFormat)
    monkeypatch.setattr(preferences, "_settings", lambda: settings)
    monkeypatch.setattr(window, "train_panel", lambda viewer: QLabel("Train"))
    monkeypatch.setattr(window, "runs_panel", lambda viewer: QLabel("Runs"))
    monkeypatch.setattr(window.napari, "Viewer", make_napari_viewer)
    benches = []

    def open_one(folder: Path | None) -> Workbench:
        viewer = window.open_window(folder, reader="ann")
        bench = workbench_of(viewer)
        benches.append(bench)
        if folder is not None:
            qtbot.waitUntil(lambda: bench.session.case is not None, timeout=5000)
            qtbot.waitUntil(lambda: not bench.turn.going_on, timeout=5000)
            bench.drawing.drain()
        return bench

    yield open_one
    for bench in benches:
        bench.close()


@pytest.fixture
def bench(open_bench: Callable[..., Workbench], place: Path) -> Workbench:
    """Return the workbench of a window with the small project open."""
    return open_bench(place)

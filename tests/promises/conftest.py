"""A small trained project, and the window on it."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from qtpy.QtCore import QSettings

from helpers import qt_waiting, window_input
from napari_wsseg._widgets import window
from napari_wsseg._widgets.canvas.bench import Workbench
from napari_wsseg._widgets.parts import preferences
from napari_wsseg._widgets.training.panel import TrainPanel
from napari_wsseg.datasets import datasets
from napari_wsseg.io.project import Project
from napari_wsseg.phantom import write_dataset

FILMS = 14
TINY = ("size=64", "epochs=1", "batch=8")

qt_waiting.sleep_in_qwait()


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with small synthetic films, a project, and a classifier's run."""
    out = tmp_path_factory.mktemp("loop")
    source = write_dataset(out / "films", n=FILMS, size=160, processes=1)
    making = datasets["folder"](
        out / "project",
        images=source / "images",
        labels=source / "labels.csv",
        masks=source / "masks",
    )
    for _ in making:
        pass
    arguments = ["classifier", "-p", str(out / "project"), "--infer", "--json"]
    result = subprocess.run(
        [sys.executable, "-m", "trainers", *arguments, "--set", *TINY],
        capture_output=True,
        text=True,
        check=True,
    )
    end = json.loads(result.stdout.splitlines()[-1])
    assert end["status"] == "done", end
    with Project.open(out / "project", write=True) as project:
        for stage in ("cam", "crf", "classifier"):
            project.adopt(stage, end["run"], actor="test")
    return out


@pytest.fixture
def place(trained: Path, tmp_path: Path) -> Path:
    """Return a project of this test's own."""
    # Films are found relative to the project, so both are copied.
    return Path(shutil.copytree(trained, tmp_path / "own")) / "project"


@pytest.fixture
def open_window(
    make_napari_viewer: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> Iterator[Callable[[Path], Workbench]]:
    settings = QSettings(str(tmp_path / "window.ini"), QSettings.Format.IniFormat)
    monkeypatch.setattr(preferences, "_settings", lambda: settings)
    monkeypatch.setattr(window.napari, "Viewer", make_napari_viewer)
    benches: list[Workbench] = []

    def begin(folder: Path) -> Workbench:
        benches.append(window_input.open_bench(folder))
        return benches[-1]

    yield begin
    for bench in benches:
        training = bench.main_window and bench.main_window.findChild(TrainPanel)
        if training and training.jobs.busy:
            training.jobs.current.force_stop()
            window_input.wait_for(lambda panel=training: not panel.jobs.busy)
        bench.close()

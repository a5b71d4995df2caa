"""Every stage trained from the Train panel, to its end, by clicks alone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from helpers import window_input
from helpers.spot_films import import_films, make_films
from napari_wsseg._widgets.canvas.bench import Workbench
from napari_wsseg._widgets.runs.panel import RunsPanel
from napari_wsseg._widgets.training.panel import TrainPanel
from napari_wsseg.schema import STAGES

pytestmark = [pytest.mark.gui, pytest.mark.slow, pytest.mark.timeout(3600)]


def test_all_stages_are_trained_and_used_by_two_clicks(
    open_window: Callable[[Path], Workbench], tmp_path: Path
) -> None:
    project = import_films(make_films(tmp_path / "films", n=20), tmp_path / "project")
    bench = open_window(project)
    assert bench.main_window is not None
    window_input.raise_tab(bench, "Train")
    panel = bench.main_window.findChild(TrainPanel)
    assert panel is not None
    window_input.wait_for(lambda: panel.state == "ready", 120)
    assert panel.setup.recipe is None, "all stages are what is offered first"
    window_input.click(panel.start_button)
    window_input.wait_for(lambda: not panel.jobs.busy, 2400)
    assert panel.result.headline.text() == "Done", panel.result.label.text()
    window_input.click(panel.result.use_button)
    opened = bench.session.project
    assert opened is not None
    assert all(opened.adopted(stage) for stage in STAGES)
    runs = bench.main_window.findChild(RunsPanel)
    assert runs is not None
    assert not runs.scoring.busy, "their maps were made with them"
    window_input.wait_for(lambda: set(bench.session.stages()) == set(STAGES))

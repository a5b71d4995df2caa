"""A sweep started from the Train panel, to its end, by mouse and keys alone."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest

from helpers import window_input
from helpers.spot_films import import_films, make_films
from napari_wsseg._widgets.canvas.bench import Workbench
from napari_wsseg._widgets.training.panel import TrainPanel
from napari_wsseg.io import runs

pytestmark = [pytest.mark.gui, pytest.mark.slow, pytest.mark.timeout(1800)]

KEY = "learning_rate"
VALUES = ("0.001", "0.0001")


def test_a_sweep_from_the_panel_comes_to_its_end_and_is_drawn(
    open_window: Callable[[Path], Workbench], tmp_path: Path
) -> None:
    place = import_films(make_films(tmp_path / "films", n=16), tmp_path / "project")
    bench = open_window(place)
    panel: TrainPanel = window_input.set_up_training(bench, size=64, epochs=1)
    box = panel.setup.sweep
    window_input.click(box.heading)
    box.key.setFocus()
    QTest.keyClick(box.key, Qt.Key.Key_Home)
    for _ in range(box.key.findText(KEY) - box.key.currentIndex()):
        QTest.keyClick(box.key, Qt.Key.Key_Down)
    assert box.key.currentText() == KEY
    QTest.keyClicks(box.values, ", ".join(VALUES))
    window_input.type_number(box.trials, 1)
    assert box.label.text().startswith("2 trainings")
    began, seen = time.monotonic(), set[int]()
    window_input.click(box.start_button)
    while panel.jobs.busy:
        QTest.qWait(200)
        state = panel.watch.sweep._state
        seen.add(len(state["cells"]) if state else 0)
    assert panel.result.headline.text() == "Sweep done", panel.result.label.text()
    assert seen & {0, 1}, "it was watched while it filled"
    infos = runs.listing(place)
    assert [info.state for info in infos] == ["done", "done"]
    assert sorted(float(info.config[KEY]) for info in infos) == [0.0001, 0.001]
    assert all(info.config["size"] == 64 for info in infos)
    assert bench.session.project.adopted("cam") is None, "none is put in use"
    sweep = json.loads(next(place.glob("sweeps/*/sweep.json")).read_text())
    assert len(sweep["cells"]) == 2
    window_input.wait_for(lambda: box.earlier.count() == 1)
    assert box.resume_button.text() == "Go on (2/2)"
    assert not box.resume_button.isEnabled()
    assert box.plot.label.text().startswith(f"Best so far at {KEY} = ")
    seconds = time.monotonic() - began
    sys.stdout.write(f"sweep: {seconds:.0f} s, {box.plot.label.text()}\n")
    bench.viewer.close()

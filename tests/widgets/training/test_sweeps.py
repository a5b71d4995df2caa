"""A sweep in the Train panel: started, drawn as it fills, and gone on with."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from pytestqt.qtbot import QtBot
from qtpy.QtGui import QColor, QPalette

from helpers.fake_training import sheet
from helpers.train_panel import Open, click, ended
from napari_wsseg._widgets.parts.formatting import contrast
from napari_wsseg._widgets.processes.events import Ended, EndState, Step
from napari_wsseg._widgets.processes.requests import Request, Sweep
from napari_wsseg._widgets.training import sweep_plot as _sweep_plot
from napari_wsseg._widgets.training.curves import Curves
from napari_wsseg._widgets.training.outcome import judge
from napari_wsseg.schema import PALETTE

pytestmark = pytest.mark.gui


@pytest.mark.parametrize(
    ("values", "places"),
    [
        ([0.0, 0.4, 0.2, 1.0], [0.0, 0.4, 0.2, 1.0]),
        ([0.01, 0.001, 0.0003], [2.0, 1.0, 0.0]),
        (["unet", "fpn"], [0.0, 1.0]),
        ([0.5], [0.5]),
    ],
)
def test_values_of_a_sweep_that_would_crowd_stand_in_turn(
    values: list[float], places: list[float]
) -> None:
    found = _sweep_plot._places(values)
    assert [found[value] for value in values] == places


def test_a_figure_that_hardly_moves_still_has_numbers_at_its_axis(
    qtbot: QtBot,
) -> None:
    curves = Curves()
    qtbot.addWidget(curves)
    scores = ({"val_pos_iou": 0.01 + step * 1e-5} for step in range(3))
    curves.add(Step(n, 3, "", each, None) for n, each in enumerate(scores))
    curves.draw()
    view = curves.validation.canvas.getPlotItem().getViewBox()
    low, high = view.viewRange()[1]
    assert high - low == pytest.approx(0.002)


@pytest.mark.parametrize("ground", ["#262930", "#d6d0ce"])
def test_twelve_findings_of_a_sweep_have_twelve_colours_that_can_be_seen(
    qtbot: QtBot, tmp_path: Path, ground: str
) -> None:
    folder = tmp_path / "sweep"
    folder.mkdir()
    state = sheet([(0.2, 0), (0.8, 0)])
    rows = state["summary"]
    assert isinstance(rows, list)
    more = [row for row in rows if row["finding"] == "effusion"]
    rows += [row | {"finding": f"finding {n}"} for n in range(11) for row in more]
    (folder / "sweep.json").write_text(json.dumps(state))
    plot = _sweep_plot.SweepPlot()
    qtbot.addWidget(plot)
    palette = plot.palette()
    palette.setColor(QPalette.ColorRole.Window, QColor(ground))
    plot.setPalette(palette)
    plot.show_folder(folder)
    found = re.findall(r"color:(#\w{6})", plot.legend.text())[1:]
    assert len(found) == len(set(found)) == 12
    seen = [contrast(QColor(one), QColor(ground)) for one in found]
    assert min(seen) >= 1.99
    if ground == "#262930":
        assert [one.upper() for one in found] == list(PALETTE[:12])


def test_a_sweep_is_started_drawn_as_it_fills_and_gone_on_with(
    qtbot: QtBot, open_panel: Open
) -> None:
    panel = open_panel("sweep")
    panel.setup.choose("chexseg")
    box = panel.setup.sweep
    box.heading.click()
    assert box.key.currentData() == "p"
    assert "18 trainings" in box.label.text()
    box.values.setText("0.2, 0.8")
    box.trials.setValue(2)
    click(qtbot, box.start_button)
    request = panel.jobs.requests[-1]  # type: ignore[attr-defined]
    command = request.command()
    assert command[2:5] == ["napari_wsseg.cli", "sweep", "chexseg"]
    assert command[command.index("--values") + 1] == "0.2,0.8"
    assert "p" not in request.settings
    assert request.settings["batch"] == 8
    assert "Sweep of “P”: 0 of 4" in panel.watch.message.text()
    ended(qtbot, panel)
    plot = panel.watch.sweep
    assert plot.isVisible()
    assert "Best so far at P = 0.8: IoU 0.400 over 1 trial" in plot.label.text()
    assert "effusion" in plot.legend.text()
    click(qtbot, panel.result.keep_button)
    assert box.earlier.currentText() == "chexseg-p-0000"
    assert box.resume_button.text() == "Go on (3/4)"
    click(qtbot, box.resume_button)
    again = panel.jobs.requests[-1]  # type: ignore[attr-defined]
    assert again.sweep == Sweep("p", ("0.2", "0.8"), 2, "chexseg-p-0000", "P")
    assert again.settings == {"epochs": 12, "seed": 0}


@pytest.mark.parametrize(
    ("state", "begun", "done", "name", "message"),
    [
        ("failed", False, 0, "", "Once this is mended, press “Start sweep”"),
        ("failed", True, 0, "", "at p = 0.2 failed: too large\nIt was the first"),
        ("killed", True, 3, "", "at p = 0.8 was ended: too large\nWhat is done"),
        ("failed", True, 0, "s", "at p = 0.2 failed: too large\nWhat is done"),
        ("stopped", True, 0, "", "No training of it is done yet: “Start sweep”"),
        ("stopped", True, 2, "", "What is done is kept: “Go on” does the rest"),
    ],
)
def test_a_sweep_that_ended_says_what_failed_and_what_to_do(
    tmp_path: Path, state: EndState, begun: bool, done: int, name: str, message: str
) -> None:
    sweep = Sweep("p", ("0.2", "0.8"), 2, name)
    request, end = Request(tmp_path, "chexseg", sweep=sweep), Ended(state, "too large")
    verdict = judge(end, request, {"chexseg": "run"} if begun else {}, None, 0, done)
    assert message in verdict.text
    assert ("“Go on”" in verdict.text) == (done > 0 or bool(name))


def test_a_sweep_that_fails_at_its_first_value_offers_nothing_to_go_on_with(
    qtbot: QtBot, open_panel: Open
) -> None:
    panel = open_panel("failed")
    panel.setup.choose("chexseg")
    panel.setup.sweep.heading.click()
    click(qtbot, panel.setup.sweep.start_button)
    ended(qtbot, panel)
    assert panel.result.headline.text() == "Sweep failed"
    assert "no film of the train split has a label" in panel.result.label.text()
    assert "Go on" not in panel.result.label.text()
    assert not panel.setup.sweep.resume_button.isVisible()

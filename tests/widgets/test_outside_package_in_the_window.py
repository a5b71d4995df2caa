"""What another installed package adds is offered in the window, and used."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pytestqt.qtbot import QtBot

from helpers.outside_package import GROUPS, install
from helpers.spot_films import import_films, make_films
from helpers.training_project import make_run
from napari_wsseg import _plugins
from napari_wsseg._widgets.canvas.bench import Workbench
from napari_wsseg._widgets.export.panel import ExportPanel
from napari_wsseg._widgets.processes import recipes as _recipes
from napari_wsseg._widgets.processes.events import Ended
from napari_wsseg._widgets.processes.requests import Request
from napari_wsseg._widgets.review.cam_choice import MapChoice
from napari_wsseg._widgets.runs import rules
from napari_wsseg._widgets.training.outcome import judge
from napari_wsseg._widgets.training.panel import TrainPanel
from napari_wsseg.io.project import Project

pytestmark = pytest.mark.gui


@pytest.fixture
def outside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Install a package for this process and for those that the window starts."""
    site = install(tmp_path / "site", "wsseg_extras", GROUPS)
    monkeypatch.syspath_prepend(str(site))
    path = os.pathsep.join([str(site), os.environ.get("PYTHONPATH", "")])
    monkeypatch.setenv("PYTHONPATH", path.rstrip(os.pathsep))
    monkeypatch.setattr(_recipes, "_known", [])
    before = list(_plugins._problems)
    yield import_films(make_films(tmp_path / "films", n=8), tmp_path / "project")
    _plugins._problems[:] = before
    for name in [name for name in sys.modules if name.startswith("wsseg_extras")]:
        del sys.modules[name]


def test_a_run_of_its_recipe_is_judged_shown_and_used(
    qtbot: QtBot, outside: Path, open_bench: Callable[..., Workbench]
) -> None:
    own = {"cam": "grad-cam++"}
    run = make_run(
        outside, "quick-look", "done", settings=own, metrics={"val_auroc": 0.8}
    )
    bench = open_bench(outside)
    request = Request(outside, "quick-look")
    verdict = judge(
        Ended("done"), request, {"quick-look": run}, bench.session.project, 0
    )
    assert verdict.text == "Quick look: val AUROC 0.80"
    assert verdict.usable == {"cam": run, "crf": run}
    assert not verdict.unevaluated
    for stage, made in verdict.usable.items():
        bench.session.adopt(stage, made)
    assert rules.in_use(bench.session.project) == {run: ["cam", "crf"]}
    choice = bench.main_window.findChild(MapChoice)
    qtbot.waitUntil(lambda: choice.list.findText("Mean map, level 5") >= 0)


@pytest.mark.slow
def test_a_recipe_is_offered_trained_and_put_in_use_and_its_maps_are_offered(
    qtbot: QtBot, outside: Path, open_bench: Callable[..., Workbench]
) -> None:
    bench = open_bench(outside)
    session = bench.session
    panel = TrainPanel(session)
    qtbot.addWidget(panel)
    panel.show()
    qtbot.waitUntil(lambda: panel.state == "ready", timeout=120_000)
    setup = panel.setup
    titles = [setup.choice.itemText(n) for n in range(setup.choice.count())]
    assert titles.index("Quick look") == titles.index("1 · Classifier (CAM, CRF)") + 1
    setup.choose("quick-look")
    panel.start()
    qtbot.waitUntil(lambda: panel.result.isVisible(), timeout=200_000)
    assert panel.result.label.text().startswith("Quick look: val AUROC")
    run = panel.result.usable["cam"]
    panel.use_result()
    project = session.project
    assert isinstance(project, Project)
    assert rules.in_use(project) == {run: ["cam", "crf"]}
    choice = bench.main_window.findChild(MapChoice)
    qtbot.waitUntil(lambda: choice.list.findText("Mean map, level 5") >= 0)


def test_an_export_format_is_offered_and_written(
    qtbot: QtBot, outside: Path, open_bench: Callable[..., Workbench]
) -> None:
    panel = ExportPanel(open_bench(outside).session)
    qtbot.addWidget(panel)
    panel.show()
    qtbot.waitUntil(lambda: bool(panel.formats), timeout=60_000)
    panel.format.setCurrentIndex(panel.format.findData("names"))
    assert panel.about.text() == "A list of film names, one a line."
    out = outside.parent / "out"
    panel.folder.setText(str(out))
    panel.start()
    qtbot.waitUntil(lambda: not panel.busy, timeout=60_000)
    assert (out / "names.txt").exists()

"""The Train panel shows what is so: never running when ended, never more than known."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import pytest
from pytestqt.qtbot import QtBot
from qtpy.QtCore import Qt
from qtpy.QtGui import QColor, QPalette

from helpers import recipe_cards
from helpers.fake_training import RUN, sheet
from helpers.tab_walk import walked_by_tab
from helpers.training_project import FakeJobs, make_project, make_run, open_session
from napari_wsseg._widgets.parts.formatting import contrast
from napari_wsseg._widgets.processes import recipes as _recipes
from napari_wsseg._widgets.processes.events import Ended, EndState, Step
from napari_wsseg._widgets.processes.recipes import Loaded, RecipeCard
from napari_wsseg._widgets.processes.requests import Request, Sweep
from napari_wsseg._widgets.training import memory_note as _memory_note
from napari_wsseg._widgets.training import sweep_plot as _sweep_plot
from napari_wsseg._widgets.training.curves import Curves
from napari_wsseg._widgets.training.data_summary import Material, share_in_words
from napari_wsseg._widgets.training.outcome import judge
from napari_wsseg._widgets.training.panel import TrainPanel
from napari_wsseg._widgets.training.setup import estimate
from napari_wsseg.io import runs
from napari_wsseg.schema import PALETTE

pytestmark = pytest.mark.gui


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


def click(qtbot: QtBot, button: object) -> None:
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)


def ended(qtbot: QtBot, panel: TrainPanel) -> None:
    qtbot.waitUntil(lambda: panel.result.isVisible(), timeout=15_000)


def folder_of(panel: TrainPanel) -> Path:
    assert panel.session.project is not None
    return panel.session.project.folder


def test_without_a_project_it_says_what_to_do(open_panel: Open) -> None:
    panel = open_panel(project=False)
    assert panel.state == "no project"
    assert "wsseg init" in panel.empty.text()
    assert not panel.start_button.isEnabled()


def test_without_films_it_says_what_to_do(open_panel: Open) -> None:
    panel = open_panel(films=0, expert=0)
    assert panel.state == "missing data"
    assert "holds no films" in panel.caution.text()


def test_chexseg_without_expert_masks_says_what_to_do(open_panel: Open) -> None:
    panel = open_panel(expert=0)
    assert panel.state == "ready"
    panel.setup.choose("chexseg")
    assert panel.state == "missing data"
    assert "Paint a finding" in panel.caution.text()
    assert not panel.start_button.isEnabled()


def test_the_recipes_are_loaded_behind_the_window(
    qtbot: QtBot, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    known: list[Loaded] = []
    monkeypatch.setattr(_recipes, "_known", known)

    def ask() -> Generator[None, None, Loaded]:
        yield
        return LOADED

    monkeypatch.setattr(_recipes, "ask", ask)
    panel = TrainPanel(open_session(make_project(tmp_path)), FakeJobs())
    qtbot.addWidget(panel)
    panel.show()
    assert panel.state == "loading"
    assert panel.empty.text() == "Loading recipes…"
    qtbot.waitUntil(lambda: panel.state == "ready", timeout=5000)
    panel.session.close()


def test_recipes_that_cannot_be_loaded_are_told_not_waited_for(
    qtbot: QtBot, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def broken() -> Iterator[None]:
        yield
        raise RuntimeError("no kernel image")

    monkeypatch.setattr(_recipes, "_known", [])
    monkeypatch.setattr(_recipes, "ask", broken)
    panel = TrainPanel(open_session(make_project(tmp_path)), FakeJobs())
    qtbot.addWidget(panel)
    panel.show()
    qtbot.waitUntil(lambda: panel.state == "no recipes", timeout=5000)
    assert "wsseg doctor" in panel.empty.text()
    panel.session.close()


def test_importing_the_panels_does_not_import_torch() -> None:
    script = (
        "import sys, napari_wsseg._widgets.training.panel;"
        "import napari_wsseg._widgets.runs.panel;"
        "assert 'torch' not in sys.modules and 'trainers' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)


def test_training_starts_on_the_button_alone(qtbot: QtBot, open_panel: Open) -> None:
    panel = open_panel()
    panel.setup.choose("chexseg")
    qtbot.wait(50)
    assert panel.jobs.current is None
    click(qtbot, panel.start_button)
    assert panel.state == "busy"


def test_it_says_what_there_is_to_learn_from(open_panel: Open) -> None:
    panel = open_panel()
    panel.setup.choose("chexseg")
    text = panel.setup.material.text()
    assert "Expert films 4 · weak 4" in text
    assert "2 expert films" in text


def test_p_is_told_as_films_of_a_batch_and_sent_when_it_is_not_the_usual(
    qtbot: QtBot, open_panel: Open
) -> None:
    panel = open_panel()
    panel.setup.choose("chexseg")
    assert "6 or 7 of 8 films" in panel.setup.share.label.text()
    assert panel.setup.settings() == {}
    panel.setup.share.slider.setValue(50)
    assert "4 of 8 films in every batch" in panel.setup.share.label.text()
    assert panel.setup.settings() == {"p": 0.5}
    panel.setup.share.box.setValue(0.125)
    assert panel.setup.settings() == {"p": 0.125}, "the slider must not round it"


def test_settings_survive_a_look_at_another_recipe(open_panel: Open) -> None:
    panel = open_panel()
    panel.setup.choose("chexseg")
    panel.setup.set_settings({"epochs": 7, "p": 0.3})
    panel.setup.choose("classifier")
    panel.setup.choose("chexseg")
    assert panel.setup.settings() == {"epochs": 7, "p": 0.3}


def test_a_recipe_nobody_has_heard_of_gets_a_form_too(open_panel: Open) -> None:
    panel = open_panel()
    panel.setup.choose("mean_teacher")
    assert panel.setup.choice.currentText() == "Mean teacher"
    assert panel.setup.form is not None
    assert panel.state == "ready"


def test_all_stages_run_by_a_preset(qtbot: QtBot, open_panel: Open) -> None:
    panel = open_panel()
    panel.setup.choose(None)
    notes = panel.setup.notes
    assert notes.isHidden()  # nothing is said of fast
    panel.setup.preset.setCurrentIndex(1)
    assert notes.text() == "• Regions below 0.2 % are dropped."
    assert not notes.isHidden()
    click(qtbot, panel.start_button)
    assert isinstance(panel.jobs, FakeJobs)
    request = panel.jobs.requests[0]
    assert (request.recipe, request.preset) == (None, "wsmis")
    panel.setup.choose("classifier")
    assert notes.isHidden()


def test_both_plots_are_drawn_although_one_has_news_with_every_step(
    qtbot: QtBot,
) -> None:
    curves = Curves()
    qtbot.addWidget(curves)
    for step in range(1, 6):
        scores = {"loss": 1 / step, "val_dice": step / 10}
        curves.add([Step(step, 5, "training", scores, None)])
        curves.draw_next()
    for plot, name in ((curves.loss, "loss"), (curves.validation, "val_dice")):
        drawn, _ = plot._lines[name].getData()
        assert max(drawn) >= 4


def test_while_it_runs_curves_progress_and_stop_are_shown(
    qtbot: QtBot, open_panel: Open
) -> None:
    panel = open_panel("slow")
    panel.setup.choose("classifier")
    click(qtbot, panel.start_button)
    curves = panel.watch.curves
    qtbot.waitUntil(lambda: curves.validation.canvas.isVisible(), timeout=10_000)
    assert curves.loss.canvas.isVisible()
    assert "AUROC" in curves.validation.label.text()
    assert "left" in panel.watch.message.text()
    assert panel.watch.bar.maximum() == 2000
    assert not panel.setup.isVisible()
    assert panel.stop_button.isEnabled()
    assert not panel.start_button.isEnabled()


def test_stop_is_answered_at_once_and_ends_in_stopped(
    qtbot: QtBot, open_panel: Open
) -> None:
    panel = open_panel("slow")
    panel.setup.choose("classifier")
    click(qtbot, panel.start_button)
    qtbot.waitUntil(lambda: panel.watch.bar.value() > 0, timeout=10_000)
    click(qtbot, panel.stop_button)
    assert "Stopping after this batch" in panel.watch.message.text()
    assert not panel.stop_button.isEnabled()
    ended(qtbot, panel)
    assert panel.result.headline.text() == "Classifier stopped"
    assert not panel.result.use_button.isVisible()
    assert panel.start_button.isEnabled()


def test_force_stop_appears_when_stop_is_not_heeded(
    qtbot: QtBot, open_panel: Open
) -> None:
    panel = open_panel("deaf")
    panel.setup.choose("classifier")
    click(qtbot, panel.start_button)
    qtbot.waitUntil(lambda: panel.watch.bar.value() > 0, timeout=10_000)
    click(qtbot, panel.stop_button)
    qtbot.waitUntil(lambda: panel.stop_button.text() == "Force stop", timeout=5000)
    click(qtbot, panel.stop_button)
    ended(qtbot, panel)
    assert panel.result.headline.text() == "Classifier was ended"
    assert panel.stop_button.text() == "Stop"


def test_out_of_memory_is_told_with_its_remedy(qtbot: QtBot, open_panel: Open) -> None:
    panel = open_panel("oom")
    panel.setup.choose("classifier")
    click(qtbot, panel.start_button)
    ended(qtbot, panel)
    assert "smaller batch" in panel.result.label.text()
    click(qtbot, panel.result.keep_button)
    assert not panel.result.isVisible()
    assert panel.state == "ready"


def test_a_finished_run_is_offered_and_used_only_when_the_reader_says_so(
    qtbot: QtBot, open_panel: Open
) -> None:
    panel = open_panel("done")
    project = panel.session.project
    assert project is not None
    panel.setup.choose("classifier")
    click(qtbot, panel.start_button)
    ended(qtbot, panel)
    assert "AUROC 0.91" in panel.result.label.text()
    assert project.adopted("cam") is None
    click(qtbot, panel.result.look_button)
    assert project.adopted("cam") is None
    assert panel.session.looking.view == "crf"
    click(qtbot, panel.result.use_button)
    assert {project.adopted(s) for s in ("cam", "crf")} == {
        "classifier-20261121-001530-a1b2"
    }
    assert not panel.result.isVisible()


def test_keeping_the_old_run_changes_nothing(qtbot: QtBot, open_panel: Open) -> None:
    panel = open_panel("done")
    project = panel.session.project
    assert project is not None
    panel.session.adopt("crf", "old")
    panel.setup.choose("classifier")
    click(qtbot, panel.start_button)
    ended(qtbot, panel)
    click(qtbot, panel.result.keep_button)
    assert project.adopted("crf") == "old"


def test_the_result_is_compared_with_the_run_in_use(
    open_panel: Open,
) -> None:
    panel = open_panel()
    project, folder = panel.session.project, folder_of(panel)
    old = make_run(folder, "chexseg", "done", metrics={"val_dice": 0.55})
    new = make_run(folder, "chexseg", "done", metrics={"val_dice": 0.61})
    weak = make_run(folder, "segmentation", "done", metrics={"val_dice": 0.9})
    request = Request(folder, "chexseg")
    end = Ended("done", run=new)
    panel.session.adopt("segmentation", old)
    text = judge(end, request, {"chexseg": new}, project, 25).text
    assert text == "CheXseg: val Dice 0.61 (before 0.55) on 25 expert films"
    # A Dice against weak masks is another figure: it is no "before".
    panel.session.adopt("segmentation", weak)
    text = judge(end, request, {"chexseg": new}, project, 1).text
    assert text == "CheXseg: val Dice 0.61 on 1 expert film"
    end = Ended("done", run=weak)
    text = judge(end, request, {"segmentation": weak}, project, 25).text
    assert text.startswith("Segmentation: val Dice 0.90 against weak masks\nUnevalu")


def test_resume_goes_on_with_the_last_unfinished_run(
    qtbot: QtBot, open_panel: Open
) -> None:
    panel = open_panel()
    folder = folder_of(panel)
    panel.setup.choose("chexseg")
    assert not panel.resume_button.isEnabled()
    run = make_run(folder, "chexseg", "interrupted", last=True)
    make_run(folder, "classifier", "done")
    panel.setup.choose("classifier")
    assert not panel.resume_button.isEnabled(), "a finished run has nothing to resume"
    panel.setup.choose("chexseg")
    assert run in panel.resume_button.toolTip()
    click(qtbot, panel.resume_button)
    assert isinstance(panel.jobs, FakeJobs)
    assert panel.jobs.requests[-1].resume == run


def test_a_resumed_training_is_drawn_from_its_first_step(
    qtbot: QtBot, open_panel: Open
) -> None:
    panel = open_panel("resumed")
    folder = folder_of(panel)
    panel.setup.choose("classifier")
    run = runs.RunFolder(folder / "runs" / RUN)
    made = make_run(folder, "classifier", "stopped", last=True)
    (folder / "runs" / made).rename(run.path)
    for n in range(1, 8):
        run.log_metrics({"step": n, "total": 10, "loss": 100 / n})
        if n == 5:
            run.log_metrics({"step": n, "total": 10, "auroc": 0.7})
    panel.setup.choose("chexseg")
    panel.setup.choose("classifier")
    click(qtbot, panel.resume_button)
    ended(qtbot, panel)
    later = TrainPanel(panel.session, panel.jobs)
    qtbot.addWidget(later)
    for curves in (panel.watch.curves, later.watch.curves):
        loss = curves.loss.series["loss"]
        # Steps 6 and 7 were told before, but not saved: they are trained again.
        assert loss.steps == [*range(1, 11)]
        assert loss.values[4:7] == [20, 1 / 6, 1 / 7]
        assert curves.validation.series["auroc"].steps == [5, 10]


def test_a_panel_opened_later_shows_the_training_that_is_under_way(
    qtbot: QtBot, open_panel: Open
) -> None:
    panel = open_panel("slow")
    panel.setup.choose("classifier")
    click(qtbot, panel.start_button)
    qtbot.waitUntil(lambda: panel.watch.bar.value() > 5, timeout=10_000)
    second = TrainPanel(panel.session, panel.jobs)
    qtbot.addWidget(second)
    second.show()
    assert second.state == "busy"
    assert "loss" in second.watch.curves.loss.series
    click(qtbot, second.stop_button)
    ended(qtbot, panel)
    ended(qtbot, second)


def test_a_closed_panel_is_not_called_by_the_session_any_more(
    qtbot: QtBot, open_panel: Open
) -> None:
    panel = open_panel()
    second = TrainPanel(panel.session, panel.jobs)
    second.show()
    second.deleteLater()
    qtbot.wait(50)
    panel.session.project_changed.emit()


def test_time_is_judged_by_the_last_run(open_panel: Open) -> None:
    panel = open_panel()
    make_run(folder_of(panel), "classifier", "done", settings={"epochs": 10})
    info = runs.listing(folder_of(panel))[0]
    assert estimate(info, {"epochs": 20}) == pytest.approx(2 * 75)
    panel.setup.choose("classifier")
    assert "about 2 min, judged by the last run" in panel.setup.estimate.text()


def test_nothing_is_cut_off_in_a_dock_of_320_pixels(open_panel: Open) -> None:
    panel = open_panel()
    for recipe in (None, "classifier", "chexseg"):
        panel.setup.choose(recipe)
        assert panel.setup.minimumSizeHint().width() <= 300
        assert panel.minimumSizeHint().width() <= 320


def test_everything_is_reached_by_the_keyboard(open_panel: Open, qtbot: QtBot) -> None:
    panel = open_panel()
    panel.setup.choose("chexseg")
    assert panel.setup.form is not None
    panel.setup.form.more.set_open(True)
    reached = walked_by_tab(panel.setup.choice, qtbot)
    fields = [field.native for field in panel.setup.form.widgets.values()]
    for wanted in (panel.setup.share.slider, panel.start_button, *fields):
        assert wanted in reached
    # Greyed out, since no run was stopped.
    assert panel.resume_button.focusPolicy() & Qt.FocusPolicy.TabFocus


@pytest.mark.parametrize(
    ("p", "batch", "message"),
    [
        (0.0, 8, "0 of 8 films in every batch"),
        (1.0, 8, "8 of 8 films in every batch"),
        (0.8, 8, "6 or 7 of 8 films in a batch, 6.4 on average"),
        (0.7, 10, "7 of 10 films in every batch"),
    ],
)
def test_the_realised_share_is_exact(p: float, batch: int, message: str) -> None:
    assert share_in_words(p, batch) == message


def test_material_counts_each_film_once(open_panel: Open) -> None:
    panel = open_panel(films=10, expert=4)
    assert panel.session.project is not None
    assert Material.from_project(panel.session.project) == Material(10, 4, 4, 2)


def test_memory_is_told_before_the_start_in_red_when_it_will_not_fit(
    qtbot: QtBot, open_panel: Open
) -> None:
    panel = open_panel()
    panel.setup.choose("chexseg")
    note, form = panel.setup.memory, panel.setup.form
    assert form is not None
    qtbot.waitUntil(lambda: "1.8 GB of 2.0 GB free" in note.text(), timeout=5000)
    form.widgets["batch"].value = 16
    assert "will not fit" in note.text()
    assert "color:#" in note.text()
    assert "Take 10 films per batch or fewer" in note.text()
    form.widgets["batch"].value = 10
    assert "will not fit" not in note.text()
    assert panel.start_button.isEnabled(), "an estimate forbids nothing"


def test_what_does_not_fit_with_one_film_asks_for_something_smaller() -> None:
    text = replace(ROOM, free=2**20).summary(1)
    assert "will not fit" in text
    assert "smaller working size" in text


def test_after_running_out_of_memory_half_the_batch_is_one_click(
    qtbot: QtBot, open_panel: Open
) -> None:
    panel = open_panel("oom")
    make_run(folder_of(panel), "classifier", "failed", settings={"batch": 8})
    run = runs.listing(folder_of(panel))[0].id
    request = Request(folder_of(panel), "classifier", {"epochs": 3})
    message = "Out of memory: try a smaller batch or size."
    end = Ended("failed", message, run=run)
    verdict = judge(end, request, {"classifier": run}, panel.session.project, 0)
    assert verdict.smaller == {"batch": 4}
    every = judge(end, Request(request.project, None), {"classifier": run}, None, 0)
    assert every.smaller == {"classifier.batch": 4}
    panel.jobs.start(request)
    ended(qtbot, panel)
    panel.result.show_verdict(verdict, may_use=True)
    assert panel.result.retry_button.text() == "Try again with 4 films per batch"
    click(qtbot, panel.result.retry_button)
    again = panel.jobs.requests[-1]  # type: ignore[attr-defined]
    assert again.settings == {"epochs": 3, "batch": 4}


def test_a_run_stopped_while_it_computes_maps_is_not_called_unfinished(
    open_panel: Open,
) -> None:
    panel = open_panel()
    folder = folder_of(panel)
    run = make_run(folder, "chexseg", "done", last=True)
    for state in ("stopped", "killed"):
        end = Ended(state, "its maps were stopped", run=run)  # type: ignore[arg-type]
        request = Request(folder, "chexseg")
        verdict = judge(end, request, {"chexseg": run}, panel.session.project, 0)
        assert verdict.headline == "CheXseg is done, its maps are not"
        assert "Resume" not in verdict.text
        assert verdict.usable == {"segmentation": run}


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
    ended(qtbot, panel)
    plot = panel.watch.sweep
    assert plot.isVisible()
    assert "Best so far at p = 0.8: IoU 0.400 over 1 trial" in plot.label.text()
    assert "effusion" in plot.legend.text()
    click(qtbot, panel.result.keep_button)
    assert box.earlier.currentText() == "chexseg-p-0000"
    assert box.resume_button.text() == "Go on (3/4)"
    click(qtbot, box.resume_button)
    again = panel.jobs.requests[-1]  # type: ignore[attr-defined]
    assert again.sweep == Sweep("p", ("0.2", "0.8"), 2, "chexseg-p-0000")
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


def test_a_run_that_nobody_has_evaluated_is_not_the_default(open_panel: Open) -> None:
    panel = open_panel()
    run = make_run(folder_of(panel), "segmentation", "done", metrics={"val_dice": 0.9})
    request, end = Request(folder_of(panel), "segmentation"), Ended("done", run=run)
    made = {"segmentation": run}
    verdict = judge(end, request, made, panel.session.project, 1)
    assert verdict.unevaluated
    panel.result.show_verdict(verdict, may_use=True)
    assert panel.result.use_button.text() == "Use it unevaluated"
    assert panel.result.keep_button.isDefault()
    runs.find(folder_of(panel), run).keep_evaluation("val", {"n_with_expert_masks": 3})
    verdict = judge(end, request, made, panel.session.project, 1)
    panel.result.show_verdict(verdict, may_use=True)
    assert panel.result.use_button.isDefault()


def test_a_form_begins_by_the_settings_of_the_run_in_use(
    open_panel: Open, qtbot: QtBot
) -> None:
    panel = open_panel()
    settings = {"epochs": 7, "batch": 4, "p": 0.5, "n_expert": 0}
    run = make_run(folder_of(panel), "chexseg", "done", settings=settings)
    panel.session.adopt("segmentation", run)
    panel.setup.choose("chexseg")
    qtbot.waitUntil(
        lambda: panel.setup.settings() == {"epochs": 7, "batch": 4, "p": 0.5},
        timeout=5000,
    )
    # What one has entered stays, whatever is in use.
    panel.setup.set_settings({"epochs": 9})
    panel._recount()
    assert panel.setup.settings()["epochs"] == 9
    panel.setup.choose("classifier")
    assert panel.setup.settings() == {}


def test_a_preset_that_runs_in_use_were_trained_by_is_kept_for_all_that_follows(
    open_panel: Open, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_recipes, "_known", [recipe_cards.LOADED])
    panel = open_panel()
    setup = panel.setup
    assert setup.preset.currentData() == "fast"
    settings = {"epochs": 5, "batch": 32, "flip": True}
    run = make_run(folder_of(panel), "classifier", "done", settings=settings)
    panel.session.adopt("cam", run)
    qtbot.waitUntil(lambda: setup.preset.currentData() == "wsmis", timeout=5000)
    assert setup.request(folder_of(panel)).preset == "wsmis"
    settings = {"epochs": 16, "batch": 16, "flip": False}
    run = make_run(folder_of(panel), "classifier", "done", settings=settings)
    panel.session.adopt("cam", run)
    panel.session.adopt("crf", run)
    qtbot.waitUntil(lambda: setup.preset.currentData() == "fast", timeout=5000)
    # What was never trained here begins by that preset, too, and not by the defaults.
    setup.choose("chexseg")
    assert setup.settings() == {"epochs": 28, "flip": False}
    # A preset that one has chosen stays.
    setup.choose(None)
    setup.preset.setCurrentIndex(setup.preset.findData("wsmis"))
    panel._recount()
    assert setup.preset.currentData() == "wsmis"

"""Trainings under way, stopped, ended and resumed: shown as they are."""

from __future__ import annotations

import pytest
from pytestqt.qtbot import QtBot

from helpers.fake_training import RUN
from helpers.train_panel import Open, click, ended, folder_of
from helpers.training_project import FakeJobs, make_run
from napari_wsseg._widgets.processes.events import Ended, Step
from napari_wsseg._widgets.processes.requests import Request
from napari_wsseg._widgets.training import progress
from napari_wsseg._widgets.training.curves import Curves
from napari_wsseg._widgets.training.outcome import judge
from napari_wsseg._widgets.training.panel import TrainPanel
from napari_wsseg.io import runs

pytestmark = pytest.mark.gui


def test_training_starts_on_the_button_alone(qtbot: QtBot, open_panel: Open) -> None:
    panel = open_panel()
    panel.setup.choose("chexseg")
    qtbot.wait(50)
    assert panel.jobs.current is None
    click(qtbot, panel.start_button)
    assert panel.state == "busy"


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


def test_an_axis_of_shares_ends_where_shares_end(qtbot: QtBot) -> None:
    curves = Curves()
    qtbot.addWidget(curves)
    for step, score in enumerate((0.2, 0.7, 1.0)):
        curves.add([Step(step, 5, "training", {"val_auroc": score}, None)])
        curves.draw()
        low, high = curves.validation._view().viewRange()[1]
        assert low >= -0.05, "no number below none"
        assert high <= 1.05, "no number above all"
    curves.add([Step(4, 5, "training", {"val_millimetres": 7.0}, None)])
    curves.draw()
    assert curves.validation._view().viewRange()[1][1] > 7


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
    panel.result.show_verdict(verdict, may_write=False)
    assert not panel.result.retry_button.isEnabled()
    assert "may only look" in panel.result.retry_button.toolTip()
    panel.result.show_verdict(verdict, may_write=True)
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


def test_a_run_that_nobody_has_evaluated_is_not_the_default(open_panel: Open) -> None:
    panel = open_panel()
    run = make_run(folder_of(panel), "segmentation", "done", metrics={"val_dice": 0.9})
    request, end = Request(folder_of(panel), "segmentation"), Ended("done", run=run)
    made = {"segmentation": run}
    verdict = judge(end, request, made, panel.session.project, 1)
    assert verdict.unevaluated
    panel.result.show_verdict(verdict, may_write=True)
    assert panel.result.use_button.text() == "Use it unevaluated"
    assert panel.result.keep_button.isDefault()
    runs.find(folder_of(panel), run).keep_evaluation("val", {"n_with_expert_masks": 3})
    verdict = judge(end, request, made, panel.session.project, 1)
    panel.result.show_verdict(verdict, may_write=True)
    assert panel.result.use_button.isDefault()


@pytest.mark.parametrize(
    ("eta", "whole", "words"),
    [
        (0.0, None, ""),
        (0.4, 0.2, ""),
        (None, None, ""),
        (30.0, None, ", about 30 s left"),
        (0.0, 120.0, ", about 2 min left for all stages"),
    ],
)
def test_no_second_is_told_to_be_left_while_there_is_tidying_up(
    eta: float | None, whole: float | None, words: str
) -> None:
    assert progress._left(Step(9, 9, "training", {}, eta, whole_eta_s=whole)) == words


def test_the_time_of_a_preparation_is_not_told_as_that_of_the_training() -> None:
    reading = Step(3, 36, "reading films", {}, 9.0)
    assert progress._left(reading) == ", about 9 s left of this step"

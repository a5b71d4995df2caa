"""The Runs panel: every run is found again, compared, used and resumed."""

from __future__ import annotations

import shutil
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from pytestqt.qtbot import QtBot
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QTableWidget

from helpers.pointer import turn_wheel
from helpers.training_project import (
    FAKE,
    FakeJobs,
    make_run,
    open_session,
)
from napari_wsseg._widgets.processes.score_job import Scoring
from napari_wsseg._widgets.runs import details as _details
from napari_wsseg._widgets.runs import rules
from napari_wsseg._widgets.runs.compare_masks import MasksWindow
from napari_wsseg._widgets.runs.panel import RunsPanel
from napari_wsseg.io import runs, stages
from napari_wsseg.io.project import Project
from napari_wsseg.schema import StageMaps, StageSettings
from napari_wsseg.session import Session

pytestmark = pytest.mark.gui


@pytest.fixture(autouse=True)
def score(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Let films be scored by a process in name only; its mode may be changed."""
    mode = ["score"]

    def command(self: Scoring, folder: Path, stage: str, run: str) -> list[str]:
        return [sys.executable, str(FAKE), mode[0], str(folder)]

    monkeypatch.setattr(Scoring, "_command", command)
    return mode


@pytest.fixture
def project(session: Session) -> Project:
    assert session.project is not None
    return session.project


def opened(qtbot: QtBot, session: Session, mode: str = "slow") -> RunsPanel:
    panel = RunsPanel(session, FakeJobs(mode))
    qtbot.addWidget(panel)
    panel.resize(320, 640)
    panel.show()
    return panel


def pick(panel: RunsPanel, *runs: str) -> None:
    table = panel.table
    table.clearSelection()
    table.setSelectionMode(QTableWidget.SelectionMode.MultiSelection)
    for row, info in enumerate(panel.infos):
        if info.id in runs:
            table.selectRow(row)
    table.setSelectionMode(QTableWidget.SelectionMode.ExtendedSelection)


def texts(table: QTableWidget) -> list[list[str]]:
    return [
        [table.item(row, column).text() for column in range(table.columnCount())]
        for row in range(table.rowCount())
    ]


def click(qtbot: QtBot, button: object) -> None:
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)


def test_an_empty_list_says_what_to_do(qtbot: QtBot, session: Session) -> None:
    panel = opened(qtbot, session)
    assert "Start one in the Train panel" in panel.empty.text()
    assert not panel.use_button.isVisible()
    bare = opened(qtbot, open_session())
    assert "No project is open" in bare.empty.text()


def test_a_run_folder_that_cannot_be_read_is_named(
    qtbot: QtBot, session: Session, project: Project
) -> None:
    whole = make_run(project.folder, "classifier", "done")
    torn = make_run(project.folder, "irnet", "done")
    (project.folder / "runs" / torn / "config.json").write_text("{torn")
    panel = opened(qtbot, session)
    assert [info.id for info in panel.infos] == [whole]
    assert torn in panel.damaged.text()
    assert "1 run cannot be read" in panel.damaged.text()
    assert f"{torn}: config.json cannot be read as JSON" in panel.damaged.text()
    assert panel.damaged.isVisible()
    shutil.rmtree(project.folder / "runs" / torn)
    panel.refresh()
    assert not panel.damaged.isVisible()


def test_rows_grow_with_their_words_when_the_panel_gets_narrow(
    qtbot: QtBot, session: Session, project: Project
) -> None:
    figures = {"val_auroc": 0.5667, "val_auroc_low": 0.17, "val_auroc_high": 0.87}
    make_run(
        project.folder, "classifier", "done", metrics={**figures, "val_auroc_films": 5}
    )
    panel = opened(qtbot, session)
    panel.resize(900, 640)
    qtbot.waitUntil(lambda: panel.table.columnWidth(3) > 200)
    qtbot.waitUntil(lambda: panel.table.rowHeight(0) < 60)
    wide = panel.table.rowHeight(0)
    panel.resize(300, 640)
    qtbot.waitUntil(lambda: panel.table.rowHeight(0) > wide)


def test_every_state_is_told_in_a_word_and_a_sign(
    qtbot: QtBot, session: Session, project: Project
) -> None:
    for state in ("done", "stopped", "failed", "interrupted"):
        make_run(project.folder, "classifier", state)
    panel = opened(qtbot, session)
    assert {row[2] for row in texts(panel.table)} == {
        "✓ done",
        "■ stopped",
        "✗ failed",
        "‖ interrupted",
    }


def test_a_run_is_put_in_use_and_the_one_before_brought_back(
    qtbot: QtBot, session: Session, project: Project
) -> None:
    old = make_run(project.folder, "chexseg", "done", stages=("segmentation",))
    new = make_run(project.folder, "chexseg", "done", stages=("segmentation",))
    panel = opened(qtbot, session)
    for run in (new, old):
        pick(panel, run)
        click(qtbot, panel.use_button)
        assert project.adopted("segmentation") == run
        in_use = [
            info.id
            for info, row in zip(panel.infos, texts(panel.table), strict=True)
            if row[0]
        ]
        assert in_use == [run]
        assert not panel.use_button.isEnabled(), "it is in use already"


def test_a_run_without_masks_cannot_be_used(
    qtbot: QtBot, session: Session, project: Project
) -> None:
    run = make_run(project.folder, "chexseg", "failed")
    panel = opened(qtbot, session)
    pick(panel, run)
    assert not panel.use_button.isEnabled()
    assert "have not been made" in panel.use_button.toolTip()


def test_a_run_in_full_shows_settings_figures_and_what_it_learnt_from(
    qtbot: QtBot, session: Session, project: Project
) -> None:
    run = make_run(
        project.folder,
        "chexseg",
        "done",
        settings={"p": 0.8, "epochs": 12},
        metrics={"val_dice": 0.61},
    )
    panel = opened(qtbot, session)
    pick(panel, run)
    rows = dict(texts(panel.details))
    assert rows["Run"] == run
    assert rows["val Dice"] == "0.61"
    assert rows["Learnt from"] == "8 films, 4 expert"
    assert rows["p"] == "0.8"


def test_two_runs_are_compared_by_what_differs(
    qtbot: QtBot, session: Session, project: Project
) -> None:
    shared = {"epochs": 12}
    one = make_run(
        project.folder,
        "chexseg",
        "done",
        settings={**shared, "p": 0.5},
        metrics={"val_dice": 0.55},
    )
    other = make_run(
        project.folder,
        "chexseg",
        "done",
        settings={**shared, "p": 0.8},
        metrics={"val_dice": 0.61},
    )
    panel = opened(qtbot, session)
    pick(panel, one, other)
    rows = {row[0]: set(row[1:]) for row in texts(panel.details)}
    assert rows["p"] == {"0.5", "0.8"}
    assert "epochs" not in rows
    assert len(rows["val Dice"]) == 2
    assert not panel.use_button.isEnabled()


def test_stopped_runs_resume_and_finished_ones_do_not(
    qtbot: QtBot, session: Session, project: Project
) -> None:
    stopped = make_run(project.folder, "chexseg", "stopped", last=True)
    done = make_run(project.folder, "chexseg", "done", last=True)
    panel = opened(qtbot, session, "done")
    pick(panel, done)
    assert not panel.resume_button.isEnabled()
    pick(panel, stopped)
    click(qtbot, panel.resume_button)
    assert isinstance(panel.jobs, FakeJobs)
    assert panel.jobs.requests[0].resume == stopped
    assert panel.jobs.current is not None
    with qtbot.waitSignal(panel.jobs.ended, timeout=10_000):
        pass


def test_a_window_that_may_only_look_changes_no_run_and_says_why(
    qtbot: QtBot, session: Session, project: Project
) -> None:
    folder = project.folder
    first = make_run(folder, "chexseg", "done", stages=("segmentation",))
    done = make_run(folder, "chexseg", "done", stages=("segmentation",))
    stopped = make_run(folder, "chexseg", "stopped", last=True)
    panel = opened(qtbot, session)
    session.adopt("segmentation", first)
    session.adopt("segmentation", done)
    panel.scoring.stop()
    writes = {panel.use_button, panel.roll_button, panel.resume_button}
    writes |= {panel.evaluate_button, panel.strip.button}

    def enabled() -> set[object]:
        found = set()
        for run in (first, done, stopped):
            pick(panel, run)
            panel.strip.refresh()
            found |= {button for button in writes if button.isEnabled()}
        return found

    assert enabled() == writes, "each has a run that it is for"
    session.close()
    with Project.open(folder, write=True):
        session.open_project(folder)
        assert session.readonly
        assert enabled() == set()
        for button in writes:
            assert "may only look" in button.toolTip()
        for run in (done, stopped):
            pick(panel, run)
            panel.resume()
            panel.evaluate()
            panel.scoring.start()
            assert panel.log_button.isEnabled(), "looking is for everyone"
        pick(panel, first, done)
        assert panel.compare_button.isEnabled()
        session.stages_changed.emit()
        assert panel.jobs.current is None
        assert not panel.evaluation.busy
        assert not panel.scoring.busy
        session.close()
    session.open_project(folder)
    assert enabled() == writes


def test_the_log_opens_beside_the_window(
    qtbot: QtBot, session: Session, project: Project
) -> None:
    run = make_run(project.folder, "irnet", "failed")
    panel = opened(qtbot, session)
    pick(panel, run)
    window = panel.open_log()
    assert window is not None
    assert f"log of {run}" in window.text.toPlainText()
    window.close()


def test_the_list_follows_a_training_and_keeps_the_selection(
    qtbot: QtBot, session: Session, project: Project
) -> None:
    old = make_run(project.folder, "irnet", "done")
    panel = opened(qtbot, session, "done")
    panel._clock.setInterval(50)
    pick(panel, old)
    from napari_wsseg._widgets.processes.requests import Request

    with qtbot.waitSignal(panel.jobs.ended, timeout=10_000):
        panel.jobs.start(Request(project.folder, "classifier"))
        new = make_run(project.folder, "classifier", "interrupted")
        qtbot.waitUntil(lambda: any(i.id == new for i in panel.infos), timeout=5000)
    assert [info.id for info in panel.selected()] == [old]


def test_a_damaged_run_folder_does_not_hide_the_others(
    qtbot: QtBot, session: Session, project: Project
) -> None:
    run = make_run(project.folder, "irnet", "done")
    broken = project.folder / "runs" / "classifier-x"
    broken.mkdir()
    (broken / "config.json").write_text("{")
    (project.folder / "runs" / run / "data.lock.json").write_text("[")
    panel = opened(qtbot, session)
    pick(panel, run)
    assert dict(texts(panel.details))["Learnt from"] == "—"


def test_two_hundred_runs_are_listed_without_a_stall(
    qtbot: QtBot, session: Session, project: Project
) -> None:
    first = make_run(project.folder, "irnet", "done")
    for n in range(200):
        shutil.copytree(
            project.folder / "runs" / first, project.folder / "runs" / f"irnet-{n}"
        )
    panel = opened(qtbot, session)
    began = time.perf_counter()
    panel.refresh()
    assert time.perf_counter() - began < 0.25


def test_the_panel_fits_a_narrow_dock(
    qtbot: QtBot, session: Session, project: Project
) -> None:
    make_run(project.folder, "chexseg", "done", metrics={"val_dice": 0.6})
    panel = opened(qtbot, session)
    assert panel.minimumSizeHint().width() <= 320
    assert panel.width() == 320


def test_a_run_without_a_stage_has_nothing_to_be_put_in_use_for() -> None:
    from napari_wsseg._widgets.training.outcome import stages_of

    assert stages_of("moco") == ()
    assert stages_of("tied_deconv") == ("cam", "crf")
    assert stages_of("mine", ("irnet",)) == ("irnet",)


def test_one_click_uses_again_what_was_used_before(
    qtbot: QtBot, session: Session, project: Project
) -> None:
    old = make_run(project.folder, "chexseg", "done", stages=("segmentation",))
    new = make_run(project.folder, "chexseg", "done", stages=("segmentation",))
    panel = opened(qtbot, session)
    assert not panel.roll_button.isEnabled()
    for run in (old, new):
        session.adopt("segmentation", run)
    panel.refresh()
    assert old in panel.roll_button.toolTip()
    click(qtbot, panel.roll_button)
    assert project.adopted("segmentation") == old
    click(qtbot, panel.roll_button)
    assert project.adopted("segmentation") == new


def test_an_unevaluated_run_is_stamped_until_experts_have_been_asked(
    qtbot: QtBot, session: Session, project: Project
) -> None:
    weak = make_run(project.folder, "segmentation", "done", metrics={"val_dice": 0.9})
    mixed = make_run(project.folder, "chexseg", "done", metrics={"val_dice": 0.6})
    panel = opened(qtbot, session)
    rows = {i.id: r for i, r in zip(panel.infos, texts(panel.table), strict=True)}
    assert "⚠ unevaluated" in rows[weak][3]
    assert "unevaluated" not in rows[mixed][3]
    scores = {"pos_iou": 0.412, "interval": {"pos_iou": [0.35, 0.47]}}
    result = {"n_with_expert_masks": 2, "stages": {"segmentation": scores}}
    runs.find(project.folder, weak).keep_evaluation("val", result)
    panel.refresh()
    pick(panel, weak)
    assert "unevaluated" not in texts(panel.table)[len(panel.infos) - 1][3]
    details = dict(texts(panel.details))
    assert details["val IoU · segmentation"] == "0.412 [0.350, 0.470]"
    one, other = (runs.find(project.folder, run).info() for run in (weak, mixed))
    compared = {row[0]: row[1:] for row in _details.compare(project.folder, one, other)}
    assert compared["val IoU · segmentation"] == ("0.412 [0.350, 0.470]", "—")


def test_putting_a_run_in_use_scores_the_rest_and_leaves_the_open_film(
    qtbot: QtBot, session: Session, project: Project
) -> None:
    run = make_run(project.folder, "chexseg", "done", stages=("segmentation",))
    panel = opened(qtbot, session)
    case, shown = session.case, session.opened
    changes: list[None] = []
    session.stages_changed.connect(lambda: changes.append(None))
    pick(panel, run)
    click(qtbot, panel.use_button)
    assert panel.scoring.busy
    assert panel.strip.isVisible()
    qtbot.waitUntil(lambda: not panel.scoring.busy, timeout=10_000)
    assert session.case is case
    assert session.experts is not None
    assert shown is not None
    assert session.opened is not None
    assert session.opened.masks is shown.masks
    assert len(changes) >= 2, "the worklist is told when more scores are there"
    assert "have no maps" in panel.strip.label.text(), "the process only pretended"


def test_scoring_can_be_cancelled_and_gone_on_with(
    qtbot: QtBot, session: Session, project: Project, score: list[str]
) -> None:
    run = make_run(project.folder, "chexseg", "done", stages=("segmentation",))
    score[0] = "score-slowly"
    panel = opened(qtbot, session)
    session.adopt("segmentation", run)
    qtbot.waitUntil(lambda: panel.scoring.done == 1, timeout=10_000)
    assert "1 of 100" in panel.strip.label.text()
    assert panel.strip.button.text() == "Cancel"
    click(qtbot, panel.strip.button)
    assert not panel.scoring.busy
    assert panel.strip.button.text() == "Score them"
    score[0] = "score"
    click(qtbot, panel.strip.button)
    qtbot.waitUntil(lambda: not panel.scoring.busy, timeout=10_000)


def test_the_masks_of_two_runs_are_compared_film_by_film(
    qtbot: QtBot, session: Session, project: Project
) -> None:
    made = []
    for column in (slice(0, 12), slice(6, 18)):
        run = make_run(project.folder, "chexseg", "done", stages=("segmentation",))
        made.append(run)
        score = np.zeros((2, 24, 24), np.float32)
        score[0, 4:16, column] = 1
        maps = StageMaps(score=score, present=np.ones(2, np.float32))
        for case in project.cases():
            stages.write(project.folder, "segmentation", run, case.id, maps)
        names = ("effusion", "nodule")
        settings = StageSettings(names, (0.5, 0.5), (0.0, 0.0))
        stages.write_settings(project.folder, "segmentation", run, settings)
    panel = opened(qtbot, session)
    pick(panel, *made)
    click(qtbot, panel.compare_button)
    window = panel.findChild(MasksWindow)
    assert window is not None
    qtbot.waitUntil(lambda: window.table.rowCount() == 2, timeout=10_000)
    effusion, nodule = texts(window.table)
    assert 0.3 < float(effusion[1]) < 0.7
    assert effusion[2:] == ["10", "0", "0"]
    assert nodule[1:3] == ["—", "0"]
    qtbot.waitUntil(lambda: window.views[2].pixmap() is not None, timeout=5000)
    here = window.film.currentIndex(), window.finding.currentIndex()
    for box in (window.film, window.finding):
        turn_wheel(box)
        turn_wheel(box, 120)
        turn_wheel(box, 120)
    assert here == (window.film.currentIndex(), window.finding.currentIndex())
    window.close()


def test_what_an_earlier_version_adopted_for_the_classifier_is_not_shown_as_in_use(
    qtbot: QtBot, session: Session, project: Project
) -> None:
    old = make_run(project.folder, "classifier", "done", stages=("cam", "crf"))
    for stage in ("classifier", "cam", "crf"):
        project.adopt(stage, old, actor="window")
    new = make_run(project.folder, "classifier", "done", stages=("cam", "crf"))
    for stage in ("cam", "crf"):
        project.adopt(stage, new, actor="command line")
    assert rules.in_use(project) == {new: ["cam", "crf"]}
    panel = opened(qtbot, session)
    signs = [panel.table.item(row, 0).text() for row in range(2)]
    assert sorted(signs) == ["", "●"]


def test_a_figure_stands_with_its_bounds_and_the_films_it_rests_on(
    session: Session, project: Project
) -> None:
    found = {
        "val_auroc": 1.0,
        "val_auroc_low": 0.836,
        "val_auroc_high": 1.0,
        "val_auroc_films": 25.0,
    }
    run = make_run(project.folder, "classifier", "done", metrics=found)
    info = runs.find(project.folder, run).info()
    assert _details.score(info) == "val AUROC 1 [0.84, 1.00] on 25 films"
    rows = dict(_details.details(project.folder, info))
    assert rows["val AUROC"] == "1 [0.84, 1.00] on 25 films"
    assert not any("films" in name or "low" in name for name in rows if "AUROC" in name)

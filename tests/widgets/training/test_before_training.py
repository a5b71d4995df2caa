"""What the Train panel says and offers before a training starts."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Generator, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from pytestqt.qtbot import QtBot
from qtpy.QtCore import Qt

from helpers import recipe_cards
from helpers.tab_walk import walked_by_tab
from helpers.train_panel import LOADED, ROOM, Open, folder_of
from helpers.training_project import FakeJobs, make_project, make_run, open_session
from napari_wsseg._widgets.processes import recipes as _recipes
from napari_wsseg._widgets.processes.recipes import Loaded
from napari_wsseg._widgets.training.data_summary import Material, share_in_words
from napari_wsseg._widgets.training.panel import TrainPanel
from napari_wsseg._widgets.training.setup import estimate
from napari_wsseg.io import runs
from napari_wsseg.io.project import Project
from trainers.settings import suited

pytestmark = pytest.mark.gui


def test_without_a_project_it_says_what_to_do(open_panel: Open) -> None:
    panel = open_panel(project=False)
    assert panel.state == "no project"
    assert "make a new one" in panel.empty.text()
    assert not panel.start_button.isEnabled()


def test_without_films_it_says_what_to_do(open_panel: Open) -> None:
    panel = open_panel(films=0, expert=0)
    assert panel.state == "missing data"
    assert "holds no films" in panel.caution.text()


def test_a_window_that_may_only_look_starts_no_training_and_says_why(
    open_panel: Open,
) -> None:
    panel = open_panel()
    assert panel.start_button.isEnabled()
    folder = panel.session.project.folder
    panel.session.close()
    with Project.open(folder, write=True):
        panel.session.open_project(folder)
        assert panel.session.readonly
        panel._refresh()
        assert panel.state == "read only"
        assert "may only look" in panel.empty.text()
        assert panel.empty.isVisible()
        assert not panel.setup.isVisible()
        assert not panel.start_button.isEnabled()
        assert not panel.resume_button.isEnabled()
        panel.start()
        panel.start_sweep()
        assert panel.jobs.current is None
        panel.session.close()
    panel.session.open_project(folder)
    panel._refresh()
    assert panel.start_button.isEnabled()


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
    assert "no earlier run" in setup.estimate.text()
    for recipe, stage in {"irnet": "irnet", "segmentation": "segmentation"}.items():
        panel.session.adopt(stage, make_run(folder_of(panel), recipe, "done"))
    qtbot.waitUntil(lambda: "about 4 min" in setup.estimate.text(), timeout=5000)
    # What was never trained here begins by that preset, too, and not by the defaults.
    setup.choose("chexseg")
    assert setup.settings() == {"epochs": 28, "flip": False}
    # A preset that one has chosen stays.
    setup.choose(None)
    setup.preset.setCurrentIndex(setup.preset.findData("wsmis"))
    panel._recount()
    assert setup.preset.currentData() == "wsmis"
    assert "no earlier run" in setup.estimate.text(), "theirs were of another preset"


@pytest.mark.parametrize(
    ("findings", "epochs", "why"),
    [
        (["cardiomegaly"], 12, "every finding is an organ"),
        (["cardiomegaly", "nodule"], 80, "nodule may lie anywhere"),
    ],
)
def test_auto_is_what_the_commands_take_for_the_projects_findings(
    open_panel: Open,
    monkeypatch: pytest.MonkeyPatch,
    qtbot: QtBot,
    tmp_path: Path,
    findings: list[str],
    epochs: int,
    why: str,
) -> None:
    loaded = replace(
        recipe_cards.LOADED,
        presets=("auto", "fast"),
        auto={
            kind: {
                "settings": {
                    "classifier": {"epochs": 16, "batch": 16},
                    "chexseg": {"epochs": how},
                },
                "note": suited.SUITED[kind].note,
            }
            for kind, how in (("organs", 12), ("lesions", 80))
        },
        preset_settings={"auto": {}, "fast": {"classifier": {"epochs": 3}}},
    )
    monkeypatch.setattr(_recipes, "_known", [loaded])
    panel = open_panel(project=False)
    setup = panel.setup
    folder = make_project(tmp_path, films=4, expert=1, findings=findings)
    panel.session.open_project(folder)
    qtbot.waitUntil(lambda: panel.state == "ready", timeout=5000)
    qtbot.waitUntil(lambda: bool(setup.notes.text()), timeout=5000)
    assert why in setup.notes.text().casefold()
    settings = {"epochs": 16, "batch": 16}
    run = make_run(folder, "classifier", "done", settings=settings)
    panel.session.adopt("cam", run)
    panel._recount()
    setup.choose("chexseg")
    assert setup.settings()["epochs"] == epochs

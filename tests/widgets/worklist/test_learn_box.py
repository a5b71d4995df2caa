"""Learning while films are read, in the window."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from qtpy.QtCore import QObject, Signal

from helpers import learning_project, noise_project
from napari_wsseg._widgets.canvas.bench import Workbench
from napari_wsseg._widgets.processes import live_job
from napari_wsseg._widgets.processes.events import Ended, Started, Step
from napari_wsseg._widgets.worklist.learn_box import LearnBox
from napari_wsseg.io import runs, stages
from napari_wsseg.schema import StageMaps, StageSettings
from napari_wsseg.session import learning

pytestmark = pytest.mark.gui

START = "segmentation-20261121-000000-bbbb"


class FakeJob(QObject):
    """A process that says what the test wants."""

    reported = Signal(tuple)
    ended = Signal(object)
    made: list[FakeJob]

    def __init__(self, request: Any, *, command: list[str]) -> None:
        super().__init__()
        self.request, self.command = request, command
        self.run: str | None = None
        self.alive = True
        self.stopped = False
        FakeJob.made.append(self)

    def stop(self) -> None:
        self.stopped = True

    def close(self) -> None:
        self.stopped, self.alive = True, False

    def begin(self, run: str) -> None:
        self.run = run
        self.reported.emit((Started(run, "live", 1, "cpu"),))

    def say(self, message: str, **metrics: float) -> None:
        self.reported.emit((Step(1, 0, message, metrics, None),))

    def end(self) -> None:
        self.alive = False
        self.ended.emit(Ended("stopped", ""))


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a project with a segmenter in use; processes are fake."""
    FakeJob.made = []
    monkeypatch.setattr(live_job, "Job", FakeJob)
    monkeypatch.setattr(learning, "weak_machine", lambda: "")
    place = noise_project.make_project(tmp_path, cases=6)
    noise_project.add_stage(place, "segmentation", START)
    noise_project.adopt(place, "segmentation", START)
    folder = place / "runs" / START
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "best.safetensors").touch()
    return place


def live_run(place: Path) -> str:
    """Make the run of a learner that began from the segmenter in use."""
    return runs.new(place, "live", {"start_run": START}).id


def draw(place: Path, run: str, case_id: str) -> None:
    """Leave what the learner draws of a film: all of it."""
    findings = noise_project.FINDINGS
    settings = StageSettings(findings, (0.5, 0.5), (0.5, 0.5))
    score = np.ones((len(findings), 16, 16), np.float32)
    maps = StageMaps(score=score, present=np.ones(len(findings), np.float32))
    stages.write(place, "segmentation", run, case_id, maps)
    stages.write_settings(place, "segmentation", run, settings)


def box_of(bench: Workbench) -> LearnBox:
    assert bench.main_window is not None
    found = bench.main_window.findChild(LearnBox)
    assert found is not None
    return found


def shown(bench: Workbench) -> str:
    assert bench.session.opened is not None
    return bench.session.opened.shown.runs.get("segmentation", "")


def go_to(bench: Workbench, case_id: str, qtbot: Any) -> None:
    bench.session.go_to(case_id)
    qtbot.waitUntil(
        lambda: bench.session.case is not None and bench.session.case.id == case_id,
        timeout=9000,
    )


def test_drafts_of_the_next_films_are_renewed_and_the_one_on_screen_is_not(
    open_bench: Callable[..., Workbench], place: Path, qtbot: Any
) -> None:
    bench = open_bench(place)
    box, films = box_of(bench), noise_project.case_ids(place)
    assert not box.box.isChecked()  # off at first
    assert FakeJob.made == []
    box.box.click()
    (job,) = FakeJob.made
    assert "--reader" not in job.command
    run = live_run(place)
    job.begin(run)
    assert runs.find(place, run).wishes() == films[1:]
    here = shown(bench)
    for film in films:
        draw(place, run, film)
    job.say("learnt from 5 films; drafts renewed", films_learnt=5, drafts=6)
    assert box.line.text() == "learnt from 5 films; drafts renewed"
    assert shown(bench) == here == START
    go_to(bench, films[1], qtbot)
    assert shown(bench) == run
    drawn = bench.session.draft("segmentation", "nodule", noise_project.SHAPE)
    assert drawn is not None
    assert drawn.all()
    assert runs.find(place, run).wishes() == [*films[2:], films[0]]
    box.box.click()
    assert job.stopped
    assert box.line.text() == ""


def test_it_makes_room_for_a_training_and_goes_on_after_it(
    open_bench: Callable[..., Workbench], place: Path, qtbot: Any
) -> None:
    bench = open_bench(place)
    box = box_of(bench)
    box.box.click()
    first = FakeJob.made[0]
    box.learner._make_room()
    assert first.stopped
    assert "waits until the training is over" in box.line.text()
    box.learner._after_training()
    assert len(FakeJob.made) == 1  # not beside the one that still saves
    first.end()
    assert len(FakeJob.made) == 2
    FakeJob.made[1].ended.emit(Ended("failed", "no film is held out"))
    assert not box.box.isChecked()
    assert box.line.text() == "learning ended: no film is held out"


def test_no_film_of_another_arm_than_the_loop_shows_what_is_learnt(
    open_bench: Callable[..., Workbench], place: Path, qtbot: Any
) -> None:
    bench = open_bench(place)
    session, films = bench.session, noise_project.case_ids(place)
    session.read_as("ann", arm="random")
    qtbot.waitUntil(lambda: session.case is not None, timeout=9000)
    bench.loading.drain()
    box = box_of(bench)
    box.box.click()
    (job,) = FakeJob.made
    # Who takes part in a study is taught by nobody else.
    assert job.command[-2:] == ["--reader", "ann"]
    run = live_run(place)
    job.begin(run)
    for film in films:
        draw(place, run, film)
    job.say("learnt from 1 film; drafts renewed", films_learnt=1, drafts=6)
    wanted = {"blank": "", "draft": START, "loop": run}
    assert set(map(session.arm_of, films)) == set(wanted)
    other = next(film for film in films if session.case and film != session.case.id)
    for film in [other, *(one for one in films if one != other)]:
        go_to(bench, film, qtbot)
        assert shown(bench) == wanted[session.arm_of(film)], session.arm_of(film)


@pytest.mark.parametrize("arm", ["blank", "draft"])
def test_where_nothing_new_is_offered_nothing_is_learnt(
    open_bench: Callable[..., Workbench], place: Path, qtbot: Any, arm: str
) -> None:
    bench = open_bench(place)
    box = box_of(bench)
    box.box.click()
    (job,) = FakeJob.made
    bench.session.read_as("ann", arm=arm)
    assert job.stopped
    assert not box.box.isChecked()
    assert not box.box.isEnabled()
    assert arm in box.box.toolTip()


def test_a_run_without_weights_cannot_go_on_learning(
    open_bench: Callable[..., Workbench], place: Path
) -> None:
    (place / "runs" / START / "best.safetensors").unlink()
    box = box_of(open_bench(place))
    assert not box.box.isEnabled()
    assert "has no weights here" in box.line.text()


def test_a_machine_that_cannot_bear_it_says_why(
    open_bench: Callable[..., Workbench], place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(learning, "weak_machine", lambda: "one core")
    box = box_of(open_bench(place))
    assert not box.box.isEnabled()
    assert box.line.text() == "off: one core"


@pytest.mark.slow
@pytest.mark.timeout(280)
def test_a_real_process_learns_a_film_that_is_accepted(
    open_bench: Callable[..., Workbench],
    tmp_path: Path,
    qtbot: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(learning, "weak_machine", lambda: "")
    project = learning_project.make_project(tmp_path)
    bench = open_bench(project)
    box, session = box_of(bench), bench.session
    film = learning_project.films_of(project)[0]
    box.box.click()
    qtbot.waitUntil(
        lambda: box.learner.message == "waits" or not box.learner.wanted,
        timeout=200_000,
    )
    assert box.learner.message == "waits"
    run = box.learner.run
    go_to(bench, film.id, qtbot)
    mask = learning_project.true_mask(tmp_path / "films", film)
    session.edit("spot", mask)
    assert session.decide("accept with edits")
    said = "learnt from 1 film; drafts renewed"
    qtbot.waitUntil(
        lambda: box.learner.message.startswith("learnt from 1 film"), timeout=90_000
    )
    assert box.line.text().startswith(said)
    upcoming = learning.next_films(session)[0]
    go_to(bench, upcoming, qtbot)
    assert shown(bench) == run

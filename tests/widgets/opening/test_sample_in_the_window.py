"""The sample project in the window: its stages come by themselves, a tour leads on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest

from helpers.fake_training import RUN
from helpers.training_project import FakeJobs, make_project, make_run
from napari_wsseg._widgets.canvas.bench import Workbench
from napari_wsseg._widgets.opening import sample_stages
from napari_wsseg._widgets.opening.tour import STEPS, Tour
from napari_wsseg._widgets.processes import jobs
from napari_wsseg._widgets.review.panel import Review
from napari_wsseg.datasets import _sample_readings
from napari_wsseg.io import stages

pytestmark = pytest.mark.gui


@pytest.fixture
def sample(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a small project where the sample project lies, with one run of stage 1."""
    place = _sample_readings.place(tmp_path)
    make_project(place.parent).rename(place)
    run = place / "runs" / make_run(place, "classifier", "done")
    run.rename(run.with_name(RUN))
    monkeypatch.setattr(sample_stages, "SETTLE_MS", 0)
    # As if the run had made the maps of all films.
    monkeypatch.setattr(stages, "missing", lambda *_: set())
    return place


def fake(monkeypatch: pytest.MonkeyPatch, mode: str) -> FakeJobs:
    made = FakeJobs(mode)
    monkeypatch.setattr(jobs, "Jobs", lambda: made)
    return made


def test_two_runs_and_a_sweep_are_made_and_the_first_run_is_put_in_use(
    open_bench: Callable[..., Workbench],
    sample: Path,
    monkeypatch: pytest.MonkeyPatch,
    qtbot: Any,
) -> None:
    made = fake(monkeypatch, "done")
    bench = open_bench(sample)
    hint = bench.main_window.findChild(Review).stages.hint
    assert "Stages are being made in the background" in hint.text()
    wanted = sample_stages.requests(sample)
    qtbot.waitUntil(lambda: len(made.requests) == 3 and not made.busy, timeout=30_000)
    assert made.requests == wanted
    assert bench.session.project.runs_in_use() == {"cam": RUN, "crf": RUN}
    qtbot.wait(100)
    assert len(made.requests) == 3


def test_what_fails_or_is_stopped_ends_the_queue(
    open_bench: Callable[..., Workbench],
    sample: Path,
    monkeypatch: pytest.MonkeyPatch,
    qtbot: Any,
) -> None:
    made = fake(monkeypatch, "failed")
    bench = open_bench(sample)
    qtbot.waitUntil(lambda: bool(made.requests) and not made.busy, timeout=30_000)
    qtbot.wait(300)
    assert len(made.requests) == 1
    assert bench.session.project.runs_in_use() == {}
    hint = bench.main_window.findChild(Review).stages.hint
    assert "No stages yet" in hint.text()


def test_the_tour_leads_through_and_is_closed_for_good(
    open_bench: Callable[..., Workbench],
    sample: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fake(monkeypatch, "done")
    bench = open_bench(sample)
    tour = bench.main_window.findChild(Tour)
    assert tour.isVisible()
    assert not tour.back.isEnabled()
    left = Qt.MouseButton.LeftButton
    for step in range(1, len(STEPS)):
        QTest.mouseClick(tour.next, left)
        assert tour.title.text() == f"{step + 1} of {len(STEPS)} · {STEPS[step][0]}"
    assert tour.next.text() == "Done"
    bench.session.read_as("ben", "open")
    assert tour.next.text() == "Done", "another reader does not begin anew"
    QTest.mouseClick(tour.never, left)
    assert not tour.isVisible()
    assert not open_bench(sample).main_window.findChild(Tour).isVisible()

"""A sitting in each arm, by keys and mouse: what is kept is what was done."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from qtpy.QtCore import QEvent, Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication

from helpers import noise_project, window_input
from helpers.noise_project import Clock
from napari_wsseg._widgets.canvas.bench import Workbench
from napari_wsseg.io.project import Project
from napari_wsseg.session.effort import active_time

pytestmark = [pytest.mark.gui, pytest.mark.slow, pytest.mark.timeout(180)]

ARMS = {"blank": None, "draft": "segmentation-1", "loop": "segmentation-2"}
"""Arm to the run whose draft it offers: the first one used, or the one in use."""

FINDING = "nodule"

BLANK = window_input.digest(np.zeros(noise_project.SHAPE))


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """Make four films, and two runs of a segmenter used in turn."""
    place = noise_project.make_project(tmp_path)
    for run in ("segmentation-1", "segmentation-2"):
        noise_project.add_stage(place, "segmentation", run)
        noise_project.adopt(place, "segmentation", run)
    return place


def begin(bench: Workbench, arm: str) -> None:
    session = bench.session
    session.read_as("ann", arm=arm)
    window_input.wait_for(lambda: session.case is not None and not session.turning)
    session.looking.set_finding(FINDING)
    window_input.settle(bench)


@pytest.mark.parametrize("arm", ARMS)
def test_seconds_strokes_and_pixels_kept_are_those_that_were_done(
    open_window: Callable[[Path], Workbench],
    study: Path,
    monkeypatch: pytest.MonkeyPatch,
    arm: str,
) -> None:
    bench = open_window(study)
    begin(bench, arm)
    session, clock = bench.session, Clock()
    monkeypatch.setattr(session.work, "_clock", clock)
    case_id, canvas = session.case.id, window_input.canvas(bench)
    session.work.turn(case_id, FINDING)

    clock.now += 2
    QTest.keyClick(canvas, Qt.Key.Key_B, Qt.KeyboardModifier.ShiftModifier)
    window_input.settle(bench)
    offered = bench.layers.experts[FINDING].data != 0
    assert offered.any() == (arm != "blank"), "a blank film offers nothing"
    clock.now += 1
    window_input.press(bench, "paint")
    clock.now += 3
    window_input.stroke(bench, *window_input.scribble(3))
    clock.now += active_time.PAUSE_SECONDS + 5  # away, and cut
    window_input.stroke(bench, *window_input.scribble(4))
    QApplication.sendEvent(bench.main_window, QEvent(QEvent.Type.WindowDeactivate))
    clock.now += 10  # in another program
    QApplication.sendEvent(bench.main_window, QEvent(QEvent.Type.WindowActivate))
    clock.now += 4
    drawn = bench.layers.experts[FINDING].data != 0
    window_input.press(bench, "accept with edits")
    window_input.wait_for(lambda: session.case.id != case_id)
    window_input.settle(bench)

    (found,) = session.project.work_log.efforts()
    assert (found.case, found.arm) == (case_id, arm)
    assert found.seconds == pytest.approx(2 + 1 + 3 + 4)
    assert found.strokes(FINDING) == found.strokes() == 2
    kept = session.project.expert_masks(case_id)[FINDING]
    np.testing.assert_array_equal(kept, drawn)
    outcome = found.outcomes[FINDING]
    assert outcome.source_run == ARMS[arm]
    assert outcome.start == ("blank" if arm == "blank" else "segmentation")
    assert outcome.mask_px == drawn.sum()
    assert outcome.added_px == (drawn & ~offered).sum()
    assert outcome.removed_px == (offered & ~drawn).sum()
    assert outcome.offered_px == (None if arm == "blank" else offered.sum())
    assert not outcome.unedited


@pytest.mark.parametrize("arm", ARMS)
def test_a_killed_window_that_is_opened_again_counts_nothing_twice(
    open_window: Callable[[Path], Workbench], study: Path, arm: str
) -> None:
    reader = subprocess.Popen(
        [sys.executable, "-m", "helpers.read_until_killed", str(study), arm],
        stdout=subprocess.PIPE,
        text=True,
        env=window_input.SURROUNDINGS,
    )
    assert reader.stdout is not None
    lines = [json.loads(reader.stdout.readline()) for _ in range(2)]
    reader.kill()
    reader.wait()
    reader.stdout.close()
    (first, accepted, _), (second, stroked, lasted) = lines
    assert stroked_on(accepted)
    assert stroked_on(stroked)
    with Project.open(study) as project:
        (before,) = project.work_log.efforts()
        spells = project.work_log.spells()
    assert before.case == first
    assert before.strokes() == 1
    assert 0 < sum(spell.seconds for spell in spells) <= lasted

    reopened = time.monotonic()
    bench = open_window(study)
    begin(bench, arm)
    session = bench.session
    assert stroked_on(accepted).items() <= digests(session.project, first).items()
    session.go_to(second)
    window_input.wait_for(lambda: session.case.id == second and not session.turning)
    window_input.settle(bench)
    assert window_input.drawn(bench) == stroked, "strokes of a killed window are there"
    window_input.press(bench, "paint")
    window_input.stroke(bench, *window_input.scribble(5))
    drawn = window_input.drawn(bench)
    window_input.press(bench, "accept with edits")
    window_input.wait_for(lambda: session.case.id != second)
    window_input.settle(bench)
    took = time.monotonic() - reopened

    assert stroked_on(drawn).items() <= digests(session.project, second).items()
    efforts = {one.case: one for one in session.project.work_log.efforts()}
    assert set(efforts) == {first, second}
    assert efforts[first] == before, "what was counted stays as it was"
    # The stroke in hand when the window was killed may be lost from the count.
    assert efforts[second].strokes() in (1, 2)
    now = session.project.work_log.spells()
    assert now[: len(spells)] == spells, "spells are only added"
    assert sum(spell.seconds for spell in now) <= lasted + took
    assert {one.arm for one in efforts.values()} == {arm}


def stroked_on(shown: dict[str, str]) -> dict[str, str]:
    """Return those findings that are not blank; accepting gives others their draft."""
    return {name: mask for name, mask in shown.items() if mask != BLANK}


def digests(project: Project, case_id: str) -> dict[str, str]:
    kept = project.expert_masks(case_id)
    return {name: window_input.digest(mask) for name, mask in kept.items()}

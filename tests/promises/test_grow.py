"""Grow: strokes become a proposal; Enter takes it as one step, Esc drops it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from qtpy.QtCore import QPoint, Qt
from qtpy.QtTest import QTest

from helpers import pointer, window_input
from napari_wsseg._widgets.canvas.bench import Workbench
from napari_wsseg._widgets.canvas.tools.grow_tool import EDGE_CELLS, IN, OUT
from napari_wsseg._widgets.review.grow_options import GrowRow
from napari_wsseg.io.project import Project
from napari_wsseg.schema import StageMaps

pytestmark = [pytest.mark.gui, pytest.mark.timeout(120)]

LINE = [(0.45 + 0.004 * i, 0.45 + 0.01 * i) for i in range(6)]
BESIDE = [(0.52 + 0.004 * i, 0.42 + 0.01 * i) for i in range(6)]
FAR = [(0.62 + 0.004 * i, 0.6 + 0.01 * i) for i in range(6)]
NO_KEY = Qt.KeyboardModifier.NoModifier


@pytest.fixture
def bench(open_window: Callable[[Path], Workbench], place: Path) -> Workbench:
    bench = open_window(place)
    bench.session.looking.set_view("expert")
    QTest.keyClick(window_input.canvas(bench), Qt.Key.Key_N)
    assert bench.grow.active
    return bench


def stroke(
    bench: Workbench,
    points: list[tuple[float, float]],
    held: Qt.KeyboardModifier = NO_KEY,
) -> None:
    """Draw a stroke with the mouse and wait for what it proposes."""
    native = window_input.canvas(bench)
    places = [
        QPoint(int(x * native.width()), int(y * native.height())) for x, y in points
    ]
    pointer.drag(native, places, held=held)
    window_input.settle(bench)


def mask(bench: Workbench) -> np.ndarray:
    return np.array(bench.layers.active.data != 0)


def press(bench: Workbench, key: Qt.Key) -> None:
    QTest.keyClick(window_input.canvas(bench), key)
    window_input.settle(bench)


def test_a_proposal_is_taken_by_enter_as_one_step(bench: Workbench) -> None:
    before = mask(bench)
    stroke(bench, LINE)
    proposed = bench.grow.proposal.data != 0
    assert proposed.any()
    assert (proposed | (bench.grow.strokes.data != IN)).all(), "strokes are inside"
    np.testing.assert_array_equal(mask(bench), before)

    press(bench, Qt.Key.Key_Return)
    taken = mask(bench)
    assert (taken & ~before).any()
    assert (taken | ~before).all(), "what was drawn stays"
    assert not bench.grow.proposal.data.any(), "ready for the next one"
    finding = bench.session.looking.finding.name
    bench.session.experts.fold_all()
    with Project.open(bench.session.project.folder) as project:
        kept = project.latest(bench.session.case.id, finding)
        np.testing.assert_array_equal(project.read_mask(kept), taken)
        assert kept.tool == "grow"

    bench.layers.active.undo()
    np.testing.assert_array_equal(mask(bench), before)


def test_n_again_puts_the_tool_down_and_the_proposal_with_it(bench: Workbench) -> None:
    before = mask(bench)
    stroke(bench, LINE)
    press(bench, Qt.Key.Key_N)
    assert not bench.grow.active
    assert bench.viewer.layers.selection.active is bench.layers.active
    np.testing.assert_array_equal(mask(bench), before)


def test_a_proposal_is_dropped_by_escape(bench: Workbench) -> None:
    before = mask(bench)
    stroke(bench, LINE)
    assert bench.grow.ready
    press(bench, Qt.Key.Key_Escape)
    assert not bench.grow.ready
    assert bench.grow.active, "the tool stays in hand"
    assert not bench.grow.strokes.data.any()
    np.testing.assert_array_equal(mask(bench), before)


def test_ctrl_strokes_outside_once_and_the_proposal_keeps_away(
    bench: Workbench,
) -> None:
    stroke(bench, LINE)
    free = (bench.grow.proposal.data != 0).sum()
    stroke(bench, BESIDE, Qt.KeyboardModifier.ControlModifier)
    outside = bench.grow.strokes.data == OUT
    assert outside.any()
    assert not (bench.grow.proposal.data[outside]).any()
    assert (bench.grow.proposal.data != 0).sum() <= free
    assert bench.grow.strokes.selected_label == IN, "for that stroke alone"


def undo_stroke(bench: Workbench) -> None:
    """Press Ctrl Z on the film, where the strokes' layer is the one in hand."""
    QTest.keyClick(
        window_input.canvas(bench), Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier
    )
    window_input.settle(bench)


def test_undo_takes_back_one_stroke_and_what_it_proposed(bench: Workbench) -> None:
    before = mask(bench)
    stroke(bench, LINE)
    drawn = bench.grow.strokes.data.copy()
    proposed = bench.grow.proposal.data.copy()
    stroke(bench, FAR)
    assert (bench.grow.strokes.data != drawn).any()
    assert (bench.grow.proposal.data != proposed).any()

    undo_stroke(bench)
    np.testing.assert_array_equal(bench.grow.strokes.data, drawn)
    np.testing.assert_array_equal(bench.grow.proposal.data, proposed)
    undo_stroke(bench)
    assert not bench.grow.strokes.data.any()
    assert not bench.grow.ready, "nothing is left to be taken"
    np.testing.assert_array_equal(mask(bench), before)


def test_strokes_far_from_a_region_leave_it_as_it_was_drawn(bench: Workbench) -> None:
    layer = bench.layers.active
    height, width = layer.data.shape
    layer.data_setitem(np.nonzero(layer.data), 0)
    region = np.zeros(layer.data.shape, bool)
    # One pixel of holes and steps, which the grid of the walk cannot hold.
    region[: height // 6, : width // 6] = True
    region[::3, ::5] = False
    layer.data_setitem(np.nonzero(region), 1)
    stroke(bench, FAR)
    assert bench.grow.ready
    press(bench, Qt.Key.Key_Return)
    taken = mask(bench)
    assert (taken & ~region).any(), "the stroke"
    corner = np.s_[: height // 4, : width // 4]
    np.testing.assert_array_equal(taken[corner], region[corner])


def show_a_draft(bench: Workbench, stage: str) -> str:
    """Turn to a film with a finding, and show a draft of it; return the finding."""
    session, drafts = bench.session, bench.session.looking.drafts
    case_id, finding = next(
        (case_id, name)
        for case_id, case in session.list.cases.items()
        for name, label in case.labels.items()
        if label == 1
    )
    session.go_to(case_id)
    window_input.wait_for(lambda: session.case.id == case_id and not session.turning)
    session.looking.set_finding(finding)
    # A draft there is, whatever the short training found: half of the map's highest.
    rules = replace(drafts.settings[stage], rule="threshold", min_area=0)
    drafts.settings[stage] = rules
    score = drafts.score(session.opened.maps[stage], stage, finding)
    drafts.set_threshold(stage, finding, float(score.max()) / 2)
    session.looking.set_view(stage)
    window_input.settle(bench)
    if not bench.grow.active:
        press(bench, Qt.Key.Key_N)
    return finding


def test_an_empty_mask_begins_with_the_draft_on_screen(bench: Workbench) -> None:
    session, stage = bench.session, "cam"
    finding = show_a_draft(bench, stage)
    layer = bench.layers.active
    layer.data_setitem(np.nonzero(layer.data), 0)
    draft = session.draft(stage, finding, layer.data.shape)
    assert draft.any()
    stroke(bench, FAR)
    assert bench.grow.stage == stage
    proposed = bench.grow.proposal.data != 0
    if np.array_equal(proposed, session.draft(stage, finding, proposed.shape)):
        # The stroke lay in the draft: the same one outside takes of it.
        stroke(bench, FAR, held=Qt.KeyboardModifier.ControlModifier)
    press(bench, Qt.Key.Key_Return)
    assert not bench.grow.stage
    assert session.starts[finding].name == stage
    np.testing.assert_array_equal(session.starts[finding].offered, draft)
    assert (mask(bench) != draft).any(), "the stroke"
    layer.undo()
    np.testing.assert_array_equal(mask(bench), draft)
    layer.undo()
    assert not mask(bench).any()


def test_the_row_says_what_the_walk_goes_by_and_turns_the_side(
    bench: Workbench,
) -> None:
    row = bench.main_window.findChild(GrowRow)
    assert row.isVisible()
    assert "film's own edges" in row.label.text(), "no IRNet has run here"
    window_input.click(row.sides.button(OUT))
    stroke(bench, LINE)
    assert (bench.grow.strokes.data == OUT).any()
    assert not bench.grow.ready
    assert not row.take.isEnabled()


def test_a_boundary_coarser_than_the_films_edges_is_not_used(bench: Workbench) -> None:
    opened, empty = bench.session.opened, np.zeros((1, 8, 8), np.float32)
    for side, learned in ((32, False), (EDGE_CELLS, True)):
        extra = {"boundary": np.zeros((1, side, side), np.float16)}
        opened.maps["irnet"] = StageMaps(empty, np.ones(1, np.float32), extra)
        assert bench.grow.learned == learned
        del opened.maps["irnet"]


def test_strokes_never_follow_to_another_film(bench: Workbench) -> None:
    stroke(bench, LINE)
    window_input.turn(bench)
    window_input.settle(bench)
    assert not bench.grow.active
    names = [layer.name for layer in bench.viewer.layers]
    assert "Grow strokes" not in names
    assert "Proposal" not in names
    assert bench.viewer.layers.selection.active is bench.layers.active
    press(bench, Qt.Key.Key_N)
    assert bench.grow.active
    assert not bench.grow.ready

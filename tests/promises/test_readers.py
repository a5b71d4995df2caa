"""Two readers and an adjudicator at one window, with mouse and keys."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest

from helpers import noise_project, window_input
from napari_wsseg._widgets.canvas.bench import Workbench
from napari_wsseg._widgets.review.panel import Review
from napari_wsseg._widgets.worklist.panel import Worklist
from napari_wsseg.io.project import Project
from napari_wsseg.io.project_folder import mask_store as _mask_store

pytestmark = [pytest.mark.gui, pytest.mark.timeout(280)]

SHIFT, ALT = Qt.KeyboardModifier.ShiftModifier, Qt.KeyboardModifier.AltModifier


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """Return a project of four films with CAMs."""
    folder = noise_project.make_project(tmp_path / "small")
    noise_project.add_stage(folder)
    noise_project.adopt(folder)
    return folder


def key(bench: Workbench, code: Qt.Key, modifier: object = None) -> None:
    none = Qt.KeyboardModifier.NoModifier
    QTest.keyClick(window_input.canvas(bench), code, modifier or none)
    window_input.settle(bench)


def paint(bench: Workbench, *points: tuple[float, float]) -> np.ndarray:
    window_input.press(bench, "paint")
    bench.layers.active.brush_size = 8
    window_input.stroke(bench, *points)
    return np.asarray(bench.layers.active.data).astype(bool)


def masks_of(place: Path, case_id: str, reader: str) -> dict[str, np.ndarray]:
    with Project.open(place) as project:
        return project.expert_masks(case_id, reader=reader)


def test_a_blind_second_reader_an_adjudicator_and_the_mask_that_counts(
    open_window: Callable[[Path], Workbench],
    small: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bench = open_window(small)
    session, case_id = bench.session, bench.session.case.id
    session.looking.set_view("expert")
    first = paint(bench, (0.45, 0.45), (0.5, 0.5))
    window_input.press(bench, "accept with edits")
    window_input.wait_for(lambda: session.list.status(case_id) == "edited")

    read: list[str] = []
    own = _mask_store.read
    monkeypatch.setattr(
        _mask_store, "read", lambda *what: read.append(what[3]) or own(*what)
    )
    window_input.change_reader(bench, "bea", "blind", stages=False)
    assert (session.reader, session.reading.mode) == ("bea", "blind")
    worklist = bench.main_window.findChild(Worklist)
    assert "BLIND" in worklist.who.text()
    assert worklist.order.currentText() == "Random"
    assert not worklist.order.isEnabled()
    for other in noise_project.case_ids(small):
        if session.case.id != other:
            window_input.pick_row(bench, other)
        window_input.settle(bench)
        assert not any(layer.data.any() for layer in bench.layers.experts.values())
        assert not any(layer.visible for layer in bench.layers.heats.values())
        assert not bench.layers.outline.data.any()
        row = worklist.model.row_of(other)
        shown = [
            worklist.model.data(worklist.model.index(row, column))
            for column in range(worklist.model.columnCount())
        ]
        assert shown[0] == "○ to review"
        assert "ann" not in shown
    with Project.open(small) as project:
        theirs = {project.latest(case_id, "effusion", reader="ann").mask_sha}
    assert theirs.isdisjoint(read), "the first reader's mask was not even read"

    window_input.pick_row(bench, case_id)
    second = paint(bench, (0.52, 0.5), (0.56, 0.53))
    window_input.press(bench, "accept with edits")
    window_input.wait_for(lambda: session.list.status(case_id) == "edited")

    window_input.change_reader(bench, "cleo", "adjudicate")
    window_input.wait_for(lambda: session.case and session.case.id == case_id)
    assert list(session.list.cases) == [case_id]
    review = bench.main_window.findChild(Review)
    assert review.adjudicate.isVisible()
    assert "A: ann" in review.adjudicate.label.text()
    parts = bench.compared.parts
    np.testing.assert_array_equal(parts["first"].data.astype(bool), first)
    np.testing.assert_array_equal(parts["second"].data.astype(bool), second)
    np.testing.assert_array_equal(parts["difference"].data == 1, first & ~second)
    np.testing.assert_array_equal(parts["difference"].data == 2, second & ~first)
    window_input.press(bench, "accept")
    assert "differ on effusion" in review.banner.text.text()
    key(bench, Qt.Key.Key_B, ALT)
    np.testing.assert_array_equal(bench.layers.active.data.astype(bool), second)
    window_input.press(bench, "accept")
    window_input.wait_for(lambda: session.list.status(case_id) == "adjudicated")

    window_input.change_reader(bench, "ann", "open")
    window_input.pick_row(bench, case_id) if session.case.id != case_id else None
    window_input.settle(bench)
    np.testing.assert_array_equal(bench.layers.active.data.astype(bool), second)
    assert not bench.layers.active.editable
    assert not review.decide.buttons["accept"].isEnabled()
    bench.close()
    with Project.open(small) as project:
        final = project.latest(case_id, "effusion")
        assert final.reader == "cleo"
        np.testing.assert_array_equal(project.expert_masks(case_id)["effusion"], second)
        assert project.settings.readers == ("ann", "bea", "cleo")
        assert project.fsck() == []
        project.verify_audit()
    np.testing.assert_array_equal(masks_of(small, case_id, "ann")["effusion"], first)


def test_a_version_is_compared_restored_and_a_decision_undone_and_reopened(
    open_window: Callable[[Path], Workbench], small: Path
) -> None:
    bench = open_window(small)
    session, case_id = bench.session, bench.session.case.id
    session.looking.set_view("expert")
    review = bench.main_window.findChild(Review)
    first = paint(bench, (0.45, 0.45), (0.5, 0.5))
    session.experts.fold()
    both = paint(bench, (0.55, 0.55), (0.58, 0.58))
    session.experts.fold()
    key(bench, Qt.Key.Key_F4)
    panel = review.versions
    assert panel.table.rowCount() == 2
    assert panel.chosen.version == 1
    window_input.click(panel.compare)
    layer = bench.compared.parts["difference"]
    assert layer.visible
    np.testing.assert_array_equal(layer.data == 2, both & ~first)
    window_input.click(panel.restore)
    window_input.settle(bench)
    np.testing.assert_array_equal(bench.layers.active.data.astype(bool), first)
    assert not layer.visible
    assert panel.table.rowCount() == 3

    window_input.press(bench, "accept with edits")
    window_input.wait_for(lambda: session.list.status(case_id) == "edited")
    assert review.decide.undo.isVisible()
    key(bench, Qt.Key.Key_Z, SHIFT)
    window_input.wait_for(lambda: session.case.id == case_id)
    assert session.list.status(case_id) == "has mask"
    assert not review.decide.undo.isVisible()

    window_input.press(bench, "reject")
    window_input.wait_for(lambda: session.list.status(case_id) == "rejected")
    window_input.pick_row(bench, case_id)
    window_input.settle(bench)
    assert review.decide.reopen.isVisible()
    key(bench, Qt.Key.Key_O, SHIFT)
    window_input.wait_for(lambda: session.list.status(case_id) == "has mask")
    assert not review.decide.reopen.isVisible()
    np.testing.assert_array_equal(bench.layers.active.data.astype(bool), first)

    window_input.look(bench)
    key(bench, Qt.Key.Key_R, SHIFT)
    window_input.wait_for(lambda: session.finding_states()["effusion"] == "rejected")
    assert not bench.layers.active.data.any()
    key(bench, Qt.Key.Key_Z, SHIFT)
    np.testing.assert_array_equal(bench.layers.active.data.astype(bool), first)
    bench.close()
    with Project.open(small) as project:
        history = project.history(case_id, "effusion", reader="ann")
        assert [one.version for one in history] == [1, 2, 3]
        assert project.fsck() == []
        project.verify_audit()

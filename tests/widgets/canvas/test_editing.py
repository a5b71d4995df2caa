"""Editing: every action is one undo step, strokes can be kept to a stage's outline."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from qtpy.QtCore import QPoint, Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QPushButton

from helpers import noise_project, pointer
from napari_wsseg._widgets.canvas.bench import Workbench
from napari_wsseg._widgets.canvas.tool_bar import ToolBar
from napari_wsseg._widgets.review.draft_start import TALL
from napari_wsseg._widgets.review.edit_tools import EditPanel

pytestmark = pytest.mark.gui


@pytest.fixture
def panel(bench: Workbench) -> EditPanel:
    found = bench.main_window.findChild(EditPanel)
    assert isinstance(found, EditPanel)
    return found


def at(bench: Workbench, row: float, column: float) -> QPoint:
    """Return the place on the canvas of a pixel of the film."""
    native, camera = bench.canvas(), bench.viewer.camera
    middle = np.array([native.height() / 2, native.width() / 2])
    centre = np.array(camera.center[-2:])
    y, x = middle + (np.array((row, column)) - centre) * camera.zoom
    return QPoint(round(x), round(y))


def stroke(bench: Workbench, *pixels: tuple[float, float]) -> None:
    """Drag the mouse from pixel to pixel of the film."""
    native = bench.canvas()
    places = [at(bench, *pixel) for pixel in pixels]
    pointer.drag(native, places, pause=20)
    QTest.qWait(20)


def ragged() -> np.ndarray:
    """Return a mask that every clean-up changes: a frame, a speck, a thorn."""
    mask = noise_project.blob(at=20, size=30)
    mask[30:38, 30:38] = 0
    mask[5, 5] = 1
    mask[35, 50:60] = 1
    return mask.astype(bool)


def tool(panel: EditPanel, name: str) -> QPushButton:
    return next(b for b in panel.tools.buttons() if b.text() == name)


def brushed(bench: Workbench, panel: EditPanel) -> None:
    tool(panel, "Brush").click()
    bench.layers.active.brush_size = 6
    stroke(bench, (60, 20), (62, 30), (64, 40))


def erased(bench: Workbench, panel: EditPanel) -> None:
    tool(panel, "Eraser").click()
    bench.layers.active.brush_size = 6
    stroke(bench, (24, 24), (26, 30), (28, 40))


def erased_inside(bench: Workbench, panel: EditPanel) -> None:
    """Go round an area with the eraser, the right button held."""
    tool(panel, "Eraser").click()
    bench.layers.active.brush_size = 1
    round_it = [(24, 24), (24, 34), (24, 44), (44, 44), (44, 24)]
    places = [at(bench, *pixel) for pixel in round_it]
    pointer.drag(bench.canvas(), places, Qt.MouseButton.RightButton, pause=20)
    QTest.qWait(20)
    data = bench.layers.active.data
    assert not data[26:42, 26:42].any(), "inside, too"
    assert data[21, 21], "not outside"
    assert data[48, 48], "not outside"


def filled(bench: Workbench, panel: EditPanel) -> None:
    tool(panel, "Fill").click()
    native = bench.canvas()
    pointer.click(native, at(bench, 34, 34))
    QTest.qWait(40)


def framed(bench: Workbench, panel: EditPanel) -> None:
    """Click round an area with the polygon tool, close it with a double click."""
    tool(panel, "Polygon").click()
    native = bench.canvas()
    corners = [at(bench, *pixel) for pixel in ((60, 10), (60, 40), (80, 40), (80, 10))]
    for corner in corners:
        pointer.click(native, corner)
        QTest.qWait(20)
    QTest.mouseDClick(native, Qt.MouseButton.LeftButton, pos=corners[-1])
    QTest.qWait(40)
    assert bench.layers.active.data[70, 25], "full"


def outlined(bench: Workbench, panel: EditPanel) -> None:
    """Click with the right button and go round, back to where it began."""
    tool(panel, "Brush").click()
    bench.layers.active.brush_size = 3
    native = bench.canvas()
    round_it = [(60, 10), (60, 25), (60, 40), (80, 40), (80, 10), (66, 10), (60, 10)]
    places = [at(bench, *pixel) for pixel in round_it]
    pointer.click(native, places[0], Qt.MouseButton.RightButton)
    for place in places[1:]:
        pointer.move(native, place)
        QTest.qWait(20)
    QTest.qWait(40)
    assert bench.layers.active.data[70, 25], "full"


def pressed(name: str) -> Callable[[Workbench, EditPanel], None]:
    return lambda bench, panel: getattr(panel, name).click()


ACTIONS = {
    "brush": brushed,
    "eraser": erased,
    "eraser round an area": erased_inside,
    "fill": filled,
    "polygon": framed,
    "closed outline": outlined,
    "smooth": pressed("smooth"),
    "fill holes": pressed("fill_holes"),
    "keep largest": pressed("largest"),
    "clear": pressed("clear"),
    "start from a stage": pressed("start"),
}


def test_every_action_is_one_undo_step_and_saved(
    bench: Workbench, panel: EditPanel
) -> None:
    layer, experts = bench.layers.active, bench.session.experts
    for name, action in ACTIONS.items():
        bench.autosave.apply("effusion", ragged(), "brush")
        action(bench, panel)
        after = layer.data.copy()
        assert not np.array_equal(after != 0, ragged()), f"{name} did something"
        np.testing.assert_array_equal(experts.masks["effusion"], after, name)
        panel.undo.click()
        np.testing.assert_array_equal(layer.data != 0, ragged(), name)
        np.testing.assert_array_equal(experts.masks["effusion"] != 0, ragged(), name)
        panel.redo.click()
        np.testing.assert_array_equal(layer.data, after, name)


def test_a_stroke_kept_to_a_stage_is_one_step_and_saved_as_it_stays(
    bench: Workbench, panel: EditPanel
) -> None:
    """The CAM is hot in the upper left quarter, so a stroke out of it is cut there."""
    bench.session.looking.set_view("cam")
    panel.within.click()
    assert panel.within.text() == "Paint only where CAM says so"
    tool(panel, "Brush").click()
    layer, experts = bench.layers.active, bench.session.experts
    layer.brush_size = 6
    stroke(bench, (30, 25), (30, 45), (30, 70))
    inside = panel.inside("effusion")
    drawn = layer.data != 0
    assert drawn.any()
    assert not (drawn & ~inside).any()
    assert not drawn[30, 70]
    np.testing.assert_array_equal(experts.masks["effusion"], layer.data)
    panel.undo.click()
    assert not layer.data.any()
    assert not experts.masks["effusion"].any()
    panel.redo.click()
    np.testing.assert_array_equal(layer.data != 0, drawn)


def test_what_was_there_outside_the_stage_stays(
    bench: Workbench, panel: EditPanel
) -> None:
    bench.session.looking.set_view("cam")
    own = noise_project.blob(at=60, size=10).astype(bool)
    bench.autosave.apply("effusion", own, "brush")
    panel.within.click()
    tool(panel, "Brush").click()
    bench.layers.active.brush_size = 6
    stroke(bench, (30, 25), (45, 45), (65, 65))
    assert (bench.layers.active.data != 0)[own].all()
    allowed = panel.inside("effusion") | own
    assert not ((bench.layers.active.data != 0) & ~allowed).any()


def test_a_mask_can_start_from_any_stage_or_an_earlier_version(
    bench: Workbench, panel: EditPanel, qtbot: Any
) -> None:
    first = noise_project.blob(at=60, size=10).astype(bool)
    bench.autosave.apply("effusion", first, "brush")
    bench.session.experts.fold()
    bench.autosave.apply("effusion", ragged(), "brush")
    bench.session.experts.fold()
    panel.starting.fill()
    offered = [action.text() for action in panel.starting.menu.actions()]
    assert "Start from CAM" in offered
    old = next(a for a in panel.starting.menu.actions() if "version 1 " in a.text())
    old.trigger()
    np.testing.assert_array_equal(bench.layers.active.data != 0, first)
    panel.undo.click()
    np.testing.assert_array_equal(bench.layers.active.data != 0, ragged())


def test_tools_are_large_enough_for_a_finger(panel: EditPanel) -> None:
    bar = panel.bench.main_window.findChild(ToolBar)
    found = [*panel.findChildren(QPushButton), *bar.findChildren(QPushButton)]
    buttons = [b for b in found if b.isVisible()]
    assert len(buttons) >= 14
    assert {b.text(): b.height() for b in buttons if b.height() < TALL} == {}


@pytest.mark.parametrize("name", ["Brush", "Eraser"])
def test_a_quick_stroke_reaches_to_where_the_button_is_let_go(
    bench: Workbench, panel: EditPanel, name: str
) -> None:
    """The last movements of a quick hand come too fast for napari, which drops them."""
    layer = bench.layers.active
    before = np.full(noise_project.SHAPE, name == "Eraser")
    bench.autosave.apply("effusion", before, "brush")
    tool(panel, name).click()
    layer.brush_size = 6
    native, way = bench.canvas(), [(30, 15 + 8 * step) for step in range(7)]
    pointer.move(native, at(bench, *way[0]))
    QTest.qWait(40)
    pointer.press(native, at(bench, *way[0]))
    for pixel in way[1:-1]:
        QTest.mouseMove(native, at(bench, *pixel))
    pointer.move(native, at(bench, *way[-1]))
    QTest.mouseRelease(native, Qt.MouseButton.LeftButton, pos=at(bench, *way[-1]))
    QTest.qWait(60)
    drawn = layer.data != 0
    assert all(drawn[pixel] != before[pixel] for pixel in way)
    np.testing.assert_array_equal(bench.session.experts.masks["effusion"], drawn)
    panel.undo.click()
    np.testing.assert_array_equal(layer.data != 0, before)


def begin_outline(bench: Workbench, panel: EditPanel) -> None:
    tool(panel, "Brush").click()
    bench.layers.active.brush_size = 6
    native = bench.canvas()
    place = at(bench, 40, 40)
    pointer.click(native, place, Qt.MouseButton.RightButton)
    pointer.move(native, at(bench, 40, 50))
    QTest.qWait(40)


def begin_polygon(bench: Workbench, panel: EditPanel) -> None:
    tool(panel, "Polygon").click()
    for pixel in ((20, 20), (20, 60), (60, 60)):
        pointer.click(bench.canvas(), at(bench, *pixel))
        QTest.qWait(20)


@pytest.mark.parametrize("begin", [begin_outline, begin_polygon])
def test_what_is_not_closed_never_follows_to_another_film(
    bench: Workbench, panel: EditPanel, qtbot: Any, begin: Callable[..., None]
) -> None:
    first, other = bench.session.list.order[:2]
    full = np.ones(noise_project.SHAPE, bool)
    bench.session.go_to(other)
    qtbot.waitUntil(lambda: bench.session.case.id == other, timeout=5000)
    bench.autosave.apply("effusion", full, "brush")
    bench.session.go_to(first)
    qtbot.waitUntil(lambda: bench.session.case.id == first, timeout=5000)
    begin(bench, panel)
    QTest.keyClick(bench.canvas(), Qt.Key.Key_PageDown)
    qtbot.waitUntil(lambda: bench.session.case.id == other, timeout=5000)
    native = bench.canvas()
    for step in range(4):
        pointer.move(native, at(bench, 20 + 10 * step, 30))
        QTest.qWait(20)
    np.testing.assert_array_equal(bench.layers.active.data != 0, full)
    np.testing.assert_array_equal(bench.session.experts.masks["effusion"] != 0, full)
    bench.autosave.apply("effusion", ~full, "clear")
    place = at(bench, 30, 70)
    QTest.mouseDClick(native, Qt.MouseButton.LeftButton, pos=place)
    QTest.qWait(40)
    assert bench.layers.active.data.sum() < 60, "no more than a dot of the brush"
    bench.session.go_to(first)
    qtbot.waitUntil(lambda: bench.session.case.id == first, timeout=5000)
    assert not bench.layers.active.data.any()

"""Lasso: clicks along an edge, the outline snaps to it, and fills as one step."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from qtpy.QtCore import QPoint, Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QPushButton

from helpers import noise_project, pointer
from napari_wsseg._widgets.canvas.bench import Workbench
from napari_wsseg._widgets.review.edit_tools import EditPanel
from napari_wsseg.io import images
from napari_wsseg.io.project import Project
from napari_wsseg.ops import metrics
from napari_wsseg.schema import Case

pytestmark = pytest.mark.gui

SHAPE, MIDDLE, RADIUS = (240, 200), np.array([120.0, 100.0]), 55
CTRL = Qt.KeyboardModifier.ControlModifier
SHIFT = Qt.KeyboardModifier.ShiftModifier
NO_KEY = Qt.KeyboardModifier.NoModifier


def rim(*degrees: float) -> list[tuple[float, float]]:
    angles = np.radians(degrees)
    points = MIDDLE + RADIUS * np.stack([np.sin(angles), np.cos(angles)], -1)
    return [(float(row), float(column)) for row, column in points]


def disc() -> np.ndarray:
    rows, columns = np.ogrid[: SHAPE[0], : SHAPE[1]]
    return np.hypot(rows - MIDDLE[0], columns - MIDDLE[1]) <= RADIUS


@pytest.fixture
def bench(open_bench: Callable[..., Workbench], tmp_path: Path, qtbot: Any) -> Any:
    """Return the window on one film with a bright disc, the lasso in hand."""
    films, noise = tmp_path / "films", np.random.default_rng(0).normal(0, 5, SHAPE)
    films.mkdir()
    path = films / "disc.png"
    Image.fromarray((90 + 70 * disc() + noise).astype(np.uint8)).save(path)
    place = tmp_path / "project"
    findings = noise_project.FINDINGS
    with Project.create(place, findings=findings, images=films) as project:
        case_id = images.read(path).uid[:16]
        labels = dict.fromkeys(findings, 1)
        project.add_case(Case(case_id, path.name, SHAPE, None, "train", labels))
    bench = open_bench(place)
    bench.session.looking.set_view("expert")
    qtbot.waitUntil(lambda: bench.layers.active is not None, timeout=10_000)
    bench.take_lasso()
    qtbot.waitUntil(lambda: bench.lasso.snaps, timeout=10_000)
    return bench


def at(bench: Workbench, place: tuple[float, float]) -> QPoint:
    native, camera = bench.canvas(), bench.viewer.camera
    middle = np.array([native.height() / 2, native.width() / 2])
    y, x = middle + (np.array(place) - camera.center[-2:]) * camera.zoom
    return QPoint(round(x), round(y))


def click(
    bench: Workbench, place: tuple[float, float], held: Qt.KeyboardModifier = NO_KEY
) -> None:
    native, where = bench.canvas(), at(bench, place)
    pointer.press(native, where, held=held)
    QTest.mouseRelease(native, Qt.MouseButton.LeftButton, held, where)


def mask(bench: Workbench) -> np.ndarray:
    return np.array(bench.layers.active.data != 0)


def test_five_clicks_on_a_rim_fill_the_disc_as_one_step(bench: Workbench) -> None:
    assert bench.lasso.active
    for place in rim(0, 75, 150, 225, 290):
        click(bench, place)
    assert not mask(bench).any(), "nothing before it is closed"
    click(bench, rim(0)[0])
    assert metrics.iou(mask(bench), disc()) > 0.93
    assert bench.lasso.active, "ready for the next one"
    assert not len(bench.lasso.outline)
    finding = bench.session.looking.finding.name
    bench.session.work.signal()
    (spell,) = bench.session.work.take()
    assert spell.gestures == {"lasso": 1}
    bench.session.experts.fold_all()
    with Project.open(bench.session.project.folder) as project:
        kept = project.latest(bench.session.case.id, finding)
        np.testing.assert_array_equal(project.read_mask(kept), mask(bench))
        assert kept.tool == "lasso"
    bench.layers.active.undo()
    assert not mask(bench).any()


def test_the_outline_follows_the_edge_while_the_mouse_moves(bench: Workbench) -> None:
    first, way, end = rim(10)[0], rim(20, 30, 40, 50, 60, 70), rim(80)[0]
    click(bench, first)
    for place in [*way, end]:
        pointer.move(bench.canvas(), at(bench, place))
    away = np.hypot(*(bench.lasso.outline - MIDDLE).T)
    assert np.abs(away - RADIUS).max() < 4
    assert len(bench.lasso.outline) > 40


def test_enter_closes_escape_drops_and_backspace_takes_a_point_back(
    bench: Workbench,
) -> None:
    native = bench.canvas()
    for place in rim(0, 90, 180):
        click(bench, place)
    click(bench, (20.0, 20.0))
    QTest.keyClick(native, Qt.Key.Key_Backspace)
    pointer.move(native, at(bench, rim(270)[0]))
    QTest.keyClick(native, Qt.Key.Key_Return)
    drawn = mask(bench)
    assert metrics.iou(drawn, disc()) > 0.9
    for place in rim(30, 120):
        click(bench, place)
    QTest.keyClick(native, Qt.Key.Key_Escape)
    assert not len(bench.lasso.outline)
    np.testing.assert_array_equal(mask(bench), drawn)


def test_with_ctrl_the_area_is_taken_away(bench: Workbench) -> None:
    finding = bench.session.looking.finding.name
    bench.autosave.apply(finding, np.ones(SHAPE, bool), "fill")
    for place in rim(0, 90, 180, 270):
        click(bench, place)
    click(bench, rim(0)[0], CTRL)
    assert metrics.iou(~mask(bench), disc()) > 0.93


def test_a_drag_sets_points_as_it_goes(bench: Workbench) -> None:
    native = bench.canvas()
    places = [at(bench, place) for place in rim(*range(0, 350, 10), 356)]
    pointer.drag(native, places)
    assert metrics.iou(mask(bench), disc()) > 0.93, "closed where it began"


def test_its_key_again_another_tool_and_another_finding_put_it_down(
    bench: Workbench,
) -> None:
    native, layers = bench.canvas(), bench.viewer.layers
    click(bench, rim(0)[0])
    keys = Qt.Key.Key_2, Qt.Key.Key_8, Qt.Key.Key_N, Qt.Key.Key_W
    for key, held in ((Qt.Key.Key_L, SHIFT), *((key, NO_KEY) for key in keys)):
        assert bench.lasso.active
        assert "Lasso" in layers
        QTest.keyClick(native, key, held)
        assert not bench.lasso.active
        assert "Lasso" not in layers
        QTest.keyClick(native, Qt.Key.Key_L, SHIFT)
    panel = bench.main_window.findChild(EditPanel)
    buttons = {button.text(): button for button in panel.tools.buttons()}
    assert buttons["Lasso"].isChecked()
    brush = buttons["Brush"]
    assert isinstance(brush, QPushButton)
    brush.click()
    assert not bench.lasso.active
    assert str(bench.layers.active.mode) == "paint"

"""What a reader may do in napari's own list of layers: nothing is lost or covered."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from napari.layers import Layer
from qtpy.QtCore import QPoint, Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QDockWidget, QPushButton

from helpers import noise_project, window_input
from napari_wsseg._widgets.canvas.bench import Workbench
from napari_wsseg._widgets.canvas.napari_internals import visual_of
from napari_wsseg._widgets.parts import banner

pytestmark = pytest.mark.gui


def drawn_order(bench: Workbench) -> list[Layer]:
    """Return the layers as the canvas draws them, the lowest first."""
    layers = [layer for layer in bench.viewer.layers if layer.visible]
    return sorted(layers, key=lambda layer: visual_of(bench.viewer, layer).order)


def draw_large_and_small(bench: Workbench) -> None:
    """Draw a large finding and, listed below it, a small one."""
    small, large = "effusion", "nodule"
    bench.autosave.apply(small, noise_project.blob(size=4).astype(bool), "brush")
    bench.autosave.apply(large, noise_project.blob(size=30).astype(bool), "brush")
    bench.session.looking.set_view("cam")
    bench.layers.show_view()


def test_layers_of_ones_own_take_the_films_unit(
    open_bench: Callable[..., Workbench], tmp_path: Path, qtbot: Any
) -> None:
    """Two units in one list, and napari warns and the scale bar has none."""
    folder = noise_project.make_project(tmp_path / "sized", spacing_mm=(0.2, 0.2))
    bench = open_bench(folder)
    mine = bench.viewer.add_labels(np.zeros(noise_project.SHAPE, np.uint8), name="mine")
    bench.viewer.add_points(np.array([[9.0, 9.0]]), name="marks")
    for key in (window_input.KEYS["next"], window_input.KEYS["previous"]):
        before = bench.session.case
        QTest.keyClick(bench.canvas(), key)
        qtbot.waitUntil(lambda old=before: bench.session.case is not old, timeout=5000)
        bench.drawing.drain()
        late = bench.viewer.add_labels(np.zeros(noise_project.SHAPE, np.uint8))
        units = {str(unit) for layer in bench.viewer.layers for unit in layer.units}
        sized = bench.session.case.spacing_mm is not None
        assert units == {"millimeter" if sized else "pixel"}
        assert bench.viewer.layers.extent.units is not None
        bench.viewer.layers.remove(late)
    assert tuple(mine.scale) == (1.0, 1.0), "where it lies is the reader's to say"
    volume = bench.viewer.add_image(np.zeros((2, 8, 8)), units=("um", "um", "um"))
    assert {str(unit) for unit in volume.units} == {"micrometer"}
    for how in ("turn", "mirror", "upright"):
        bench.turn_view(how)
    before = bench.session.case
    QTest.keyClick(bench.canvas(), window_input.KEYS["next"])
    qtbot.waitUntil(lambda: bench.session.case is not before, timeout=5000)
    bench.layers.fit()


def move_film_to_the_top(bench: Workbench) -> None:
    bench.viewer.layers.move(0, len(bench.viewer.layers))


def move_outlines_to_the_foot(bench: Workbench) -> None:
    layers = bench.viewer.layers
    layers.move(layers.index(bench.layers.outline), 0)


def turn_the_list_over(bench: Workbench) -> None:
    bench.viewer.layers.reverse()


def hide_and_show_by_the_eye(bench: Workbench) -> None:
    layer = bench.layers.experts["nodule"]
    layer.visible = False
    layer.visible = True


def add_a_layer(bench: Workbench) -> None:
    bench.viewer.add_labels(np.zeros(noise_project.SHAPE, np.uint8), name="mine")


def move_a_layer_of_her_own(bench: Workbench) -> None:
    add_a_layer(bench)
    bench.viewer.layers.move(len(bench.viewer.layers) - 1, 1)


@pytest.mark.parametrize(
    "by",
    [
        move_film_to_the_top,
        move_outlines_to_the_foot,
        turn_the_list_over,
        hide_and_show_by_the_eye,
        add_a_layer,
        move_a_layer_of_her_own,
    ],
)
def test_small_masks_and_numbers_stay_on_top_whatever_is_moved(
    bench: Workbench, qtbot: Any, by: Callable[[Workbench], None]
) -> None:
    draw_large_and_small(bench)
    layers = bench.layers
    by(bench)
    ours = [layer for layer in bench.viewer.layers if layer in layers.all]
    qtbot.waitUntil(
        lambda: (
            [layer for layer in bench.viewer.layers if layer in layers.all]
            == layers.all
        ),
        timeout=3000,
    )
    assert len(ours) == len(layers.all)
    order = drawn_order(bench)
    assert order[0] is layers.film
    assert order[-1] is layers.outline
    small, large = layers.experts["effusion"], layers.experts["nodule"]
    assert order.index(large) < order.index(small)
    assert bench.session.experts.masks["effusion"].sum() == 16


def pick_film(bench: Workbench) -> None:
    bench.viewer.layers.selection.active = bench.layers.film


def pick_outline(bench: Workbench) -> None:
    bench.viewer.layers.selection.active = bench.layers.outline


def pick_nothing(bench: Workbench) -> None:
    bench.viewer.layers.selection.clear()


def pick_two(bench: Workbench) -> None:
    bench.viewer.layers.selection = {bench.layers.film, bench.layers.outline}


@pytest.mark.parametrize("pick", [pick_film, pick_outline, pick_nothing, pick_two])
@pytest.mark.parametrize(("key", "mode"), [("2", "paint"), ("1", "erase")])
def test_tool_keys_work_on_the_film_whatever_is_picked_in_the_list(
    bench: Workbench, pick: Callable[[Workbench], None], key: str, mode: str
) -> None:
    pick(bench)
    assert bench.viewer.layers.selection.active is not bench.layers.active
    QTest.keyClick(bench.canvas(), key)
    assert str(bench.layers.active.mode) == mode
    assert bench.viewer.layers.selection.active is bench.layers.active


def test_a_stroke_is_the_findings_though_the_film_was_picked(bench: Workbench) -> None:
    QTest.keyClick(bench.canvas(), "2")
    pick_film(bench)
    window_input.stroke(bench, *window_input.scribble(1))
    assert bench.session.experts.masks["effusion"].any()


def test_a_layer_of_her_own_keeps_its_keys(bench: Workbench) -> None:
    add_a_layer(bench)
    own = bench.viewer.layers["mine"]
    QTest.keyClick(bench.canvas(), "2")
    assert str(own.mode) == "paint"
    assert str(bench.layers.active.mode) == "pan_zoom"
    bench.session.step(1)
    bench.loading.drain()
    assert bench.viewer.layers.selection.active is bench.layers.active


@pytest.mark.parametrize("tool", ["grow", "lasso", "ruler"])
def test_what_a_tool_draws_on_cannot_be_deleted_from_under_it(
    bench: Workbench, tool: str
) -> None:
    before = list(bench.viewer.layers)
    getattr(bench, f"take_{tool}")()
    new = [layer for layer in bench.viewer.layers if layer not in before]
    assert new
    bench.viewer.layers.selection = set(new)
    bench.viewer.layers.remove_selected()
    assert all(layer in bench.viewer.layers for layer in new)
    bench.put_tools_down()
    assert list(bench.viewer.layers) == before


def rename(layer: Layer) -> None:
    layer.name = "سل · 肺结核"


@pytest.mark.parametrize("finding", noise_project.FINDINGS)
def test_a_layer_that_is_renamed_is_drawn_on_and_kept_as_before(
    bench: Workbench, finding: str
) -> None:
    bench.session.looking.set_finding(finding)
    for layer in bench.layers.all:
        rename(layer)
    bench.autosave.apply(finding, noise_project.blob().astype(bool), "brush")
    case = bench.session.case.id
    for by in (1, -1):
        bench.session.step(by)
        bench.loading.drain()
    assert bench.session.case.id == case
    assert bench.session.experts.masks[finding].sum() == 64


@pytest.mark.parametrize("name", ["Worklist", "Review", "Export"])
def test_a_panel_that_is_closed_says_how_it_comes_back(
    bench: Workbench, name: str, qtbot: Any
) -> None:
    messages: list[str] = []
    bench.session.message.connect(messages.append)
    docks = bench.main_window.findChildren(QDockWidget)
    dock = next(one for one in docks if one.windowTitle() == name)
    dock.raise_()
    buttons = dock.titleBarWidget().findChildren(QPushButton)
    assert "QTitleBarCloseButton" not in {one.objectName() for one in buttons}
    hide = next(one for one in buttons if one.objectName() == "QTitleBarHideButton")
    QTest.mouseClick(hide, Qt.MouseButton.LeftButton, pos=QPoint(3, 3))
    qtbot.waitUntil(dock.isHidden, timeout=3000)
    assert messages == [f"“{name}” is put away; Window ▸ {name} brings it back"]
    menu = bench.viewer.window.window_menu
    back = next(action for action in menu.actions() if action.text() == name)
    back.trigger()
    qtbot.waitUntil(dock.isVisible, timeout=3000)


def test_what_is_said_while_another_panel_is_in_front_is_said_over_the_film(
    bench: Workbench, qtbot: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[str] = []
    monkeypatch.setattr(banner, "show_info", shown.append)
    bench.session.message.emit("first")
    assert shown == [], "the banner is in sight"
    docks = bench.main_window.findChildren(QDockWidget)
    next(one for one in docks if one.windowTitle() == "Export").raise_()
    review = next(one for one in docks if one.windowTitle() == "Review")
    qtbot.waitUntil(lambda: review.visibleRegion().isEmpty(), timeout=3000)
    bench.session.save_failed.emit("The disk is full")
    bench.session.save_failed.emit("The disk is full")
    assert len(shown) == 1, "once, not at every attempt"
    assert "Not saved. The disk is full" in shown[0]

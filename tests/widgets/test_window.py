"""The window keeps its promises under a real mouse and a real keyboard."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from napari.layers import Image, Labels
from napari.settings import get_settings
from npe2 import PluginManifest
from qtpy.QtCore import QPoint, Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QWidget

from helpers import noise_project, pointer
from napari_wsseg._widgets import window
from napari_wsseg._widgets.canvas import thumbnails
from napari_wsseg._widgets.canvas.bench import Workbench
from napari_wsseg._widgets.canvas.layer_set import STAGE_NAMES
from napari_wsseg._widgets.parts import shortcuts as _shortcuts
from napari_wsseg._widgets.review.panel import Review
from napari_wsseg._widgets.workbench import commands_of
from napari_wsseg._widgets.worklist.panel import Worklist
from napari_wsseg.io.project import Project

ROOT = Path(__file__).resolve().parents[2]

pytestmark = pytest.mark.gui


def canvas(bench: Workbench) -> QWidget:
    for widget in bench.main_window.centralWidget().findChildren(QWidget):
        if widget.metaObject().className() == "CanvasBackendDesktop":
            return widget
    raise LookupError("no canvas")


def panel(bench: Workbench, kind: type) -> Any:
    return bench.main_window.findChild(kind)


def drag(bench: Workbench, *points: tuple[float, float]) -> None:
    """Drag the mouse over the canvas, points in fractions of it."""
    native = canvas(bench)
    places = [
        QPoint(int(x * native.width()), int(y * native.height())) for x, y in points
    ]
    pointer.drag(native, places, pause=20)


def paint(bench: Workbench) -> None:
    bench.layers.active.mode = "paint"
    bench.layers.active.brush_size = 8
    drag(bench, (0.5, 0.5), (0.52, 0.52), (0.55, 0.55))


def press(bench: Workbench, key: Qt.Key, modifier: Any = None) -> None:
    none = Qt.KeyboardModifier.NoModifier
    QTest.keyClick(canvas(bench), key, modifier or none)


def go_to(bench: Workbench, qtbot: Any, number: int) -> None:
    case_id = bench.session.list.order[number]
    bench.session.go_to(case_id)
    qtbot.waitUntil(lambda: bench.session.case.id == case_id, timeout=5000)


def test_layers_are_one_set_in_a_fixed_order(bench: Workbench) -> None:
    names = [layer.name for layer in bench.viewer.layers]
    stages = [STAGE_NAMES[s] for s in ("cam", "crf", "irnet", "segmentation")]
    experts = [f"Expert · {name}" for name in noise_project.FINDINGS]
    assert names == ["Film", *stages, "Machine outline", *experts]
    assert all(layer.dtype == np.uint8 for layer in bench.layers.experts.values())
    assert bench.viewer.layers.selection.active is bench.layers.active


def test_turning_to_another_case_reuses_every_layer(
    bench: Workbench, qtbot: Any
) -> None:
    before = list(bench.viewer.layers)
    film = bench.layers.film.data
    go_to(bench, qtbot, 1)
    assert list(bench.viewer.layers) == before
    assert not np.array_equal(bench.layers.film.data, film)


def test_a_mouse_stroke_is_painted_and_on_disk(bench: Workbench, place: Path) -> None:
    paint(bench)
    drawn = bench.layers.active.data.astype(bool)
    assert drawn.any()
    case_id = bench.session.case.id
    with Project.open(place) as other:
        np.testing.assert_array_equal(
            other.journal.recover(case_id, "effusion", "ann"), drawn
        )


def test_undo_and_redo_are_saved_although_they_emit_no_paint_event(
    bench: Workbench, place: Path
) -> None:
    paint(bench)
    layer, experts = bench.layers.active, bench.session.experts
    layer.undo()
    assert not experts.masks["effusion"].any()
    layer.redo()
    assert experts.masks["effusion"].any()
    np.testing.assert_array_equal(experts.masks["effusion"], layer.data)


def test_undo_never_brings_back_pixels_of_another_case(
    bench: Workbench, qtbot: Any
) -> None:
    paint(bench)
    go_to(bench, qtbot, 1)
    layer = bench.layers.active
    assert str(layer.mode) == "paint", "the tool in hand stays"
    layer.undo()
    assert not layer.data.any()
    go_to(bench, qtbot, 0)
    assert layer.data.any()
    layer.undo()
    assert layer.data.any()


def test_undo_survives_a_look_at_another_finding(bench: Workbench) -> None:
    paint(bench)
    first = bench.layers.active
    bench.session.looking.step_finding(1)
    assert bench.layers.active is not first
    bench.session.looking.step_finding(-1)
    first.undo()
    assert not first.data.any()


def test_overlapping_findings_keep_all_their_pixels(
    bench: Workbench, place: Path
) -> None:
    case_id = bench.session.case.id
    for name in noise_project.FINDINGS:
        mask = noise_project.blob(at=20, size=30).astype(bool)
        bench.autosave.apply(name, mask, "brush")
    bench.close()
    with Project.open(place) as project:
        masks = project.expert_masks(case_id)
    assert [int(masks[name].sum()) for name in noise_project.FINDINGS] == [900, 900]


def test_starting_from_a_stage_is_one_undo(bench: Workbench) -> None:
    layer = bench.layers.active
    review = panel(bench, Review)
    review.editing.start.click()
    assert layer.data.any()
    assert bench.session.experts.masks["effusion"].any()
    layer.undo()
    assert not layer.data.any()


def test_our_layers_cannot_be_lost_by_deleting_them(bench: Workbench) -> None:
    before = list(bench.viewer.layers)
    bench.viewer.layers.selection = set(before)
    bench.viewer.layers.remove_selected()
    assert list(bench.viewer.layers) == before
    bench.viewer.layers.remove(bench.layers.active)
    QTest.qWait(20)
    assert list(bench.viewer.layers) == before


def test_a_heat_lies_exactly_on_its_film(bench: Workbench) -> None:
    bench.session.looking.set_view("cam")
    film, heat = bench.layers.film, bench.layers.heats["cam"]
    np.testing.assert_allclose(heat.extent.world, film.extent.world, atol=3)
    assert isinstance(heat, Image)
    assert heat.visible


def test_what_the_machine_found_is_seen_over_the_film(bench: Workbench) -> None:
    def coloured() -> int:
        picture = bench.viewer.screenshot(canvas_only=True, flash=False)[..., :3]
        return int((np.ptp(picture.astype(int), axis=-1) > 30).sum())

    bench.session.looking.set_view("cam")
    bench.drawing.drain()
    assert coloured() > 1000, "the heat"
    bench.session.looking.set_view("film")
    assert coloured() == 0, "the film alone is grey"


def test_the_outline_is_of_what_the_stage_offers(bench: Workbench) -> None:
    bench.session.looking.set_view("cam")
    bench.drawing.drain()
    bench.session.looking.set_numbers(False)
    bench.drawing.drain()
    outline = bench.layers.outline
    assert isinstance(outline, Labels)
    assert set(np.unique(outline.data)) <= {0, 1, 2, thumbnails.HALO}
    assert outline.data.any()
    bench.session.looking.set_threshold("cam", "effusion", 1.0)
    bench.session.looking.set_threshold("cam", "nodule", 1.0)
    bench.drawing.drain()
    assert not outline.data.any()


def test_decisions_by_key_go_on_and_can_be_undone(bench: Workbench, qtbot: Any) -> None:
    first = bench.session.case.id
    qtbot.waitUntil(lambda: bench.sight.seen)
    press(bench, Qt.Key.Key_A)
    qtbot.waitUntil(lambda: bench.session.case.id != first, timeout=5000)
    qtbot.waitUntil(lambda: bench.session.list.status(first) == "accepted")
    review = panel(bench, Review)
    assert review.decide.undo.isVisible()
    review.decide.undo.button.click()
    qtbot.waitUntil(lambda: bench.session.case.id == first, timeout=5000)
    assert bench.session.list.status(first) == "to review"


def test_what_one_reader_decided_is_not_offered_to_the_next_to_take_back(
    bench: Workbench, qtbot: Any
) -> None:
    bench.session.decide("accept")
    undo = panel(bench, Review).decide.undo
    qtbot.waitUntil(undo.isVisible)
    bench.session.read_as("bea")
    assert not undo.isVisible()
    assert not bench.session.can_undo_decision()


def test_keys_turn_films_findings_and_stages(bench: Workbench, qtbot: Any) -> None:
    first, session = bench.session.case.id, bench.session
    press(bench, Qt.Key.Key_PageDown)
    qtbot.waitUntil(lambda: session.case.id != first, timeout=5000)
    press(bench, Qt.Key.Key_Left, Qt.KeyboardModifier.ControlModifier)
    qtbot.waitUntil(lambda: session.case.id == first, timeout=5000)
    press(bench, Qt.Key.Key_W)
    assert session.looking.finding.name == "nodule"
    press(bench, Qt.Key.Key_Q)
    assert session.looking.finding.name == "effusion"
    assert session.looking.view == "cam"
    press(bench, Qt.Key.Key_D)
    assert session.looking.view == "expert"
    before = session.looking.blend
    press(bench, Qt.Key.Key_Period)
    assert session.looking.blend == pytest.approx(before + 0.1)


def test_holding_h_shows_the_film_alone(bench: Workbench) -> None:
    QTest.keyPress(canvas(bench), Qt.Key.Key_H)
    assert [layer.name for layer in bench.viewer.layers if layer.visible] == ["Film"]
    QTest.keyRelease(canvas(bench), Qt.Key.Key_H)
    assert bench.layers.active.visible


def test_no_key_fires_while_a_text_field_is_typed_in(
    bench: Workbench, qtbot: Any
) -> None:
    review, case_id = panel(bench, Review), bench.session.case.id
    bench.main_window.activateWindow()
    review.decide.comment.setFocus()
    qtbot.waitUntil(review.decide.comment.hasFocus)
    QTest.keyClicks(review.decide.comment, "argudwq")
    # A key that the field leaves alone reaches the window, and must stop there.
    QTest.keyClick(review.decide.comment, Qt.Key.Key_PageDown)
    assert review.decide.comment.text() == "argudwq"
    assert bench.session.case.id == case_id
    assert bench.session.list.decisions == {}


def test_no_key_of_napari_is_taken(bench: Workbench) -> None:
    """Shapes and Points use more letters, but a layer's keys come before ours."""
    # By an action's name its owner is not told, so the ones of drawing tools that the
    # reader never meets on our layers are left out by theirs.
    layer_actions = ("shapes", "_add_", "direct", "vertex", "select_", "points")
    taken = {
        str(key).lower()
        for action, keys in get_settings().shortcuts.shortcuts.items()
        for key in keys
        if not any(word in action for word in layer_actions)
    }
    ours = {key.binding.replace("Control-", "Ctrl+").lower() for key in _shortcuts.KEYS}
    assert {"ctrl+g", "m", "[", "escape"} <= taken
    assert not ours & taken


def test_hiding_and_showing_leaves_the_tool_in_the_hand(bench: Workbench) -> None:
    bench.layers.active.mode = "paint"
    bench.layers.hide(True)
    bench.layers.hide(False)
    assert str(bench.layers.active.mode) == "paint"


def test_panels_of_one_viewer_share_a_session(
    make_napari_viewer: Callable[..., Any], place: Path
) -> None:
    viewer, other = make_napari_viewer(), make_napari_viewer()
    review = window.review_panel(viewer)
    worklist = window.worklist_panel(viewer)
    alone = window.worklist_panel(other)
    try:
        assert review.bench is worklist.bench
        assert alone.bench is not review.bench
        assert review.currentWidget() is review.start
        review.bench.session.open_project(place)
        assert worklist.currentWidget() is worklist.panel
        assert alone.currentWidget() is alone.start
    finally:
        for widget in (review, worklist, alone):
            widget.bench.close()
            widget.deleteLater()


def test_closing_the_window_folds_strokes_and_frees_the_project(
    bench: Workbench, place: Path
) -> None:
    case_id = bench.session.case.id
    paint(bench)
    bench.viewer.close()
    with Project.open(place, write=True) as project:
        assert project.expert_masks(case_id)["effusion"].any()
        assert project.journal.pending() == []


def test_trouble_with_saving_stays_on_screen_until_it_is_mended(
    bench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    from napari_wsseg.jobs import DataError

    def full(*args: object) -> None:
        raise DataError("no space left on the disk")

    banner = panel(bench, Review).banner
    with monkeypatch.context() as broken:
        broken.setattr(bench.session.project.journal, "record", full)
        paint(bench)
        assert "no space left" in banner.text.text()
        assert banner.isVisible()
        banner.cross.click()
        assert banner.isVisible()
    bench.session.tick()
    assert "nothing was lost" in banner.text.text()


def test_the_worklist_filters_and_is_followed(bench: Workbench, qtbot: Any) -> None:
    worklist = panel(bench, Worklist)
    worklist.search.setText("film2")
    qtbot.waitUntil(lambda: len(worklist.model.shown) == 1)
    assert len(bench.session.list.order) == 1
    worklist.search.clear()
    qtbot.waitUntil(lambda: len(worklist.model.shown) == 4)
    row = worklist.model.index(2, 0)
    worklist.table.clicked.emit(row)
    wanted = worklist.model.shown[2]
    qtbot.waitUntil(lambda: bench.session.case.id == wanted, timeout=5000)


def test_side_by_side_covers_the_canvas_and_a_click_leads_back(
    bench: Workbench, qtbot: Any
) -> None:
    commands_of(bench.viewer).toggle_gallery()
    tiles = commands_of(bench.viewer).gallery.tiles
    qtbot.waitUntil(lambda: tiles["cam"].picture is not None, timeout=5000)
    assert tiles["irnet"].picture is None
    QTest.mouseClick(tiles["cam"], Qt.MouseButton.LeftButton)
    assert not commands_of(bench.viewer).gallery.isVisible()
    assert bench.session.looking.view == "cam"


def test_the_window_fills_the_screen_at_first_and_later_comes_as_it_was_left(
    bench: Workbench, qtbot: Any
) -> None:
    window.fill_screen(bench.viewer)
    qtbot.waitUntil(bench.main_window.isMaximized, timeout=5000)
    assert window.preferences.window_place() is None
    bench.close()
    assert window.preferences.window_place() is not None


def test_importing_the_window_does_not_import_torch() -> None:
    code = (
        "import sys, napari_wsseg._widgets.window; "
        "sys.exit('torch' in sys.modules or 'trainers' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_end_of_an_order_is_said(bench: Workbench, qtbot: Any) -> None:
    messages: list[str] = []
    bench.session.message.connect(messages.append)
    last = bench.session.list.order[-1]
    bench.session.go_to(last)
    qtbot.waitUntil(lambda: bench.session.case.id == last, timeout=5000)
    press(bench, Qt.Key.Key_PageDown)
    assert "last film" in messages[-1]
    assert bench.session.case.id == last


def test_the_header_says_uncertainty_and_sorts_by_it(bench: Workbench) -> None:
    worklist = panel(bench, Worklist)
    header = worklist.table.horizontalHeader()
    model, across = worklist.model, Qt.Orientation.Horizontal
    assert model.headerData(3, across) == "Uncertain"
    assert "coin" in model.headerData(3, across, Qt.ItemDataRole.ToolTipRole)
    header.sectionClicked.emit(3)
    assert worklist.order.currentText() == "Most uncertain first"
    header.sectionClicked.emit(1)
    assert worklist.order.currentText() != "Most uncertain first"


def test_a_panel_is_a_wing_and_an_entry_in_the_manifest() -> None:
    """The window docks what napari.yaml lists; nothing else names a panel."""
    manifest = PluginManifest.from_file(ROOT / "napari.yaml").contributions
    titles = [one.display_name for one in manifest.widgets or ()]
    assert list(window.panels()) == titles
    source = (ROOT / "napari_wsseg/_widgets/window.py").read_text("utf-8")
    for wing in ("training", "runs", "export"):
        assert f"_widgets.{wing}" not in source
    with pytest.raises(AttributeError, match="nothing_panel"):
        window.nothing_panel  # noqa: B018

"""Thirteen findings on one film can be told apart, and each seen for itself."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from qtpy.QtCore import QPoint, QSize, Qt
from qtpy.QtGui import QIcon
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QAbstractButton, QLabel, QWidget
from scipy import ndimage

from helpers import noise_project
from helpers.noise_project import SHAPE
from helpers.window_input import part
from napari_wsseg._widgets.canvas import orientation
from napari_wsseg._widgets.canvas import thumbnails as _thumbnails
from napari_wsseg._widgets.canvas.bench import Workbench
from napari_wsseg._widgets.canvas.napari_internals import visual_of
from napari_wsseg._widgets.canvas.tool_bar import ToolBar
from napari_wsseg._widgets.parts import screen
from napari_wsseg._widgets.review.findings_table import FindingsTable
from napari_wsseg._widgets.review.panel import Review
from napari_wsseg._widgets.review.readout import Readout
from napari_wsseg._widgets.worklist.film_table import shared
from napari_wsseg._widgets.worklist.panel import Worklist
from napari_wsseg.io.project import Project
from napari_wsseg.io.project_folder import settings
from napari_wsseg.schema import PALETTE, Finding

NAMES = (
    *("ground_glass_opacities", "consolidation", "effusion", "pneumothorax"),
    *("left_lung", "right_lung", "heart", "clavicle", "chest_tube", "pacemaker"),
    *("central_venous_catheter", "nodule", "rib_fracture"),
)


@pytest.fixture
def many(
    tmp_path: Path,
    open_bench: Callable[..., Workbench],
    monkeypatch: pytest.MonkeyPatch,
) -> Workbench:
    """Return a window on films with a mask of every finding, the later the smaller."""
    monkeypatch.setattr(noise_project, "FINDINGS", NAMES)
    folder = noise_project.make_project(tmp_path / "many", cases=2)
    with Project.open(folder, write=True) as project:
        case = project.cases()[0]
        for place, name in enumerate(NAMES):
            mask = np.zeros(SHAPE, bool)
            mask[10 : 70 - 4 * place, 10 : 70 - 4 * place] = True
            project.put_mask(case.id, name, mask, reader="ann")
    return open_bench(folder)


def visible(bench: Workbench) -> set[str]:
    return {name for name, layer in bench.layers.experts.items() if layer.visible}


@pytest.fixture
def low_screen(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lay the window out as on a screen of 768 pixels."""
    monkeypatch.setattr(screen, "_TALL", 10_000)


@pytest.mark.gui
def test_on_a_low_screen_names_are_whole_and_the_stages_in_sight(
    low_screen: None, many: Workbench, qtbot: Any
) -> None:
    many.main_window.resize(1366, 740)
    review = part(many, Review)
    qtbot.waitUntil(lambda: review.width() < 400 and review.height() < 740)
    stages, frame = review.stages, review.scroll.viewport()

    def lies(widget: QWidget) -> QPoint:
        return widget.mapTo(frame, widget.rect().bottomRight())

    for widget in (*stages.buttons.values(), stages.snap, stages.look):
        qtbot.waitUntil(
            lambda one=widget: frame.rect().contains(lies(one)), timeout=5000
        )
    table, metrics = review.findings.table, review.findings.fontMetrics()

    def is_whole(name: str) -> bool:
        row, room = review.findings.row_of[name], table.columnWidth(0) - 54
        parts_of_name = table.item(row, 0).text().split()
        lines = table.rowHeight(row) // metrics.lineSpacing()
        wide = metrics.horizontalAdvance(" ".join(parts_of_name)) > room
        return (
            max(map(metrics.horizontalAdvance, parts_of_name)) <= room
            and lines >= 1 + wide
        )

    for name in ("ground_glass_opacities", "central_venous_catheter"):
        qtbot.waitUntil(lambda one=name: is_whole(one), timeout=5000)


@pytest.mark.gui
def test_findings_are_called_by_their_titles_wherever_words_are(
    many: Workbench, qtbot: Any
) -> None:
    session, said = many.session, list[str]()
    session.message.connect(said.append)
    readout = part(many, Readout)
    assert "1 ground glass opacities (expert)" in readout.describe(12, 12)
    session.looking.set_finding("chest_tube")
    QTest.keyClick(many.canvas(), "c", Qt.KeyboardModifier.ShiftModifier)
    qtbot.waitUntil(lambda: bool(said), timeout=5000)
    assert said[-1] == "No stage offers anything for chest tube"
    worklist = part(many, Worklist)
    tip = worklist.model.data(worklist.model.index(0, 2), Qt.ItemDataRole.ToolTipRole)
    shown = [readout.describe(12, 12), tip.splitlines()[1], *said]
    for panel in (worklist, part(many, Review)):
        for widget in panel.findChildren(QWidget):
            if widget.isVisible() and isinstance(widget, (QLabel, QAbstractButton)):
                shown += [widget.text(), widget.toolTip()]
    for name in NAMES:
        raw = [text for text in shown if "_" in name and name in text]
        assert not raw, name


@pytest.mark.gui
def test_one_key_shows_one_finding_alone(many: Workbench) -> None:
    many.session.looking.set_view("expert")
    many.session.looking.set_finding("nodule")
    assert visible(many) == {*NAMES}
    QTest.keyClick(many.canvas(), Qt.Key.Key_F5)
    assert visible(many) == {"nodule"}
    QTest.keyClick(many.canvas(), Qt.Key.Key_W)
    assert visible(many) == {"rib_fracture"}, "alone goes along with the finding"
    QTest.keyClick(many.canvas(), Qt.Key.Key_F5)
    assert visible(many) == {*NAMES}


@pytest.mark.gui
def test_masks_are_filled_outlined_or_off_by_one_key(many: Workbench) -> None:
    many.session.looking.set_view("expert")
    layers = many.layers.experts.values()
    QTest.keyClick(many.canvas(), Qt.Key.Key_F6)
    assert {layer.contour > 0 for layer in layers} == {True}
    QTest.keyClick(many.canvas(), Qt.Key.Key_F6)
    assert visible(many) == set()
    QTest.keyClick(many.canvas(), Qt.Key.Key_F6)
    assert {layer.contour for layer in layers} == {0}
    assert visible(many) == {*NAMES}


@pytest.mark.gui
def test_groups_fold_and_hide_together(many: Workbench, qtbot: Any) -> None:
    many.session.looking.set_view("expert")
    findings = part(many, FindingsTable)
    table = findings.table
    groups = {
        table.item(row, 0).text().strip("▾▸ "): row
        for row in range(table.rowCount())
        if row not in findings.row_of.values()
    }
    assert [*groups] == ["lesions", "devices", "anatomy"]
    assert table.item(findings.row_of["left_lung"], 0).text() == "left lung"
    table.item(groups["anatomy"], 0).setCheckState(Qt.CheckState.Unchecked)
    anatomy = {"left_lung", "right_lung", "heart", "clavicle"}
    assert visible(many) == {*NAMES} - anatomy
    table.item(groups["anatomy"], 0).setCheckState(Qt.CheckState.Checked)
    assert visible(many) == {*NAMES}
    place = table.visualItemRect(table.item(groups["devices"], 0)).center()
    qtbot.wait(10)
    qtbot.mouseClick(
        table.viewport(), Qt.MouseButton.LeftButton, pos=place + QPoint(40, 0)
    )
    assert table.isRowHidden(findings.row_of["pacemaker"])
    assert not table.isRowHidden(findings.row_of["nodule"])
    assert visible(many) == {*NAMES}, "to fold is not to hide"


@pytest.mark.gui
def test_small_masks_lie_over_large_ones(many: Workbench) -> None:
    many.session.looking.set_view("expert")
    many.session.looking.set_finding("consolidation")
    orders = [visual_of(many.viewer, many.layers.experts[name]).order for name in NAMES]
    assert orders == sorted(orders)
    big = np.zeros(SHAPE, bool)
    big[5:90, 5:75] = True
    many.session.edit("nodule", big)
    many.layers.show_view()
    now = {n: visual_of(many.viewer, many.layers.experts[n]).order for n in NAMES}
    assert min(now, key=lambda name: now[name]) == "nodule"
    assert len({*now.values()}) == len(now)
    outline = visual_of(many.viewer, many.layers.outline).order
    assert outline > max(now.values()), "a mask would tint the numbers of others"


@pytest.mark.gui
def test_a_finding_has_one_colour_in_the_table_selected_or_not(many: Workbench) -> None:
    findings = part(many, FindingsTable)
    row = findings.row_of["consolidation"]
    icon = findings.table.item(row, 0).icon()
    plain, picked = (
        icon.pixmap(QSize(16, 16), 2.0, mode).toImage()
        for mode in (QIcon.Mode.Normal, QIcon.Mode.Selected)
    )
    assert plain == picked


@pytest.mark.gui
def test_tools_findings_and_decisions_are_in_sight_at_once(many: Workbench) -> None:
    bar = part(many, ToolBar)
    window = many.main_window
    window.resize(1366, 740)
    tools = {button.text() for button in bar.findChildren(type(bar.children()[1]))}
    assert {"Brush", "Eraser", "Grow", "Ruler", "Invert", "Turn", "Mirror"} <= tools
    assert bar.isVisible()
    assert part(many, FindingsTable).visibleRegion().boundingRect().height() > 100


@pytest.mark.gui
def test_the_worklist_never_scrolls_sideways(many: Workbench) -> None:
    table = part(many, Worklist).table
    for width in (200, 300, 560):
        table.resize(width, 300)
        part(many, Worklist).table.fit()
        header = table.horizontalHeader()
        shown = [c for c in range(header.count()) if not header.isSectionHidden(c)]
        assert sum(header.sectionSize(c) for c in shown) <= table.width()
        assert {1, 2} <= {*shown}


@pytest.mark.gui
@pytest.mark.parametrize("turns", [["turn"], ["mirror"], ["turn", "mirror", "turn"]])
def test_what_is_drawn_on_a_turned_film_lies_where_it_was_drawn(
    bench: Workbench, turns: list[orientation.Turn]
) -> None:
    bench.session.looking.set_view("expert")
    layer = bench.layers.active
    layer.mode = "paint"
    layer.brush_size = 3
    for how in turns:
        bench.turn_view(how)
    assert not orientation.is_upright(bench.viewer)
    before = layer.data.copy()
    film = layer.data.shape
    layer.paint((20, 60), 1)
    assert layer.data[20, 60] == 1
    layer.undo()
    np.testing.assert_array_equal(layer.data, before)
    # By the mouse, too: a stroke at a corner of the screen, then back to the film.
    canvas = bench.canvas()
    middle = QPoint(canvas.width() // 2, canvas.height() // 2)
    QTest.mousePress(canvas, Qt.MouseButton.LeftButton, pos=middle + QPoint(40, 0))
    QTest.mouseMove(canvas, middle + QPoint(60, 0))
    QTest.mouseRelease(canvas, Qt.MouseButton.LeftButton, pos=middle + QPoint(60, 0))
    rows, columns = np.nonzero(layer.data)
    assert len(rows), "the stroke went nowhere"
    drawn = np.array([rows.mean(), columns.mean()]) - np.array(film) / 2
    # What lies right of the middle on the screen, by the way the view is turned.
    wanted = {
        ("turn",): (-1, 0),
        ("mirror",): (0, -1),
        ("turn", "mirror", "turn"): (0, -1),
    }[tuple(turns)]
    along = np.array(wanted)
    assert drawn @ along > 2
    assert abs(drawn @ along[::-1]) < abs(drawn @ along)
    bench.turn_view("upright")
    assert orientation.is_upright(bench.viewer)


@pytest.mark.gui
@pytest.mark.parametrize("turns", [["turn"], ["mirror"], ["turn", "mirror"]])
def test_numbers_can_be_read_however_the_film_is_turned(
    bench: Workbench, turns: list[orientation.Turn], qtbot: Any
) -> None:
    bench.session.looking.set_view("expert")
    bench.autosave.apply("effusion", noise_project.blob().astype(bool), "brush")
    layer = bench.layers.outlines.layer

    def signs() -> list[tuple[tuple[int, int], bytes]]:
        """Return grounds with what is written on them, as they stand on the screen."""
        seen = orientation.seen_by(bench.viewer)(layer.data)
        ground = ndimage.binary_closing(seen == _thumbnails.GROUND, iterations=3)
        boxes = ndimage.find_objects(ndimage.label(ground)[0])
        found = [seen[box] == _thumbnails.GROUND for box in boxes]
        return sorted((sign.shape, sign.tobytes()) for sign in found)

    def written() -> list[tuple[tuple[int, int], bytes]]:
        bench.drawing.drain()
        return signs()

    qtbot.waitUntil(lambda: bool(written()), timeout=5000)
    upright = written()
    for how in turns:
        bench.turn_view(how)
    assert written() == upright


@pytest.mark.gui
def test_one_key_inverts_and_the_film_has_no_blocks(bench: Workbench) -> None:
    film = bench.layers.film
    QTest.keyClick(bench.canvas(), Qt.Key.Key_I)
    assert film.colormap.name == "gray_r"
    bench.session.step(1)
    QTest.keyClick(bench.canvas(), Qt.Key.Key_I)
    assert film.colormap.name == "gray"
    assert film.interpolation2d != "nearest"


def test_a_halo_lies_outside_every_mask_and_on_no_outline() -> None:
    mask = noise_project.blob((60, 60), at=20, size=20).astype(bool)
    labels = _thumbnails.outlines([mask], (60, 60), 1)
    rim = labels == 1
    _thumbnails.halo(labels, [mask], 2)
    around = labels == _thumbnails.HALO
    assert around.sum() > 150
    assert not (around & mask).any()
    np.testing.assert_array_equal(labels == 1, rim)


def test_the_thirteenth_finding_has_a_colour_of_its_own(tmp_path: Path) -> None:
    names = [f"finding {n}" for n in range(13)]
    assert len({f.colour for f in settings.coloured(names)}) == 13
    # A project of an earlier version went round after twelve.
    entries = [
        {"name": name, "colour": PALETTE[n % 12]} for n, name in enumerate(names)
    ]
    document = {"schema": 1, "name": "p", "images": ".", "findings": entries}
    found = settings._settings(document).findings
    assert len({finding.colour for finding in found}) == 13


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("left_lung", "anatomy"),
        ("lung_opacity", "lesions"),
        ("chest tube", "devices"),
        ("cardiomegaly", "lesions"),
        ("enlarged_cardiomediastinum", "lesions"),
        ("heart", "anatomy"),
        ("rib_fracture", "lesions"),
        ("support devices", "devices"),
        ("anything else", "lesions"),
    ],
)
def test_a_finding_is_listed_under_the_group_of_its_name(name: str, kind: str) -> None:
    assert Finding(name, "#000000").kind == kind
    assert Finding(name, "#000000", group="mine").kind == "mine"


def test_what_names_share_can_be_left_out_of_them() -> None:
    assert shared(["study-01-PA", "study-02-PA"]) == ("study-0", "-PA")
    assert shared(["a", "b"]) == ("", "")
    assert shared(["study", "study1"])[0] in ("", "stud")
    begin, end = shared(["film-1", "film-1-more"])
    assert len(begin) + len(end) < len("film-1")

"""Image-level labels in the window: changed by mouse and keys, asked about, undone."""

from __future__ import annotations

from typing import Any

import pytest
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QMenu

from helpers.noise_project import blob
from helpers.window_input import part
from napari_wsseg._widgets.canvas.bench import Workbench
from napari_wsseg._widgets.review.findings_table import COLUMNS, FindingsTable
from napari_wsseg._widgets.review.label_bar import LabelBar

SHIFT = Qt.KeyboardModifier.ShiftModifier

pytestmark = pytest.mark.gui


def label_cell(bench: Workbench, finding: str) -> Any:
    table = part(bench, FindingsTable).table
    return table.item(
        bench.session.looking.names.index(finding), COLUMNS.index("Label")
    )


def test_a_label_is_changed_by_a_click_and_by_keys(
    bench: Workbench, qtbot: Any
) -> None:
    findings = part(bench, FindingsTable)
    item = label_cell(bench, "effusion")
    place = findings.table.visualItemRect(item).center()
    qtbot.mouseClick(findings.table.viewport(), Qt.MouseButton.LeftButton, pos=place)
    (menu,) = findings.findChildren(QMenu)
    assert [a.text() for a in menu.actions()][:4] == [
        *("present", "absent", "uncertain", "unknown")
    ]
    menu.actions()[2].trigger()
    menu.close()
    assert bench.session.case.labels["effusion"] == -1
    assert item.text() == "uncertain"
    bench.focus_canvas()
    QTest.keyClick(bench.canvas(), Qt.Key.Key_Y, SHIFT)
    assert item.text() == "present"
    QTest.keyClick(bench.canvas(), Qt.Key.Key_N, SHIFT)
    assert item.text() == "absent"
    QTest.keyClick(bench.canvas(), Qt.Key.Key_Z, SHIFT)
    assert item.text() == "present"


def test_the_window_asks_about_a_label_that_a_stroke_denies(
    bench: Workbench, qtbot: Any
) -> None:
    session = bench.session
    session.set_label("effusion", 0)
    bar = part(bench, LabelBar)
    session.edit("effusion", blob())
    assert bar.isVisible()
    assert "Set it to present?" in bar.text.text()
    qtbot.mouseClick(bar.set, Qt.MouseButton.LeftButton)
    assert session.case.labels["effusion"] == 1
    assert bar.undo.isVisible()
    qtbot.mouseClick(bar.undo, Qt.MouseButton.LeftButton)
    assert session.case.labels["effusion"] == 0


def test_a_question_names_its_film_once_another_one_is_open(
    bench: Workbench, qtbot: Any
) -> None:
    session = bench.session
    session.set_label("effusion", 0)
    bar, asked = part(bench, LabelBar), session.case
    session.edit("effusion", blob())
    assert "on this film" in bar.text.text()
    session.step(1)
    qtbot.waitUntil(lambda: session.case.id != asked.id, timeout=5000)
    assert f"on {asked.name}, labelled absent" in bar.text.text()
    qtbot.mouseClick(bar.set, Qt.MouseButton.LeftButton)
    assert session.list.cases[asked.id].labels["effusion"] == 1


def test_a_blind_reader_s_table_hides_labels(bench: Workbench, qtbot: Any) -> None:
    bench.session.read_as("bob", "blind")
    qtbot.waitUntil(lambda: bench.session.case is not None, timeout=5000)
    assert label_cell(bench, "effusion").text() == "hidden"

"""The keyboard alone is enough, and nothing of napari's is taken from it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import (
    QAbstractButton,
    QAbstractSlider,
    QComboBox,
    QLineEdit,
    QScrollBar,
    QTableWidget,
    QWidget,
)

from helpers.tab_walk import walked_by_tab
from napari_wsseg._widgets.canvas.bench import Workbench
from napari_wsseg._widgets.parts import shortcuts as _shortcuts
from napari_wsseg._widgets.review.panel import Review
from napari_wsseg._widgets.workbench import commands_of

pytestmark = pytest.mark.gui

_NAMED = {
    "PageDown": Qt.Key.Key_PageDown,
    "PageUp": Qt.Key.Key_PageUp,
    "Right": Qt.Key.Key_Right,
    "Left": Qt.Key.Key_Left,
    ",": Qt.Key.Key_Comma,
    ".": Qt.Key.Key_Period,
    "/": Qt.Key.Key_Slash,
}
_HELD = {
    "Control": Qt.KeyboardModifier.ControlModifier,
    "Shift": Qt.KeyboardModifier.ShiftModifier,
    "Alt": Qt.KeyboardModifier.AltModifier,
}


def pressed(widget: QWidget, binding: str) -> None:
    """Press a key, as `napari_wsseg._widgets.parts.shortcuts` names it."""
    *modifiers, name = binding.split("-") if len(binding) > 1 else [binding]
    key = _NAMED.get(name) or getattr(Qt.Key, f"Key_{name}")
    held = Qt.KeyboardModifier.NoModifier
    for modifier in modifiers:
        held |= _HELD[modifier]
    QTest.keyClick(widget, key, held)


@pytest.fixture
def heard(bench: Workbench) -> list[str]:
    """Return the list to which every key of ours adds its name instead of acting."""
    messages: list[str] = []

    def tells(name: str) -> Callable[..., None]:
        return lambda *_: messages.append(name)

    _shortcuts.unbind(bench.viewer)
    spies = {key.binding: tells(key.binding) for key in _shortcuts.KEYS}
    spies = {name: spy for name, spy in spies.items() if name not in "HKJ"}
    _shortcuts.bind(bench.viewer, spies, tells("H"), tells("J"), tells("K"))
    return messages


def test_every_key_of_ours_works_whatever_layer_is_active(
    bench: Workbench, heard: list[str]
) -> None:
    for active in (bench.layers.active, bench.layers.film, None):
        bench.viewer.layers.selection.active = active
        for key in _shortcuts.KEYS:
            heard.clear()
            pressed(bench.canvas(), key.binding)
            assert set(heard) == {key.binding}, f"{key.shown} with {active} active"


def test_no_key_of_ours_acts_while_a_text_field_is_typed_in(
    bench: Workbench, heard: list[str], qtbot: Any
) -> None:
    field = bench.main_window.findChild(Review).decide.comment
    bench.main_window.activateWindow()
    field.setFocus()
    qtbot.waitUntil(field.hasFocus)
    for key in _shortcuts.KEYS:
        pressed(field, key.binding)
    assert heard == []


def test_letters_work_from_the_table_of_findings_and_from_buttons(
    bench: Workbench, heard: list[str], qtbot: Any
) -> None:
    review = bench.main_window.findChild(Review)
    bench.main_window.activateWindow()
    for widget in (review.findings.table, review.editing.smooth):
        widget.setFocus()
        qtbot.waitUntil(widget.hasFocus)
        heard.clear()
        for name in ("A", "W", "U", "8"):
            pressed(widget, name)
        assert heard == ["A", "W", "U", "8"]


def test_the_keys_of_napari_that_the_list_names_still_work(bench: Workbench) -> None:
    layer, native = bench.layers.active, bench.canvas()
    modes = {
        Qt.Key.Key_2: "paint",
        Qt.Key.Key_1: "erase",
        Qt.Key.Key_3: "polygon",
        Qt.Key.Key_4: "fill",
        Qt.Key.Key_P: "paint",
        Qt.Key.Key_E: "erase",
        Qt.Key.Key_F: "fill",
        Qt.Key.Key_Z: "pan_zoom",
    }
    for key, mode in modes.items():
        QTest.keyClick(native, key)
        assert str(layer.mode) == mode
    size = layer.brush_size
    QTest.keyClick(native, Qt.Key.Key_BracketRight)
    assert layer.brush_size > size
    QTest.keyClick(native, Qt.Key.Key_BracketLeft)
    assert layer.brush_size == size
    layer.fill((20, 20), 1)
    QTest.keyClick(native, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    assert not layer.data.any()


def controls(panel: QWidget) -> list[QWidget]:
    """Return what can be pressed, moved or typed in and is in sight."""
    kinds = (QAbstractButton, QAbstractSlider, QComboBox, QLineEdit, QTableWidget)
    found = [child for kind in kinds for child in panel.findChildren(kind)]
    return [
        child
        for child in found
        if child.isVisible()
        and not isinstance(child, QScrollBar)
        # Parts of a table or of a list, reached through it.
        and not isinstance(child.parent(), (QTableWidget, QComboBox))
    ]


def test_every_control_of_review_is_reached_by_tab(
    bench: Workbench, qtbot: Any
) -> None:
    review = bench.main_window.findChild(Review)
    bench.session.looking.set_view("cam")
    for fold in review.folds.values():
        fold.set_open(True)
    reached = walked_by_tab(review.editing.smooth, qtbot)
    for control in controls(review):
        # Of buttons of which one is chosen, Tab reaches that, and arrows the others.
        group = control.group() if isinstance(control, QAbstractButton) else None
        together = group.buttons() if group and group.exclusive() else [control]
        enabled = [one for one in together if one.isEnabled()]
        assert not enabled or any(one in reached for one in enabled), control
        assert enabled or control.focusPolicy() & Qt.FocusPolicy.TabFocus, control


def test_every_control_of_review_says_what_it_does(bench: Workbench) -> None:
    review = bench.main_window.findChild(Review)
    bench.session.looking.set_view("cam", compared="film")
    for fold in review.folds.values():
        fold.set_open(True)
    silent = [
        getattr(control, "text", lambda: "")() or type(control).__name__
        for control in controls(review)
        if not control.toolTip()
    ]
    assert silent == []


def test_where_the_keyboard_is_can_be_seen(bench: Workbench, qtbot: Any) -> None:
    """A focused button is drawn in other pixels than one without focus."""
    button = bench.main_window.findChild(Review).editing.smooth
    bench.main_window.activateWindow()
    bench.focus_canvas()
    QTest.qWait(50)
    before = button.grab().toImage()
    button.setFocus(Qt.FocusReason.TabFocusReason)
    qtbot.waitUntil(button.hasFocus)
    QTest.qWait(50)
    assert button.grab().toImage() != before


def test_the_list_of_shortcuts_names_every_key_and_fits_a_small_screen(
    bench: Workbench,
) -> None:
    pressed(bench.canvas(), "F1")
    shown = commands_of(bench.viewer).help
    assert shown.isVisible()
    text = shown.layout().itemAt(0).widget().text()
    assert all(f">{key.shown}</code>" in text for key in _shortcuts.KEYS)
    assert shown.height() <= 700
    assert shown.width() <= 1366
    shown.close()

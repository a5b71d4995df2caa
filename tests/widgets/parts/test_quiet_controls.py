"""Every control, and what must not change it: wheel, film keys, lost releases."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from typing import Any

import pytest
from qtpy.QtCore import QEvent, Qt
from qtpy.QtGui import QKeyEvent
from qtpy.QtTest import QTest
from qtpy.QtWidgets import (
    QAbstractSlider,
    QAbstractSpinBox,
    QApplication,
    QCheckBox,
    QComboBox,
    QDockWidget,
    QScrollArea,
    QScrollBar,
    QTableView,
    QWidget,
)

from helpers.pointer import turn_wheel
from napari_wsseg._widgets.canvas.bench import Workbench
from napari_wsseg._widgets.canvas.napari_internals import key_releases
from napari_wsseg._widgets.review.panel import Review

pytestmark = [pytest.mark.gui, pytest.mark.programs]


@pytest.fixture(autouse=True)
def _live(bench: Workbench, qtbot: Any) -> None:
    """Give the window the keyboard, as a window manager would."""
    bench.main_window.activateWindow()
    subprocess.run(["xdotool", "windowfocus", str(int(bench.main_window.winId()))])
    qtbot.waitUntil(bench.main_window.isActiveWindow, timeout=5000)
    bench.focus_canvas()


OURS = ("Worklist", "Review", "Export")
CONTROLS = (QComboBox, QAbstractSlider, QAbstractSpinBox, QCheckBox, QTableView)


def shown_one_by_one(bench: Workbench) -> Iterator[QWidget]:
    """Yield every control of our panels while its panel is in front."""
    seen = 0
    for dock in bench.main_window.findChildren(QDockWidget):
        if dock.windowTitle() not in OURS:
            continue
        dock.raise_()
        QTest.qWait(50)
        for kind in CONTROLS:
            for widget in dock.findChildren(kind):
                if widget.isVisible() and not isinstance(widget, QScrollBar):
                    seen += 1
                    yield widget
    assert seen >= 10


def value(widget: QWidget) -> Any:
    match widget:
        case QComboBox():
            return widget.currentIndex()
        case QCheckBox():
            return widget.isChecked()
        case QTableView():
            return widget.currentIndex().row()
    return widget.value()  # type: ignore[attr-defined]


def test_the_wheel_changes_no_control_that_it_passes_over(bench: Workbench) -> None:
    for widget in shown_one_by_one(bench):
        before = value(widget)
        for by in (-120, -120, 120):
            turn_wheel(widget, by)
        assert value(widget) == before, (widget, widget.accessibleName())


def test_the_wheel_over_a_control_scrolls_the_panel(bench: Workbench) -> None:
    bench.main_window.resize(1100, 500)
    QTest.qWait(200)
    slider = bench.main_window.findChild(Review).stages.threshold
    area: QWidget | None = slider
    while not isinstance(area, QScrollArea):
        area = area.parentWidget()
    bar = area.verticalScrollBar()
    assert bar.maximum() > 0
    area.ensureWidgetVisible(slider)
    QTest.qWait(100)
    before = bar.value()
    button = 5 if before < bar.maximum() else 4
    at = slider.mapToGlobal(slider.rect().center())
    subprocess.run(
        ["xdotool", "mousemove", str(at.x()), str(at.y()), "click", str(button)]
    )
    QTest.qWait(300)
    assert bar.value() != before


def test_letters_and_page_keys_belong_to_the_film_whatever_was_used_last(
    bench: Workbench, monkeypatch: pytest.MonkeyPatch, qtbot: Any
) -> None:
    turned: list[int] = []
    monkeypatch.setattr(bench.session, "step", turned.append)
    looked: list[str] = []
    bench.session.looking.finding_changed.connect(lambda *_: looked.append("w"))
    for widget in shown_one_by_one(bench):
        before = value(widget)
        if not widget.isEnabled():
            continue
        widget.setFocus(Qt.FocusReason.TabFocusReason)
        assert widget.hasFocus(), widget
        QTest.keyClick(widget, Qt.Key.Key_PageDown)
        QTest.keyClick(widget, Qt.Key.Key_W)
        assert (len(turned), len(looked)) == (1, 1), widget
        if not isinstance(widget, QTableView):  # they follow the finding
            assert value(widget) == before, widget
        turned.clear()
        looked.clear()


def test_what_was_used_with_the_mouse_gives_the_keyboard_back(
    bench: Workbench, qtbot: Any
) -> None:
    film = bench.canvas()
    for widget in shown_one_by_one(bench):
        if isinstance(widget, QComboBox) or not widget.isEnabled():
            continue
        widget.setFocus(Qt.FocusReason.MouseFocusReason)
        target = widget.viewport() if isinstance(widget, QTableView) else widget
        QTest.mouseClick(target, Qt.MouseButton.LeftButton)
        qtbot.wait(20)
        assert film.hasFocus(), (widget, widget.accessibleName())


def test_a_list_that_is_left_without_a_choice_gives_the_keyboard_back(
    bench: Workbench, qtbot: Any
) -> None:
    combo = bench.main_window.findChild(Review).stages.compare.other
    combo.setFocus()
    combo.showPopup()
    qtbot.waitUntil(lambda: QApplication.activePopupWidget() is not None)
    combo.hidePopup()
    qtbot.waitUntil(bench.canvas().hasFocus, timeout=3000)


def test_a_comment_keeps_its_letters(bench: Workbench) -> None:
    comment = bench.main_window.findChild(Review).decide.comment
    comment.setFocus()
    QTest.keyClicks(comment, "wAT 1")
    assert comment.text() == "wAT 1"
    assert comment.hasFocus()


def test_a_threshold_that_is_not_the_runs_is_marked_and_set_back_by_a_click(
    bench: Workbench, qtbot: Any
) -> None:
    looking = bench.session.looking
    looking.set_view("cam")
    stages = bench.main_window.findChild(Review).stages
    assert not stages.reset.isVisible()
    stages.threshold.setValue(31)
    assert stages.reset.isVisible()
    assert stages.threshold_value.font().bold()
    first = bench.session.case.id
    bench.session.step(1)
    qtbot.waitUntil(lambda: bench.session.case.id != first)
    qtbot.waitUntil(lambda: not bench.turn.going_on)
    assert stages.reset.isVisible(), "it holds on the next film, and says so"
    QTest.mouseClick(stages.reset, Qt.MouseButton.LeftButton)
    assert looking.drafts.threshold("cam", looking.finding.name) == 0.5
    assert not stages.reset.isVisible()
    assert stages.threshold.value() == 50


def press(film: QWidget, key: Qt.Key) -> None:
    none = Qt.KeyboardModifier.NoModifier
    QApplication.sendEvent(
        film, QKeyEvent(QEvent.Type.KeyPress, key, none, key.name[-1])
    )


@pytest.mark.parametrize("leave", ["window", "film"])
def test_a_key_whose_release_is_lost_is_let_go_when_the_film_or_window_is_left(
    bench: Workbench, qtbot: Any, leave: str
) -> None:
    film = bench.canvas()
    press(film, Qt.Key.Key_H)
    assert key_releases(bench.viewer)
    if leave == "window":
        QApplication.sendEvent(bench.main_window, QEvent(QEvent.Type.WindowDeactivate))
    else:
        before = bench.session.case.id
        bench.session.step(1)
        qtbot.waitUntil(lambda: bench.session.case.id != before)
    assert not key_releases(bench.viewer)
    press(film, Qt.Key.Key_3)
    assert str(bench.layers.active.mode) == "polygon"


def test_a_tap_that_a_busy_window_hears_of_late_still_chooses_its_tool(
    bench: Workbench, qtbot: Any
) -> None:
    qtbot.waitUntil(lambda: bench.sight.seen)

    def busy() -> None:
        # The release waits for longer than napari takes for a key held down.
        subprocess.run(["xdotool", "keyup", "3"])
        subprocess.run(["sleep", "0.8"])

    bench.layers.active.events.mode.connect(
        lambda _: busy() if str(bench.layers.active.mode) == "polygon" else None
    )
    subprocess.Popen(["xdotool", "keydown", "3"]).wait()
    qtbot.waitUntil(lambda: str(bench.layers.active.mode) == "polygon")
    qtbot.wait(500)
    assert str(bench.layers.active.mode) == "polygon"

"""The window tells the clock of seconds what the hand does and who has the focus."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from qtpy.QtCore import QEvent, QPoint, Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication, QLineEdit, QMainWindow

from helpers.noise_project import Clock
from napari_wsseg._widgets.canvas.activity import Activity
from napari_wsseg.session.effort.active_time import ActiveTime

pytestmark = pytest.mark.gui


def test_keys_and_mouse_count_while_the_window_has_the_focus(qtbot: Any) -> None:
    clock = Clock()
    work = ActiveTime(clock)
    window = QMainWindow()
    field = QLineEdit()
    window.setCentralWidget(field)
    qtbot.addWidget(window)
    activity = Activity(work, window)
    activity.watch(window)
    window.show()
    qtbot.waitExposed(window)
    handle = window.windowHandle()

    def deactivate(kind: QEvent.Type) -> None:
        QApplication.sendEvent(window, QEvent(kind))

    deactivate(QEvent.Type.WindowActivate)
    work.turn("film", "nodule")
    clock.now += 3
    QTest.keyClick(handle, Qt.Key.Key_X)
    clock.now += 4
    QTest.mouseMove(handle, QPoint(20, 20))
    QTest.mouseMove(handle, QPoint(30, 25))
    qtbot.wait(50)
    assert sum(s.seconds for s in work.take()) == pytest.approx(7)
    clock.now += 2
    deactivate(QEvent.Type.WindowDeactivate)
    clock.now += 5
    QTest.mouseMove(handle, QPoint(40, 25))
    qtbot.wait(50)
    clock.now += 5
    deactivate(QEvent.Type.WindowActivate)
    clock.now += 1
    QTest.mouseClick(handle, Qt.MouseButton.LeftButton, pos=QPoint(20, 20))
    assert sum(s.seconds for s in work.take()) == pytest.approx(2 + 1)


def test_brush_strokes_undo_and_drafts_are_told_apart(
    open_bench: Any, place: Any
) -> None:
    bench = open_bench(place)
    session = bench.session
    layer = bench.layers.active
    layer.mode = "paint"
    layer.brush_size = 9
    layer.selected_label = 1
    with layer.block_history():
        layer.paint((50, 40), 1)
    layer.undo()
    draft = session.draft("cam", "effusion", session.case.shape)
    bench.autosave.apply("effusion", draft, "from cam", "a-run")
    counted = sum((s.gestures for s in session.work.take()), start=Counter())
    assert counted == {"paint": 1, "undo": 1, "from cam": 1}
    assert session.starts["effusion"].name == "cam"

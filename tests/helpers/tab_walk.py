"""Going through a window by Tab alone."""

from __future__ import annotations

from pytestqt.qtbot import QtBot
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication, QWidget


def walked_by_tab(start: QWidget, qtbot: QtBot) -> list[QWidget]:
    """Press Tab until the focus is again where it was; return where it has been.

    A walk along `nextInFocusChain` would not see what takes Tab for itself, and in
    PySide6 lets every widget hold the next one, so that no window is ever let go.
    """
    start.window().activateWindow()
    start.setFocus(Qt.FocusReason.TabFocusReason)
    qtbot.waitUntil(start.hasFocus)
    reached: list[QWidget] = []
    while (widget := QApplication.focusWidget()) not in reached:
        reached.append(widget)
        QTest.keyClick(widget, Qt.Key.Key_Tab)
    assert widget is start, f"Tab never leaves {widget}"
    return reached

"""What panels hear of a session, and that nothing calls one that has gone."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable

import pytest
from psygnal import Signal
from pytestqt.qtbot import QtBot
from qtpy.QtCore import QCoreApplication, QEvent
from qtpy.QtWidgets import QWidget

from napari_wsseg._widgets.parts.connections import listen, while_alive

pytestmark = pytest.mark.gui


class Source:
    changed = Signal(int)


class Panel(QWidget):
    def __init__(self, source: Source, heard: list[tuple[int, ...]]) -> None:
        super().__init__()
        self.source, self.heard, self.myself = source, heard, self
        listen(self, self.note, source.changed, max_args=1)

    def note(self, *values: int) -> None:
        self.windowTitle()  # which asks its Qt half
        self.heard.append(values)


def test_a_panel_hears_while_it_is_there(qtbot: QtBot) -> None:
    source, heard = Source(), []
    panel = Panel(source, heard)
    qtbot.addWidget(panel)
    source.changed.emit(3)
    assert heard == [(3,)]


def test_a_panel_without_its_qt_half_is_not_called(qtbot: QtBot) -> None:
    source, heard = Source(), []
    panel = Panel(source, heard)
    panel.deleteLater()
    QCoreApplication.sendPostedEvents(panel, QEvent.Type.DeferredDelete.value)
    source.changed.emit(3)
    assert heard == []
    del panel


def test_who_is_listened_to_keeps_no_panel(qtbot: QtBot) -> None:
    source, heard = Source(), []
    gone = weakref.ref(Panel(source, heard))
    gc.collect()
    assert gone() is None
    source.changed.emit(3)
    assert heard == []


def test_a_function_is_kept_for_as_long_as_the_panel(qtbot: QtBot) -> None:
    heard: list[int] = []
    panel = QWidget()
    call: Callable[..., None] = while_alive(panel, lambda value: heard.append(value))
    call(1)
    panel.deleteLater()
    QCoreApplication.sendPostedEvents(panel, QEvent.Type.DeferredDelete.value)
    call(2)
    assert heard == [1]


def test_nothing_written_in_python_waits_to_be_told_that_a_window_is_destroyed(
    qtbot: QtBot,
) -> None:
    """A function in a cycle with its window may be taken apart before it is called."""
    source, heard = Source(), []
    panel = Panel(source, heard)
    qtbot.addWidget(panel)
    assert panel.receivers(panel.destroyed) == 0

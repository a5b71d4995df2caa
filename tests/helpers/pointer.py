"""The display's pointer, moved as a hand moves it.

`QTest.mouseMove` warps the pointer, and the move comes back as an event in the
display's own time: on a busy machine whatever is sent straight to the widget meanwhile
(a press, a key let go) would overtake it.
"""

from __future__ import annotations

import time

from qtpy.QtCore import QEvent, QObject, QPoint, QPointF, Qt
from qtpy.QtGui import QCursor, QMouseEvent, QWheelEvent
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication, QWidget

LEFT = Qt.MouseButton.LeftButton
NOTHING = Qt.KeyboardModifier.NoModifier
PATIENCE = 10.0
"""Seconds that a move may take to come back."""

LOST = 2.0
"""Seconds after which a move is made anew, from beside the place.

Qt tells no move to where it last saw the pointer, be it that another program's window
had the pointer since.
"""

BREATH = 8
"""Milliseconds between moves of a common mouse; napari drops moves closer than 5."""


class _Arrival(QObject):
    def __init__(self, place: QPoint) -> None:
        super().__init__()
        self.place, self.seen = place, False

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        if isinstance(event, QMouseEvent) and event.type() == QEvent.Type.MouseMove:
            self.seen |= event.globalPosition().toPoint() == self.place
        return False


def move(widget: QWidget, place: QPoint) -> None:
    """Move the pointer to a place of a widget and wait until the move was told."""
    if QCursor.pos() == widget.mapToGlobal(place):
        return
    until = time.monotonic() + PATIENCE
    while not _moved(widget, place):
        if time.monotonic() > until:
            raise TimeoutError(f"the pointer did not arrive at {place}")
        _moved(widget, place + QPoint(1, 1))
    QTest.qWait(BREATH)


def _moved(widget: QWidget, place: QPoint) -> bool:
    """Move the pointer; return whether the move was told before it counts as lost."""
    arrival, app = _Arrival(widget.mapToGlobal(place)), QApplication.instance()
    assert app is not None
    app.installEventFilter(arrival)
    try:
        QTest.mouseMove(widget, place)
        until = time.monotonic() + LOST
        while not arrival.seen and time.monotonic() < until:
            QTest.qWait(1)
    finally:
        app.removeEventFilter(arrival)
    return arrival.seen


def press(
    widget: QWidget,
    place: QPoint,
    button: Qt.MouseButton = LEFT,
    held: Qt.KeyboardModifier = NOTHING,
) -> None:
    """Move the pointer to a place and press a button there."""
    move(widget, place)
    QTest.mousePress(widget, button, held, place)


def click(widget: QWidget, place: QPoint, button: Qt.MouseButton = LEFT) -> None:
    """Move the pointer to a place and click there."""
    move(widget, place)
    QTest.mouseClick(widget, button, pos=place)


def drag(
    widget: QWidget,
    places: list[QPoint],
    button: Qt.MouseButton = LEFT,
    held: Qt.KeyboardModifier = NOTHING,
    pause: int = 15,
) -> None:
    """Drag from place to place, with `pause` ms at each."""
    press(widget, places[0], button, held)
    for place in places[1:]:
        move(widget, place)
        QTest.qWait(pause)
    QTest.mouseRelease(widget, button, held, places[-1])
    QTest.qWait(pause)


def turn_wheel(widget: QWidget, by: int = -120) -> None:
    """Turn the wheel over the middle of a widget, by eighths of a degree."""
    at = QPointF(widget.rect().center())
    event = QWheelEvent(
        at,
        QPointF(widget.mapToGlobal(at.toPoint())),
        QPoint(),
        QPoint(0, by),
        Qt.MouseButton.NoButton,
        Qt.KeyboardModifier.NoModifier,
        Qt.ScrollPhase.NoScrollPhase,
        False,
    )
    QApplication.sendEvent(widget, event)

"""Signs of the reader's hand and of the window's focus, for the count of seconds."""

from __future__ import annotations

from qtpy.QtCore import QEvent, QObject
from qtpy.QtWidgets import QMainWindow

from napari_wsseg.session.effort.active_time import ActiveTime

_HAND = frozenset(
    {
        QEvent.Type.KeyPress,
        QEvent.Type.MouseButtonPress,
        QEvent.Type.MouseButtonRelease,
        QEvent.Type.MouseMove,
        QEvent.Type.Wheel,
        QEvent.Type.TabletMove,
        QEvent.Type.TouchUpdate,
    }
)


class Activity(QObject):
    """Tells a clock of what the hand does anywhere in a window, and of its focus.

    A dialog that takes the focus, and any other program, stops the clock.
    """

    def __init__(self, work: ActiveTime, parent: QObject) -> None:
        super().__init__(parent)
        self._work = work

    def watch(self, window: QMainWindow) -> None:
        """Notice the hand and the focus of a window."""
        window.installEventFilter(self)
        self._watch_handle(window)

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        """Tell of an event, and let it pass."""
        if event is None:
            return False
        kind = event.type()
        if kind in _HAND:
            self._work.signal()
        elif isinstance(watched, QMainWindow):
            if kind == QEvent.Type.WindowDeactivate:
                self._work.focus(False)
            elif kind == QEvent.Type.WindowActivate:
                self._work.focus(True)
            elif kind == QEvent.Type.Show:
                self._watch_handle(watched)
        return False

    def _watch_handle(self, window: QMainWindow) -> None:
        # Events reach a window's handle first, which it has once it is shown.
        handle = window.windowHandle()
        if handle is not None:
            handle.installEventFilter(self)

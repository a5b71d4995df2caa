"""A panel that is put away says how it comes back."""

from __future__ import annotations

from collections.abc import Callable

from qtpy.QtCore import QEvent, QObject
from qtpy.QtWidgets import QDockWidget


class PutAway(QObject):
    """Tells the reader who closes a panel where it is to be found again.

    Parameters
    ----------
    dock
        The panel.
    say
        What shows a message.
    """

    def __init__(self, dock: QDockWidget, say: Callable[[str], object]) -> None:
        super().__init__(dock)
        self._dock, self._say = dock, say
        dock.installEventFilter(self)

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        """Notice that the panel is closed, not the window with it."""
        closed = event is not None and event.type() == QEvent.Type.Close
        if closed and self._dock.window().isVisible():
            name = self._dock.windowTitle()
            self._say(f"“{name}” is put away; Window ▸ {name} brings it back")
        return False

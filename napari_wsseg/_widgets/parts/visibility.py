"""Whether a panel is in front: Qt calls a tab that lies behind another one visible."""

from __future__ import annotations

from collections.abc import Callable

from qtpy.QtCore import QEvent, QObject
from qtpy.QtWidgets import QDockWidget, QWidget


def in_sight(widget: QWidget) -> bool:
    """Whether any of a widget can be seen."""
    return bool(widget.isVisible()) and not widget.visibleRegion().isEmpty()


def when_in_sight(widget: QWidget, answer: Callable[[], object]) -> None:
    """Call `answer` whenever `widget` comes to the front, in a dock or without one."""
    widget.installEventFilter(_Lookout(widget, answer))


class _Lookout(QObject):
    """Waits for a widget to be shown, then for its dock to come to the front."""

    def __init__(self, widget: QWidget, answer: Callable[[], object]) -> None:
        super().__init__(widget)
        self._answer = answer
        self._dock: QDockWidget | None = None

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        if event is not None and event.type() == QEvent.Type.Show:
            self._meet(watched)
        return False

    def _meet(self, widget: QObject | None) -> None:
        dock = widget
        while dock is not None and not isinstance(dock, QDockWidget):
            dock = dock.parent()
        if dock is None:
            self._answer()
        elif dock is not self._dock:
            self._dock = dock
            dock.visibilityChanged.connect(self._on_dock)
            if isinstance(widget, QWidget) and in_sight(widget):
                self._answer()

    def _on_dock(self, visible: bool) -> None:
        if visible:
            self._answer()

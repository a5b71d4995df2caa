"""A file dragged from elsewhere and dropped on a widget."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from qtpy.QtCore import QMimeData, QPoint, QPointF, Qt, QUrl
from qtpy.QtGui import QDragEnterEvent, QDropEvent
from qtpy.QtWidgets import QApplication, QWidget

AT = (20, 20)


def drag(path: Path, widget: QWidget) -> Callable[[], object]:
    """Drag a file onto a widget, which must take it; return what drops it there."""
    mime = QMimeData()
    mime.setUrls([QUrl.fromLocalFile(str(path))])
    hand = Qt.DropAction.CopyAction, mime, Qt.MouseButton.LeftButton
    hand = (*hand, Qt.KeyboardModifier.NoModifier)
    entering = QDragEnterEvent(QPoint(*AT), *hand)
    QApplication.sendEvent(widget, entering)
    assert entering.isAccepted()
    return lambda: QApplication.sendEvent(widget, QDropEvent(QPointF(*AT), *hand))

"""Controls that change only when it is meant, and leave the keyboard to the film."""

from __future__ import annotations

from collections.abc import Callable

from qtpy.QtCore import QEvent, QObject, Qt, QTimer
from qtpy.QtGui import QFocusEvent, QKeyEvent
from qtpy.QtWidgets import (
    QAbstractItemView,
    QAbstractSlider,
    QAbstractSpinBox,
    QApplication,
    QComboBox,
    QLabel,
    QLineEdit,
    QPlainTextEdit,
    QScrollBar,
    QTabBar,
    QTextEdit,
    QWidget,
)

_TURNED = (QComboBox, QAbstractSlider, QAbstractSpinBox, QTabBar)
"""What Qt changes by the wheel, be it only passed over."""

_TEXTS = (QLabel, QTextEdit, QPlainTextEdit)
"""What may be picked from, to be copied; all else lends the keyboard for a moment."""

_FILM_KEYS = frozenset(
    [
        *(Qt.Key(code) for code in range(Qt.Key.Key_A.value, Qt.Key.Key_Z.value + 1)),
        *(Qt.Key(code) for code in range(Qt.Key.Key_0.value, Qt.Key.Key_9.value + 1)),
        *(Qt.Key.Key_PageUp, Qt.Key.Key_PageDown, Qt.Key.Key_Comma, Qt.Key.Key_Period),
        *(Qt.Key.Key_BracketLeft, Qt.Key.Key_BracketRight, Qt.Key.Key_Slash),
    ]
)


class QuietControls(QObject):
    """Keeps a panel's controls from changing by accident and from keeping the keyboard.

    The wheel scrolls the panel; only a field that is being typed in is turned by it.
    Letters, digits and Page keys go to the film, unless a text is being typed. A
    control that was used with the mouse gives the keyboard back; one that was reached
    with Tab keeps it, and its arrow keys.

    Parameters
    ----------
    panel
        Whose controls, those that come later included.
    film
        Returns the widget that the film's keys belong to, or ``None``: so does a dialog
        always, which keeps its keyboard.
    """

    def __init__(
        self, panel: QWidget, film: Callable[[], QWidget | None] = lambda: None
    ) -> None:
        super().__init__(panel)
        self._film = film
        self._calm(panel)

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        """Turn away what a control was not meant to get."""
        if event is None or not isinstance(watched, QWidget):
            return False
        match event.type():
            case QEvent.Type.ChildPolished:
                child = event.child()
                if isinstance(child, QWidget):
                    self._calm(child)
            case QEvent.Type.Wheel if isinstance(watched, _TURNED):
                return self._pass_on(watched, event)
            case QEvent.Type.KeyPress | QEvent.Type.KeyRelease:
                return self._to_film(watched, event)
            case QEvent.Type.MouseButtonRelease:
                QTimer.singleShot(0, self._give_back)
            case QEvent.Type.FocusIn if _was_popup(event):
                QTimer.singleShot(0, self._give_back)
        return False

    def _calm(self, widget: QWidget) -> None:
        for one in (widget, *widget.findChildren(QWidget)):
            one.removeEventFilter(self)
            one.installEventFilter(self)
            if isinstance(one, _TURNED) and not isinstance(one, QScrollBar):
                if one.focusPolicy() == Qt.FocusPolicy.WheelFocus:
                    one.setFocusPolicy(Qt.FocusPolicy.StrongFocus)

    @staticmethod
    def _pass_on(control: QWidget, event: QEvent) -> bool:
        if isinstance(control, QScrollBar) or (
            isinstance(control, QAbstractSpinBox) and control.hasFocus()
        ):
            return False
        # Ignored and not handed on to the control, it goes to what the control is in.
        event.ignore()
        return True

    def _to_film(self, widget: QWidget, event: QEvent) -> bool:
        film = self._film()
        if not isinstance(event, QKeyEvent) or film is None or not widget.hasFocus():
            return False
        plain = Qt.KeyboardModifier.NoModifier, Qt.KeyboardModifier.ShiftModifier
        ours = event.key() in _FILM_KEYS and event.modifiers() in plain
        if not ours or _is_typed_in(widget):
            return False
        QApplication.sendEvent(film, event)
        return True

    def _give_back(self) -> None:
        """Lead the keyboard back to the film, unless a list is open or text typed."""
        film, focus = self._film(), QApplication.focusWidget()
        if film is None or QApplication.activePopupWidget() is not None:
            return
        if focus is None or not (_is_typed_in(focus) or isinstance(focus, _TEXTS)):
            film.setFocus(Qt.FocusReason.OtherFocusReason)


def _is_typed_in(widget: QWidget) -> bool:
    if isinstance(widget, QComboBox):
        return widget.isEditable()
    if isinstance(widget, QAbstractItemView):
        return widget.state() == QAbstractItemView.State.EditingState
    if isinstance(widget, (QTextEdit, QPlainTextEdit, QLineEdit)):
        return not widget.isReadOnly()
    return isinstance(widget, QAbstractSpinBox)


def _was_popup(event: QEvent) -> bool:
    return (
        isinstance(event, QFocusEvent)
        and event.reason() == Qt.FocusReason.PopupFocusReason
    )

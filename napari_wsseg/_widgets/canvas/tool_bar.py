"""The tools beside the film: what the hand holds, undo, and how the film is shown."""

from __future__ import annotations

from collections.abc import Callable

from qtpy.QtCore import Qt
from qtpy.QtWidgets import (
    QAbstractButton,
    QButtonGroup,
    QFrame,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from napari_wsseg._widgets.canvas.bench import Workbench

WIDTH = 58
_TALL = 32
"""Height of a button that a finger can hit, in pixels."""


class ToolBar(QWidget):
    """A column at the film's edge, in sight whatever else is open.

    Parameters
    ----------
    tools
        Buttons of the tools; they move here from where they were.
    undo, redo
        What takes a stroke back, and brings it again.
    """

    def __init__(
        self,
        bench: Workbench,
        tools: QButtonGroup,
        undo: QAbstractButton,
        redo: QAbstractButton,
    ) -> None:
        super().__init__()
        self.bench = bench
        self.setFixedWidth(WIDTH)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(2, 4, 2, 4)
        layout.setSpacing(2)
        for button in (*tools.buttons(), undo, redo):
            layout.addWidget(button)
        layout.addWidget(_line())
        for text, tip, action in (
            ("Invert", "Dense is black, and back (I)", bench.invert),
            ("Turn", "Turn the view by a quarter (Shift T)", self._turn),
            ("Mirror", "Mirror the view (Shift H)", self._mirror),
            ("Prior", "An earlier film of the patient beside it (F8)", self._prior),
            ("Fit", "Fit the film to the window (Ctrl R)", bench.layers.fit),
        ):
            layout.addWidget(self._button(text, tip, action))
        layout.addStretch(1)

    def _button(self, text: str, tip: str, action: Callable[[], object]) -> QPushButton:
        button = QPushButton()
        button.setText(text)
        button.setToolTip(tip)
        button.setStyleSheet("padding: 3px 2px;")
        button.setMinimumWidth(30)
        button.setMinimumHeight(_TALL)
        button.setFocusPolicy(Qt.FocusPolicy.TabFocus)

        def pressed() -> None:
            action()
            self.bench.focus_canvas()

        button.clicked.connect(pressed)
        return button

    def _turn(self) -> None:
        self.bench.turn_view("turn")

    def _prior(self) -> None:
        self.bench.prior_wanted.emit()

    def _mirror(self) -> None:
        self.bench.turn_view("mirror")


def _line() -> QFrame:
    line = QFrame()
    line.setFrameShape(QFrame.Shape.HLine)
    return line

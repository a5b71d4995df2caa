"""A part of a panel that folds away; opened by mouse or keyboard."""

from __future__ import annotations

from qtpy.QtGui import QIcon
from qtpy.QtWidgets import QSizePolicy, QVBoxLayout
from superqt import QCollapsible

_HEADING = """
QPushButton, QPushButton:checked {
    text-align: left; background: transparent; border: 2px solid transparent;
    padding: 1px;
}
QPushButton:focus { border: 2px solid #56B4E9; border-radius: 3px; }
"""
"""An open section is no pressed button, and shows where the keyboard is."""

_ANY_HEIGHT = 2**24 - 1
"""Qt's QWIDGETSIZE_MAX."""


class Fold(QCollapsible):
    """A heading that shows and hides what is under it, at once; closed at first.

    Its signal `toggled` says that it was opened (True) or closed.

    Parameters
    ----------
    title
        Words of the heading.
    tooltip
        What is found there.
    """

    def __init__(self, title: str, tooltip: str = "") -> None:
        # The arrow is written, so that it has the colour of the words in every theme.
        super().__init__(expandedIcon=QIcon(), collapsedIcon=QIcon())
        self.title = title
        self.heading = self.toggleButton()
        self.heading.setToolTip(tooltip)
        self.heading.setStyleSheet(_HEADING)
        self.layout().setContentsMargins(0, 0, 0, 0)
        self.layout().setSpacing(0)
        self.setDuration(0)
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Preferred)
        self.body: QVBoxLayout = self.content().layout()
        self.body.setContentsMargins(8, 2, 0, 4)
        self.toggled.connect(self._show)
        self._show(False)

    def set_open(self, is_open: bool) -> None:
        """Show or hide the content."""
        if is_open != self.isExpanded():
            self.heading.setChecked(is_open)

    def _show(self, is_open: bool) -> None:
        self.setText(f"{'▾' if is_open else '▸'} {self.title}")
        # Hidden rather than flat, so that Tab passes it by.
        self.content().setVisible(is_open)
        self.content().setMaximumHeight(_ANY_HEIGHT)

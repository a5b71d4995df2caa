"""The share p of expert films, as a slider, a number and in words."""

from __future__ import annotations

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import (
    QDoubleSpinBox,
    QHBoxLayout,
    QLabel,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)
from superqt import QLabeledDoubleSlider


class WrappedLabel(QLabel):
    """A label that wraps and never makes a panel wider."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWordWrap(True)
        self.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Minimum)


class Share(QWidget):
    """The share p of expert films in a batch.

    Signals
    -------
    changed()
        p is another one.
    """

    changed = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.slider = QLabeledDoubleSlider(Qt.Orientation.Horizontal)
        self.slider.setRange(0.0, 1.0)
        self.slider.setDecimals(3)
        self.slider.setSingleStep(0.05)
        self.slider.setPageStep(0.1)
        self.words = WrappedLabel()
        label = QLabel("Expert share p")
        label.setBuddy(self.slider)
        for widget in (label, self.slider, *self.slider.findChildren(QWidget)):
            widget.setToolTip(
                "Share p of films with an expert mask in every batch, kept exactly"
            )
            widget.setAccessibleName("Expert share p")
        for box in self.slider.findChildren(QDoubleSpinBox):
            box.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        row = QHBoxLayout()
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(label)
        row.addWidget(self.slider, 1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2)
        layout.addLayout(row)
        layout.addWidget(self.words)
        self.slider.valueChanged.connect(lambda *_: self.changed.emit())

    def value(self) -> float:
        """Return p, in [0, 1]."""
        return round(float(self.slider.value()), 3)

    def set_value(self, p: float) -> None:
        """Show p."""
        self.slider.setValue(p)

    def say(self, words: str) -> None:
        """Say what p means for a batch."""
        self.words.setText(f"Expert: {words}")

"""The share p of expert films, as a slider, a number and in words."""

from __future__ import annotations

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import (
    QDoubleSpinBox,
    QHBoxLayout,
    QLabel,
    QSizePolicy,
    QSlider,
    QVBoxLayout,
    QWidget,
)


class WrappedLabel(QLabel):
    """A label that wraps and never makes a panel wider."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWordWrap(True)
        self.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Minimum)


class Share(QWidget):
    """The share p of expert films in a batch.

    Not superqt's labelled slider of real numbers: that answers no arrow key, and Tab
    passes its number by (0.9).

    Signals
    -------
    changed()
        p is another one.
    """

    changed = Signal()

    def __init__(self) -> None:
        super().__init__()
        tip = "Share p of films with an expert mask in every batch, kept exactly"
        self.slider = QSlider(Qt.Orientation.Horizontal)
        self.slider.setRange(0, 100)
        self.slider.setPageStep(10)
        self.slider.setMinimumWidth(60)
        self.box = QDoubleSpinBox()
        self.box.setRange(0.0, 1.0)
        self.box.setSingleStep(0.05)
        self.box.setDecimals(3)
        self.label = WrappedLabel()
        label = QLabel("Expert share p")
        label.setBuddy(self.box)
        for widget in (self.slider, self.box, label):
            widget.setToolTip(tip)
            widget.setAccessibleName("Expert share p")
        row = QHBoxLayout()
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(label)
        row.addWidget(self.slider, 1)
        row.addWidget(self.box)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2)
        layout.addLayout(row)
        layout.addWidget(self.label)
        self.slider.valueChanged.connect(self._from_slider)
        self.box.valueChanged.connect(self._from_box)

    def value(self) -> float:
        """Return p, in [0, 1]."""
        return round(float(self.box.value()), 3)

    def set_value(self, p: float) -> None:
        """Show p."""
        self.box.setValue(p)

    def say(self, text: str) -> None:
        """Say what p means for a batch."""
        self.label.setText(f"Expert: {text}")

    def _from_slider(self, hundredths: int) -> None:
        self.box.setValue(hundredths / 100)

    def _from_box(self, p: float) -> None:
        # The box is finer than the slider, which must not round it back.
        self.slider.blockSignals(True)
        self.slider.setValue(round(p * 100))
        self.slider.blockSignals(False)
        self.changed.emit()

"""Who reads, and how much of what others did is shown."""

from __future__ import annotations

from qtpy.QtWidgets import (
    QCheckBox,
    QComboBox,
    QDialog,
    QDialogButtonBox,
    QLabel,
    QRadioButton,
    QVBoxLayout,
    QWidget,
)

from napari_wsseg._widgets.parts.formatting import red
from napari_wsseg._widgets.parts.quiet_controls import QuietControls
from napari_wsseg.jobs import WssegError
from napari_wsseg.session import Session
from napari_wsseg.session.reading_mode import Mode

_MODES: tuple[tuple[Mode, str, str], ...] = (
    ("open", "&Read", "The masks that count are shown, whoever drew them."),
    (
        "blind",
        "&Blind second reading",
        "Masks and decisions of other readers are not loaded at all; films come in an "
        "order of your own.",
    ),
    (
        "adjudicate",
        "&Adjudicate",
        "Films that two others have read: both masks and their difference are shown, "
        "and yours is final.",
    ),
)


class ReaderDialog(QDialog):
    """A name, one of three ways to read, and whether stages are shown."""

    def __init__(self, session: Session, parent: QWidget | None) -> None:
        super().__init__(parent)
        self.session = session
        self.setWindowTitle("Who reads")
        self.name = QComboBox()
        self.name.setEditable(True)
        self.name.addItems(session.readers())
        self.name.setCurrentText(session.reader)
        self.modes = {mode: QRadioButton(label) for mode, label, _ in _MODES}
        self.modes[session.reading.mode].setChecked(True)
        self.stages = QCheckBox("&Show what the machine found (stages)")
        self.stages.setChecked(session.reading.stages)
        self.stages.setToolTip(
            "Off: no heat, outline or draft is shown, for a reading that no machine "
            "has influenced"
        )
        self.trouble = QLabel()
        self.trouble.setWordWrap(True)
        self.trouble.setStyleSheet(f"color: {red(self.palette())}; font-weight: bold;")
        self.trouble.hide()
        buttons = QDialogButtonBox(
            QDialogButtonBox.StandardButton.Ok | QDialogButtonBox.StandardButton.Cancel
        )
        self.ok = buttons.button(QDialogButtonBox.StandardButton.Ok)
        buttons.accepted.connect(self.accept)
        buttons.rejected.connect(self.reject)
        self._lay_out(buttons)
        QuietControls(self)

    def _lay_out(self, buttons: QDialogButtonBox) -> None:
        label = QLabel("&Name of the reader, kept with every mask and decision")
        label.setBuddy(self.name)
        layout = QVBoxLayout(self)
        layout.addWidget(label)
        layout.addWidget(self.name)
        for mode, _, tip in _MODES:
            layout.addWidget(self.modes[mode])
            hint = QLabel(tip)
            hint.setWordWrap(True)
            hint.setIndent(24)
            layout.addWidget(hint)
        layout.addWidget(self.stages)
        layout.addWidget(self.trouble)
        layout.addWidget(buttons)
        self.setMinimumWidth(420)

    def accept(self) -> None:
        """Let this reader take over, or say why she cannot."""
        mode = next(m for m, button in self.modes.items() if button.isChecked())
        try:
            self.session.read_as(
                self.name.currentText(), mode, stages=self.stages.isChecked()
            )
        except WssegError as error:
            self.trouble.setText(str(error))
            self.trouble.show()
            return
        super().accept()

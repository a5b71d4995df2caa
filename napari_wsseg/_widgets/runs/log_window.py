"""A run's log in a window of its own."""

from __future__ import annotations

from pathlib import Path

from qtpy.QtCore import Qt
from qtpy.QtGui import QFontDatabase
from qtpy.QtWidgets import (
    QDialog,
    QDialogButtonBox,
    QPlainTextEdit,
    QVBoxLayout,
    QWidget,
)

from napari_wsseg.io import project_files
from napari_wsseg.jobs import DataError

SHOWN = 200_000


class LogWindow(QDialog):
    """The end of a log, to read and to copy; reading goes on behind it.

    Parameters
    ----------
    path
        The log.
    """

    def __init__(self, path: Path, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle(f"Log of {path.parent.name}")
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.text = QPlainTextEdit(_end(path))
        self.text.setReadOnly(True)
        self.text.setFont(QFontDatabase.systemFont(QFontDatabase.SystemFont.FixedFont))
        self.text.setAccessibleName("Log")
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
        buttons.rejected.connect(self.close)
        layout = QVBoxLayout(self)
        layout.addWidget(self.text)
        layout.addWidget(buttons)
        self.resize(720, 480)


def _end(path: Path) -> str:
    try:
        with project_files.opened(path) as file:
            size = file.seek(0, 2)
            file.seek(max(0, size - SHOWN))
            text: str = file.read(SHOWN).decode("utf-8", errors="replace")
    except (OSError, DataError) as error:
        return f"The log cannot be read: {error}"
    return text if size <= SHOWN else f"… the beginning is in {path}\n{text}"

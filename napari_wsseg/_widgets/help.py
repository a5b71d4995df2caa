"""Help on screen: the list of shortcuts, and what this program is."""

from __future__ import annotations

from importlib.metadata import version

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QDialog, QLabel, QMessageBox, QVBoxLayout, QWidget

from napari_wsseg._widgets._keys import KEYS, NAPARI_KEYS

RESEARCH_USE = "Research use only. Not a medical device."


class KeyList(QDialog):
    """Every shortcut, grouped by what one is doing."""

    def __init__(self, parent: QWidget | None) -> None:
        super().__init__(parent)
        self.setWindowTitle("Shortcuts")
        label = QLabel(_table())
        label.setTextFormat(Qt.TextFormat.RichText)
        layout = QVBoxLayout(self)
        layout.addWidget(label)
        note = QLabel("Letters work whenever no text field is being typed in.")
        note.setStyleSheet("color: palette(mid);")
        layout.addWidget(note)


def about(parent: QWidget | None) -> None:
    """Say what this program is, its version and what it must not be used for."""
    QMessageBox.about(
        parent,
        "About napari-wsseg",
        f"<h3>napari-wsseg {version('napari-wsseg')}</h3>"
        "<p>From image-level labels on chest radiographs to reviewed pixel masks.</p>"
        f"<p><b>{RESEARCH_USE}</b> Drafts are made by machines and can be wrong; "
        "nothing here may guide the care of a patient.</p>"
        "<p>BSD-3-Clause licence.</p>",
    )


def _table() -> str:
    rows = []
    for group in dict.fromkeys(key.group for key in KEYS):
        rows.append(f"<tr><td colspan=2><br><b>{group}</b></td></tr>")
        rows += [_row(key.shown, key.does) for key in KEYS if key.group == group]
    left = "<table>" + "".join(rows) + "</table>"
    drawing = "".join(_row(*pair) for pair in NAPARI_KEYS)
    title = "<tr><td colspan=2><br><b>Draw (napari)</b></td></tr>"
    right = f"<table>{title}{drawing}</table>"
    return (
        f"<table cellpadding=8><tr><td>{left}</td>"
        f"<td valign=top>{right}</td></tr></table>"
    )


def _row(key: str, does: str) -> str:
    return f"<tr><td><code>{key}</code>&nbsp;&nbsp;&nbsp;</td><td>{does}</td></tr>"

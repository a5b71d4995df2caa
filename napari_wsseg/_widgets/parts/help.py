"""Help on screen: the list of shortcuts, and what this program is."""

from __future__ import annotations

from importlib.metadata import version

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QDialog, QLabel, QMessageBox, QVBoxLayout, QWidget

from napari_wsseg._widgets.parts.shortcuts import KEYS, NAPARI_KEYS

RESEARCH_USE = "Research use only. Not a medical device."

_TALLEST = 30
"""Lines in a column of the list of shortcuts."""


class KeyList(QDialog):
    """Every shortcut, grouped by what one is doing."""

    def __init__(self, parent: QWidget | None) -> None:
        super().__init__(parent)
        self.setWindowTitle("Shortcuts")
        label = QLabel(_table())
        # A list of every key fits a screen of 1366 × 768.
        label.setStyleSheet("font-size: 11px;")
        label.setTextFormat(Qt.TextFormat.RichText)
        layout = QVBoxLayout(self)
        layout.addWidget(label)
        note = QLabel("Letters work whenever no text field is being typed in.")
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
    """Return the shortcuts as columns of a height that fits a small screen."""
    groups = [
        (group, [(key.shown, key.does) for key in KEYS if key.group == group])
        for group in dict.fromkeys(key.group for key in KEYS)
    ]
    groups.append(("Draw (napari)", list(NAPARI_KEYS)))
    columns: list[list[str]] = [[]]
    height = 0
    for title, keys in groups:
        if height and height + len(keys) + 2 > _TALLEST:
            columns.append([])
            height = 0
        height += len(keys) + 2
        columns[-1].append(f"<tr><td colspan=2><br><b>{title}</b></td></tr>")
        columns[-1] += [_row(*key) for key in keys]
    cells = (f"<td valign=top><table>{''.join(rows)}</table></td>" for rows in columns)
    return f"<table cellpadding=6><tr>{''.join(cells)}</tr></table>"


def _row(key: str, does: str) -> str:
    return f"<tr><td><code>{key}</code>&nbsp;&nbsp;&nbsp;</td><td>{does}</td></tr>"

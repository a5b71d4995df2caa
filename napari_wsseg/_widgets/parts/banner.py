"""Messages on top of a panel: passing notes, and troubles that stay until mended."""

from __future__ import annotations

from napari.utils.notifications import show_info
from qtpy.QtCore import QTimer
from qtpy.QtGui import QTextDocumentFragment
from qtpy.QtWidgets import QHBoxLayout, QLabel, QToolButton, QWidget

from napari_wsseg._widgets.parts.connections import listen
from napari_wsseg._widgets.parts.visibility import in_sight
from napari_wsseg.session import Session
from napari_wsseg.session.expert_masks import Recovered

NOTE_MS = 9000
_NOTE = "background: #24476b; color: white; border-radius: 4px; padding: 5px;"
_TROUBLE = "background: #8c2f2b; color: white; border-radius: 4px; padding: 5px;"


class Banner(QWidget):
    """One line or more of text, with a cross; trouble with saving cannot be closed.

    While its panel is put away or another one lies in front, napari's own notice tells
    the same over the film.
    """

    def __init__(self, session: Session) -> None:
        super().__init__()
        self.session = session
        self.text = QLabel()
        self.text.setWordWrap(True)
        self.cross = QToolButton()
        self.cross.setText("✕")
        self.cross.setToolTip("Close this message")
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.text, 1)
        layout.addWidget(self.cross)
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.timeout.connect(self._clear)
        self.cross.clicked.connect(self._clear)
        listen(self, self.note, session.message, max_args=1)
        listen(self, self._on_trouble, session.save_failed, max_args=1)
        listen(self, self._on_saved, session.saved)
        listen(self, self._on_case_failed, session.case_failed, max_args=2)
        listen(self, self._on_recovered, session.recovered, max_args=1)
        listen(self, self._forget, session.closing)
        self.hide()

    def note(self, text: str) -> None:
        """Say something that goes away by itself; trouble is not covered by it."""
        if not self.session.problem:
            self._say(text, _NOTE)
            self._timer.start(NOTE_MS)

    def _on_trouble(self, problem: str) -> None:
        self._timer.stop()
        self._say(
            f"<b>Not saved.</b> {problem}<br>Your strokes are kept in memory and saved "
            "as soon as it works again. Do not close the window.",
            _TROUBLE,
        )

    def _on_saved(self) -> None:
        if self.text.styleSheet() == _TROUBLE:
            self._say("Saved again: nothing was lost.", _NOTE)
            self._timer.start(NOTE_MS)

    def _on_case_failed(self, case_id: str, problem: str) -> None:
        case = self.session.list.cases.get(case_id)
        name = case.name if case else case_id
        self._timer.stop()
        stays = "The film before stays open; the" if self.session.case else "The"
        self._say(
            f"<b>{name} cannot be shown.</b> {problem}<br>"
            f"{stays} worklist marks it unreadable.",
            _NOTE,
        )

    def _on_recovered(self, found: list[Recovered]) -> None:
        strokes = sum(row.strokes for row in found)
        films = len({row.case for row in found})
        self._timer.stop()
        self._say(
            f"<b>{_count(strokes, 'stroke')} recovered</b> on {_count(films, 'film')}: "
            "the last session ended unexpectedly. They are in place and saved; "
            "earlier versions are kept.",
            _NOTE,
        )

    def _say(self, text: str, style: str) -> None:
        known = not self.isHidden() and self.text.text() == text
        self.text.setText(text)
        self.text.setStyleSheet(style)
        self.cross.setVisible(style is not _TROUBLE)
        self.show()
        if not known and self._is_covered():
            show_info(QTextDocumentFragment.fromHtml(text).toPlainText())

    def _is_covered(self) -> bool:
        """Whether the window is there, and what the banner stands in is not in it."""
        inside, window = self.parentWidget(), self.window()
        return inside is not None and window.isVisible() and not in_sight(inside)

    def _clear(self) -> None:
        if not self.session.problem:
            self._forget()

    def _forget(self) -> None:
        self._timer.stop()
        self.text.setStyleSheet("")
        self.hide()


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"

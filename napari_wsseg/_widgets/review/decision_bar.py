"""Decide: the verdict on the open case, always in sight; undone, never confirmed."""

from __future__ import annotations

from qtpy.QtCore import QTimer
from qtpy.QtWidgets import (
    QComboBox,
    QFrame,
    QGridLayout,
    QHBoxLayout,
    QLineEdit,
    QPushButton,
    QVBoxLayout,
    QWidget,
)
from superqt import QElidingLabel

from napari_wsseg._widgets.canvas.bench import Workbench
from napari_wsseg._widgets.parts.connections import listen
from napari_wsseg.schema import Decision, Verdict
from napari_wsseg.session.decisions import UNDO_SECONDS

_VERDICTS: tuple[tuple[Verdict, str, str], ...] = (
    (
        "accept",
        "Accept  A",
        "The outlines of the stage shown are right: they become expert masks\n"
        "where none was drawn; a mask that is there stays as it is.\n"
        "Findings you have drawn keep your mask. Where no stage is shown, only your "
        "masks count.",
    ),
    (
        "accept with edits",
        "Accept edits  S",
        "Your masks are right; findings you have not drawn take the outlines shown.",
    ),
    ("reject", "Reject  R", "The drafts are no use and nothing is drawn instead."),
    ("flag", "Flag  G", "Leave it open for a second reading."),
)
_BRIEFLY = {
    "accept": "Accepted",
    "accept with edits": "Edited",
    "reject": "Rejected",
    "flag": "Flagged",
}
_TITLES = {
    "accept": "Accepted",
    "accept with edits": "Accepted with edits",
    "reject": "Rejected",
    "flag": "Flagged",
}


class UndoBar(QFrame):
    """Ten seconds in which the last decision can be taken back."""

    def __init__(self, bench: Workbench) -> None:
        super().__init__()
        self.bench = bench
        self.text = QElidingLabel()
        self.button = QPushButton("Undo")
        # White on green in both themes.
        self.setStyleSheet(
            "UndoBar { background: #2b4a36; border-radius: 4px; } "
            "UndoBar QLabel { color: white; background: transparent; }"
        )
        layout = QHBoxLayout(self)
        layout.setContentsMargins(8, 3, 4, 3)
        layout.addWidget(self.text, 1)
        layout.addWidget(self.button)
        self.text.setMinimumWidth(40)
        self._left = 0
        self._timer = QTimer(self)
        self._timer.setInterval(1000)
        self._timer.timeout.connect(self._count)
        self.button.clicked.connect(self._undo)
        listen(self, self._on_decided, bench.session.decided, max_args=1)
        # Another reader's as well: nobody takes back what somebody else decided.
        listen(self, self._end, bench.session.project_changed)
        listen(self, self._end, bench.session.closing)
        self.hide()

    def _on_decided(self, decision: Decision | None) -> None:
        if decision is None:
            self._end()
            return
        case = self.bench.session.list.cases[decision.case]
        about = decision.finding or case.name
        self.text.setText(f"{_BRIEFLY[decision.verdict]}: {about}")
        self.text.setToolTip(f"{_TITLES[decision.verdict]}: {about}")
        self._left = round(UNDO_SECONDS)
        self.show()
        self._timer.start()
        self._write()

    def _count(self) -> None:
        self._left -= 1
        if self._left <= 0:
            self._end()
        else:
            self._write()

    def _write(self) -> None:
        self.button.setText(f"Undo  Shift Z ({self._left})")

    def _undo(self) -> None:
        self.bench.session.undo_decision()
        self.bench.focus_canvas()

    def _end(self) -> None:
        self._timer.stop()
        self.hide()


class DecidePanel(QWidget):
    """Verdict buttons, comment, confidence, previous and next."""

    def __init__(self, bench: Workbench) -> None:
        super().__init__()
        self.bench = bench
        self.session = bench.session
        self.buttons: dict[Verdict, QPushButton] = {}
        self.comment = QLineEdit()
        self.comment.setPlaceholderText("Comment (optional)")
        self.comment.setToolTip("Kept with the decision; Enter leads back to the film")
        self.confidence = QComboBox()
        self.confidence.addItems(["Confidence", "1 low", "2 medium", "3 high"])
        self.confidence.setToolTip("Your confidence in the decision, kept with it")
        self.previous = QPushButton("‹ Prev")
        self.previous.setToolTip("Previous film (Page up, Ctrl ←)")
        self.next = QPushButton("Next ›")
        self.next.setToolTip("Next film (Page down, Ctrl →)")
        self.unread = QPushButton("To review  U")
        self.unread.setToolTip("Next film that nobody has decided on")
        self.undo = UndoBar(bench)
        self.reopen = QPushButton("Reopen  Shift O")
        self.reopen.setToolTip(
            "Read this film again: nothing that was drawn or decided is lost"
        )
        self.now = QElidingLabel()
        self.now.setMinimumWidth(40)
        self._lay_out()
        self._connect()
        bench.note = self.note
        self.refresh()

    def note(self) -> tuple[int | None, str]:
        """Return the confidence, 1 to 3 or ``None``, and the comment."""
        return self.confidence.currentIndex() or None, self.comment.text().strip()

    def refresh(self) -> None:
        """Follow the open case."""
        case = self.session.case
        decision = self.session.list.decisions.get(case.id) if case else None
        known = decision if decision and decision.verdict in _TITLES else None
        self.comment.setText(known.comment if known else "")
        self.confidence.setCurrentIndex((known.confidence or 0) if known else 0)
        self.now.setVisible(known is not None)
        final = self.session.settled and self.session.reading.mode == "open"
        if known:
            more = "Its masks are final." if final else "A new decision replaces it."
            self.now.setText(f"{_TITLES[known.verdict]} · {known.reader}")
            self.now.setToolTip(
                f"{_TITLES[known.verdict]} by {known.reader}, {known.created[:10]}. "
                f"{more}"
            )
        can = case is not None and not self.session.readonly
        self.reopen.setVisible(known is not None or final)
        self.reopen.setEnabled(can)
        for button in self.buttons.values():
            button.setEnabled(can and not self.session.locked)

    def _lay_out(self) -> None:
        grid = QGridLayout()
        grid.setSpacing(4)
        for place, (verdict, text, tip) in enumerate(_VERDICTS):
            button = QPushButton(text)
            button.setToolTip(tip)
            button.setMinimumHeight(28)
            self.buttons[verdict] = button
            grid.addWidget(button, place // 2, place % 2)
        note = QHBoxLayout()
        note.addWidget(self.comment, 1)
        note.addWidget(self.confidence)
        turning = QHBoxLayout()
        turning.setSpacing(4)
        for button in (self.previous, self.unread, self.next):
            turning.addWidget(button, 1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addWidget(self.undo)
        held = QHBoxLayout()
        held.addWidget(self.now, 1)
        held.addWidget(self.reopen)
        layout.addLayout(held)
        layout.addLayout(grid)
        layout.addLayout(note)
        layout.addLayout(turning)

    def _connect(self) -> None:
        session = self.session
        listen(
            self,
            self.refresh,
            session.case_changed,
            session.project_changed,
            session.decided,
        )
        listen(self, self.refresh, session.status_changed)
        self.reopen.clicked.connect(self._reopen)
        for verdict, button in self.buttons.items():
            button.clicked.connect(lambda _=False, v=verdict: self._decide(v))
        self.previous.clicked.connect(lambda: self._turn(-1))
        self.next.clicked.connect(lambda: self._turn(1))
        self.unread.clicked.connect(self._to_unread)
        self.comment.returnPressed.connect(self.bench.focus_canvas)

    def _decide(self, verdict: Verdict) -> None:
        self.bench.decide(verdict)
        self.bench.focus_canvas()

    def _reopen(self) -> None:
        self.session.reopen()
        self.bench.focus_canvas()

    def _turn(self, by: int) -> None:
        self.session.step(by)
        self.bench.focus_canvas()

    def _to_unread(self) -> None:
        self.session.go_to_unread()
        self.bench.focus_canvas()

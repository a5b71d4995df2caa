"""Image-level labels: asked about where a mask contradicts one, and taken back."""

from __future__ import annotations

from functools import partial

from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QFrame, QHBoxLayout, QLabel, QMenu, QPushButton, QWidget

from napari_wsseg._widgets.canvas.bench import Workbench
from napari_wsseg._widgets.parts.connections import listen
from napari_wsseg.schema import LABEL_NAMES
from napari_wsseg.session import Session
from napari_wsseg.session.state import Contradiction

UNDO_MS = 10_000


class LabelBar(QFrame):
    """A question that waits for its answer; then, for a while, what was changed."""

    def __init__(self, bench: Workbench) -> None:
        super().__init__()
        self.bench, self.session = bench, bench.session
        self.text = QLabel()
        self.text.setWordWrap(True)
        self.set, self.leave = QPushButton(), QPushButton("Leave")
        self.leave.setToolTip(
            "Keep label and mask as they are; exports write what is drawn as present"
        )
        self.undo = QPushButton("Undo")
        self.undo.setToolTip("Take the label back (Shift Z)")
        # Black on amber in both themes.
        self.setStyleSheet(
            "LabelBar { background: #E8B84A; border-radius: 4px; } "
            "LabelBar QLabel { color: black; background: transparent; }"
        )
        layout = QHBoxLayout(self)
        layout.setContentsMargins(8, 3, 4, 3)
        layout.addWidget(self.text, 1)
        for button in (self.set, self.leave, self.undo):
            layout.addWidget(button)
        self.asked: Contradiction | None = None
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.timeout.connect(self.refresh)
        self.set.clicked.connect(self._set)
        self.leave.clicked.connect(self._leave)
        self.undo.clicked.connect(self._undo)
        session = self.session
        listen(self, self.refresh, session.contradictions_changed)
        listen(self, self._on_case, session.case_changed)
        listen(self, self._on_changed, session.label_changed, max_args=1)
        listen(self, self._forget, session.project_changed, session.closing)
        self.hide()

    def refresh(self) -> None:
        """Ask the first question there is, or nothing."""
        session = self.session
        self.asked = next(iter(session.contradictions.values()), None)
        for button in (self.set, self.leave):
            button.setVisible(self.asked is not None)
        self.undo.hide()
        self.setVisible(self.asked is not None)
        if self.asked is not None:
            self._timer.stop()
            self.text.setText(_question(session, self.asked))
            self.set.setText(f"Set to {LABEL_NAMES[self.asked.wanted]}")

    def _on_case(self) -> None:
        """Name the film that was asked about, now that another one is open."""
        if self.asked is not None:
            self.refresh()

    def _on_changed(self, case_id: str) -> None:
        version = self.session.last_label
        if self.session.contradictions:
            self.refresh()
        elif version is None or version.case != case_id:
            self._forget()
        else:
            finding = self.session.looking.title(version.finding)
            self.text.setText(f"{finding}: {LABEL_NAMES[version.value]}")
            self.set.hide()
            self.leave.hide()
            self.undo.show()
            self.show()
            self._timer.start(UNDO_MS)

    def _set(self) -> None:
        if self.asked is not None:
            one = self.asked
            self.session.set_label(one.finding, one.wanted, case_id=one.case)
        self.bench.focus_canvas()

    def _leave(self) -> None:
        if self.asked is not None:
            self.session.leave_label(self.asked.case, self.asked.finding)
        self.bench.focus_canvas()

    def _undo(self) -> None:
        self.session.undo_label()
        self.bench.focus_canvas()

    def _forget(self) -> None:
        self._timer.stop()
        self.asked = None
        self.hide()


def _question(session: Session, one: Contradiction) -> str:
    case = session.list.cases.get(one.case)
    here = session.case is not None and session.case.id == one.case
    film = "this film" if here or case is None else case.name
    finding = session.looking.title(one.finding)
    if one.wanted:
        return f"You drew {finding} on {film}, labelled absent. Set it to present?"
    return (
        f"Nothing is left of {finding} on {film}, labelled present. Set it to absent?"
    )


def label_menu(bench: Workbench, finding: str, parent: QWidget) -> QMenu:
    """Return a menu of the four labels of a finding, with what was said before."""
    session = bench.session
    menu = QMenu(parent)
    label = session.case.labels.get(finding) if session.case else None
    for value, word in LABEL_NAMES.items():
        action = menu.addAction(word)
        if action is None:
            continue
        action.setCheckable(True)
        action.setChecked(value == label)
        action.setEnabled(not session.readonly)
        action.triggered.connect(partial(_say, bench, finding, value))
    versions = session.label_versions(finding)
    if versions:
        menu.addSection("Said before")
    for version in versions:
        who = version.reader or "with the film"
        entry = menu.addAction(
            f"{LABEL_NAMES[version.value]} · {who}, {version.created[:10]}"
        )
        if entry is not None:
            entry.setEnabled(False)
    return menu


def _say(bench: Workbench, finding: str, value: int | None, *_: object) -> None:
    bench.session.set_label(finding, value)
    bench.focus_canvas()

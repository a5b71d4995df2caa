"""How a training ended, and what the reader makes of it."""

from __future__ import annotations

from collections.abc import Mapping

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QFrame, QHBoxLayout, QLabel, QPushButton, QVBoxLayout

from napari_wsseg._widgets.training.outcome import Outcome
from napari_wsseg.jobs import counted
from napari_wsseg.session.state import ONLY_LOOKS

_ANEW = "Start anew; everything else stays as it was set"
_ELSEWHERE = f"{ONLY_LOOKS}: another one has it open"


class Result(QFrame):
    """The last word on a training: [Look], [Use this run], [Keep the old one].

    Signals
    -------
    used(), kept()
        The reader's choice.
    retried(settings)
        The reader wants it again, with settings that need less memory.
    looked(stage, run)
        The reader wants to see the result before choosing.
    """

    used = Signal()
    kept = Signal()
    retried = Signal(dict)
    looked = Signal(str, str)

    def __init__(self) -> None:
        super().__init__()
        self.usable: Mapping[str, str] = {}
        self.smaller: Mapping[str, int] = {}
        self.setFrameShape(QFrame.Shape.StyledPanel)
        self.headline = QLabel()
        self.headline.setStyleSheet("font-weight: bold")
        self.label = QLabel()
        self.label.setWordWrap(True)
        self.label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.look_button = QPushButton("Look at its result")
        self.look_button.setToolTip(
            "Show its masks on the open film; nothing is put in use yet"
        )
        self.retry_button = QPushButton()
        self.use_button = QPushButton("Use this run")
        self.keep_button = QPushButton()
        choice = QHBoxLayout()
        choice.addWidget(self.use_button)
        choice.addWidget(self.keep_button)
        layout = QVBoxLayout(self)
        layout.addWidget(self.headline)
        layout.addWidget(self.label)
        layout.addWidget(self.retry_button)
        layout.addWidget(self.look_button)
        layout.addLayout(choice)
        self.use_button.clicked.connect(lambda *_: self.used.emit())
        self.keep_button.clicked.connect(lambda *_: self.kept.emit())
        self.look_button.clicked.connect(self._on_look)
        self.retry_button.clicked.connect(
            lambda *_: self.retried.emit(dict(self.smaller))
        )

    def show_verdict(self, verdict: Outcome, *, may_write: bool) -> None:
        """Show a verdict; without `may_write` the project can only be looked at."""
        self.usable = verdict.usable
        offered = bool(verdict.usable)
        self.headline.setText(verdict.headline)
        self.label.setText(verdict.text)
        self.label.setVisible(bool(verdict.text))
        self.smaller = verdict.smaller
        for batch in verdict.smaller.values():
            films = counted(batch, "film")
            self.retry_button.setText(f"Try again with {films} per batch")
        self.retry_button.setVisible(bool(verdict.smaller))
        self.retry_button.setEnabled(may_write)
        self.retry_button.setToolTip(_ANEW if may_write else _ELSEWHERE)
        self.look_button.setVisible(offered)
        self.use_button.setVisible(offered)
        self.use_button.setEnabled(may_write)
        self.use_button.setText(
            "Use it unevaluated" if verdict.unevaluated else "Use this run"
        )
        # What Enter presses: never a run that nobody has evaluated.
        self.use_button.setDefault(offered and not verdict.unevaluated)
        self.keep_button.setDefault(verdict.unevaluated)
        self.use_button.setToolTip(
            "Show its masks as drafts from now on; the open case and every expert "
            "mask stay as they are"
            if may_write
            else _ELSEWHERE
        )
        self.keep_button.setText("Keep the old one" if offered else "Close")
        self.keep_button.setToolTip(
            "Change nothing; the run stays in the list of runs" if offered else ""
        )
        self.show()

    def report(self, text: str) -> None:
        """Show a message with nothing to choose."""
        self.show_verdict(Outcome("Not started", text), may_write=False)

    def complain(self, text: str) -> None:
        """Say why the choice could not be followed; it is still offered."""
        self.label.setText(f"{self.label.text()}\n{text}".strip())
        self.label.show()

    def _on_look(self) -> None:
        stage = list(self.usable)[-1]
        self.looked.emit(stage, self.usable[stage])

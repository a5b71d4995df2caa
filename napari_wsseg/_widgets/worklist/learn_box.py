"""Learn while films are read: a box to tick, and a quiet line on what it does."""

from __future__ import annotations

from qtpy.QtWidgets import QCheckBox, QVBoxLayout, QWidget

from napari_wsseg._widgets.parts.connections import listen
from napari_wsseg._widgets.parts.share_slider import WrappedLabel
from napari_wsseg._widgets.processes.live_job import LiveLearner
from napari_wsseg.session import Session, learning

_TIP = (
    "After each film of train that is accepted a network learns some twenty steps\n"
    "from it, in a process of its own that rests while a stroke is drawn, and draws\n"
    "the next films anew. Steps that make held-out films worse are undone. What is\n"
    "learnt is kept in a run of its own (Runs); it is not put in use by itself."
)


class LearnBox(QWidget):
    """Off at first, and off with a reason where it cannot be."""

    def __init__(self, session: Session) -> None:
        super().__init__()
        self.session = session
        self.learner = LiveLearner(session, self)
        self.box = QCheckBox("Learn as I read")
        # Below the box and not beside it, where a reason would be cut.
        self.line = WrappedLabel()
        self.line.setStyleSheet("font-size: 11px;")
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addWidget(self.box)
        layout.addWidget(self.line)
        self.box.toggled.connect(self._toggled)
        self.learner.changed.connect(self._write)
        self.destroyed.connect(self.learner.close)
        listen(self, self._write, session.stages_changed)
        self._write()

    def _toggled(self, on: bool) -> None:
        if on:
            self.learner.start()
        elif self.learner.wanted:
            self.learner.stop()

    def _write(self) -> None:
        why = "" if self.learner.wanted else learning.refusal(self.session)
        self.box.setEnabled(not why)
        self.box.setToolTip(f"{_TIP}\n\nOff here: {why}." if why else _TIP)
        if self.box.isChecked() != self.learner.wanted:
            blocked = self.box.blockSignals(True)
            self.box.setChecked(self.learner.wanted)
            self.box.blockSignals(blocked)
        message = self.learner.message or (f"off: {why}" if why else "")
        self.line.setText(message)
        self.line.setVisible(bool(message))

"""A line on films that are being scored, with [Cancel], or that still could be."""

from __future__ import annotations

from qtpy.QtWidgets import QHBoxLayout, QProgressBar, QPushButton, QVBoxLayout, QWidget

from napari_wsseg._widgets.parts.share_slider import WrappedLabel
from napari_wsseg._widgets.processes.score_job import Scoring, summary
from napari_wsseg.session.state import ONLY_LOOKS


class ScoringStrip(QWidget):
    """Shows a `Scoring`; hidden when there is nothing to tell.

    Parameters
    ----------
    scoring
        Shared by every panel of a session.
    """

    def __init__(self, scoring: Scoring) -> None:
        super().__init__()
        self.scoring = scoring
        self.label = WrappedLabel()
        self.bar = QProgressBar()
        self.bar.setAccessibleName("Films scored with the runs in use")
        self.bar.setMinimumWidth(60)
        self.button = QPushButton()
        self.button.setMinimumHeight(28)
        self.button.clicked.connect(self._press)
        row = QHBoxLayout()
        row.addWidget(self.bar, 1)
        row.addWidget(self.button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.label)
        layout.addLayout(row)
        scoring.moved.connect(self.refresh)
        self.refresh()

    def refresh(self) -> None:
        """Show what is going on, or what could be done."""
        busy = self.scoring.busy
        missing = 0 if busy else self.scoring.missing()
        texts = [self.scoring.message, summary(missing)]
        self.label.setText("\n".join(word for word in texts if word))
        self.bar.setVisible(busy)
        self.bar.setRange(0, self.scoring.total)
        self.bar.setValue(self.scoring.done)
        self.button.setText("Cancel" if busy else "Score them")
        may = busy or self.scoring.may_start
        start = "Compute the maps that are missing, in the background"
        stop = "Stop here; films that are done keep their scores"
        self.button.setToolTip(stop if busy else start if may else ONLY_LOOKS)
        self.button.setEnabled(may)
        self.button.setVisible(busy or bool(missing))
        self.setVisible(bool(self.label.text()))

    def _press(self) -> None:
        if self.scoring.busy:
            self.scoring.stop()
        else:
            self.scoring.start()

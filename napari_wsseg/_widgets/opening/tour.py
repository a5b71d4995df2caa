"""Five steps through the sample project; closed once, closed for good."""

from __future__ import annotations

from pathlib import Path

from qtpy.QtCore import QEvent, QObject, Qt
from qtpy.QtWidgets import (
    QFrame,
    QHBoxLayout,
    QLabel,
    QMainWindow,
    QPushButton,
    QVBoxLayout,
)

from napari_wsseg._widgets.canvas.bench import Workbench
from napari_wsseg._widgets.parts import preferences
from napari_wsseg._widgets.parts.connections import listen
from napari_wsseg.datasets import _sample_readings

STEPS = (
    (
        "Films to read",
        "On the left is the worklist: half of these synthetic films have been read, by "
        "two simulated readers. <b>Page Down</b> turns to the next film, <b>U</b> to "
        "the next one that nobody has read.",
    ),
    (
        "What the machine offers",
        "<b>D</b> goes through the stages, <b>T</b> lays them side by side, <b>H</b> "
        "held down shows the film alone. The heart shows best what each stage does; "
        "small lesions are found badly from so few films, as Runs says.",
    ),
    (
        "Correct it",
        "<b>W</b> chooses the finding. <b>N</b> takes up Grow: one stroke inside. "
        "<b>2</b> is the brush, <b>1</b> the eraser, <b>Ctrl Z</b> undoes. Every "
        "stroke is saved as you lift the pen.",
    ),
    (
        "Decide",
        "<b>A</b> accepts the outlines, <b>S</b> your masks, <b>R</b> rejects, "
        "<b>G</b> flags. A verdict counts once the film has been on screen for half a "
        "second; <b>Shift Z</b> takes it back.",
    ),
    (
        "Train again, compare",
        "Train learns from what was corrected, Runs compares, Export writes. <b>F3</b> "
        "shows how far readers agree, <b>F1</b> every key.",
    ),
)
_STYLE = (
    "QFrame#tour { background: #24476b; border-radius: 6px; } "
    "QFrame#tour QLabel { color: white; background: transparent; }"
)
_WIDTH, _MARGIN = 430, 14


class Tour(QFrame):
    """A card in the film's corner; it covers no control and takes no key."""

    def __init__(self, bench: Workbench, window: QMainWindow) -> None:
        super().__init__(window.centralWidget())
        self.bench = bench
        self.setObjectName("tour")
        self.setStyleSheet(_STYLE)
        self.step = 0
        self.title, self.text = QLabel(), QLabel()
        self.title.setStyleSheet("font-weight: bold;")
        self.text.setWordWrap(True)
        self.back = self._button("Back", lambda: self.show_step(self.step - 1))
        self.next = self._button("Next", self._on_next)
        self.never = self._button("Close for good", self.close_for_good)
        buttons = QHBoxLayout()
        buttons.addWidget(self.never)
        buttons.addStretch(1)
        buttons.addWidget(self.back)
        buttons.addWidget(self.next)
        layout = QVBoxLayout(self)
        layout.addWidget(self.title)
        layout.addWidget(self.text)
        layout.addLayout(buttons)
        centre = self.parentWidget()
        if centre is not None:
            centre.installEventFilter(self)
        self._folder: Path | None = None
        self.hide()
        listen(self, self._on_project, bench.session.project_changed)
        self._on_project()

    def show_step(self, step: int) -> None:
        """Show one of `STEPS`."""
        self.step = min(max(step, 0), len(STEPS) - 1)
        title, text = STEPS[self.step]
        self.title.setText(f"{self.step + 1} of {len(STEPS)} · {title}")
        self.text.setText(text)
        self.back.setEnabled(self.step > 0)
        self.next.setText("Next" if self.step < len(STEPS) - 1 else "Done")
        self.bench.focus_canvas()
        self._place()

    def close_for_good(self) -> None:
        """Close it, and never come again."""
        preferences.remember_fold("tour", False)
        self.hide()
        self.bench.focus_canvas()

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        """Stay in the corner."""
        if event is not None and event.type() == QEvent.Type.Resize:
            self._place()
        return False

    def _on_next(self) -> None:
        if self.step == len(STEPS) - 1:
            self.close_for_good()
        else:
            self.show_step(self.step + 1)

    def _on_project(self) -> None:
        project = self.bench.session.project
        folder = project.folder if project is not None else None
        if folder == self._folder:
            return  # another reader goes on where this one was
        self._folder = folder
        wanted = folder is not None and _sample_readings.is_one(folder)
        self.setVisible(wanted and preferences.fold_is_open("tour", True))
        if self.isVisibleTo(self.parentWidget()):
            self.show_step(0)
            self.raise_()

    def _place(self) -> None:
        centre = self.parentWidget()
        if centre is None:
            return
        width = min(_WIDTH, centre.width() - 2 * _MARGIN)
        height = max(self.heightForWidth(width), self.sizeHint().height())
        self.setGeometry(
            _MARGIN, centre.height() - height - _MARGIN - 28, width, height
        )

    def _button(self, label: str, action: object) -> QPushButton:
        button = QPushButton(label)
        button.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        button.clicked.connect(lambda *_: action())  # type: ignore[operator]
        return button

"""What the Grow tool offers while it is in hand."""

from __future__ import annotations

from qtpy.QtWidgets import QButtonGroup, QGridLayout, QLabel, QPushButton, QWidget

from napari_wsseg._widgets.canvas.bench import Workbench
from napari_wsseg._widgets.canvas.layer_set import STAGE_NAMES
from napari_wsseg._widgets.canvas.tools.grow_tool import IN, OUT


class GrowRow(QWidget):
    """Inside or outside, take or drop, and what the walk goes by."""

    def __init__(self, bench: Workbench) -> None:
        super().__init__()
        self.bench = bench
        self.label = QLabel()
        self.label.setWordWrap(True)
        self.sides = QButtonGroup(self)
        grid = QGridLayout(self)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setSpacing(3)
        grid.addWidget(self.label, 0, 0, 1, 4)
        for column, (side, name) in enumerate(((IN, "Inside"), (OUT, "Outside"))):
            button = QPushButton(name)
            button.setCheckable(True)
            button.setToolTip("Ctrl while stroking: the other one")
            self.sides.addButton(button, side)
            grid.addWidget(button, 1, column)
        self.take = QPushButton("Take ⏎")
        self.take.setToolTip("Add the proposal to the expert mask; one undo step")
        self.drop = QPushButton("Drop Esc")
        self.drop.setToolTip("Forget the strokes and the proposal")
        grid.addWidget(self.take, 1, 2)
        grid.addWidget(self.drop, 1, 3)
        tool = bench.grow
        self.sides.idClicked.connect(self._turned)
        self.take.clicked.connect(self._took)
        self.drop.clicked.connect(self._dropped)
        tool.changed.connect(self.refresh)
        self.refresh()

    def refresh(self) -> None:
        """Follow the tool."""
        tool = self.bench.grow
        self.setVisible(tool.active)
        if not tool.active or tool.strokes is None:
            return
        side = self.sides.button(int(tool.strokes.selected_label))
        if side is not None:
            side.setChecked(True)
        self.take.setEnabled(tool.ready)
        text = (
            "Proposals stop at the boundaries that IRNet has learned."
            if tool.learned
            else "Proposals stop at the film's own edges."
        )
        if tool.stage is not None:
            text += f" They correct the draft of {STAGE_NAMES[tool.stage]}."
        self.label.setText(text)

    def _turned(self, side: int) -> None:
        self.bench.grow.turn(side)
        self.bench.focus_canvas()

    def _took(self) -> None:
        self.bench.grow.accept_proposal()
        self.bench.focus_canvas()

    def _dropped(self) -> None:
        self.bench.grow.drop()
        self.bench.focus_canvas()

"""Adjudicate: two readers' masks and their difference, and the one that is final."""

from __future__ import annotations

from qtpy.QtGui import QColor, QIcon, QPixmap
from qtpy.QtWidgets import (
    QCheckBox,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from napari_wsseg._widgets.canvas.bench import Workbench
from napari_wsseg._widgets.canvas.comparison_layers import FIRST, SECOND
from napari_wsseg._widgets.parts.connections import listen
from napari_wsseg.ops import agreement
from napari_wsseg.ops.tally import Overlap


class AdjudicatePanel(QWidget):
    """Shown only to an adjudicator: how the two differ, and a button to take either."""

    def __init__(self, bench: Workbench) -> None:
        super().__init__()
        self.bench = bench
        self.session = bench.session
        self.label = QLabel()
        self.label.setWordWrap(True)
        self.take = (QPushButton(), QPushButton())
        self.shown = (QCheckBox(), QCheckBox(), QCheckBox("Difference"))
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 4)
        layout.setSpacing(4)
        layout.addWidget(self.label)
        row = QHBoxLayout()
        for box, part in zip(
            self.shown, ("first", "second", "difference"), strict=True
        ):
            box.setChecked(True)
            box.toggled.connect(lambda on, p=part: self._show_part(p, on))
            row.addWidget(box)
        layout.addLayout(row)
        row = QHBoxLayout()
        for place, button in enumerate(self.take):
            button.setMinimumHeight(28)
            button.setToolTip(
                "Make this reader's mask of the current finding yours; draw on it, or "
                "accept the film to make it final"
            )
            button.clicked.connect(lambda _=False, n=place: self._take(n))
            row.addWidget(button)
        layout.addLayout(row)
        session = self.session
        listen(
            self,
            self.refresh,
            session.case_changed,
            session.project_changed,
            session.comparing.changed,
            session.looking.finding_changed,
        )
        self.refresh()

    def refresh(self) -> None:
        """Follow the case and the finding."""
        opened, finding = self.session.opened, self.session.looking.finding
        others = list(opened.others) if opened else []
        judging = self.session.reading.mode == "adjudicate" and len(others) > 1
        self.setVisible(judging)
        if not judging or finding is None or opened is None:
            return
        for number, name in enumerate(others[:2]):
            letter, colour = "AB"[number], (FIRST, SECOND)[number]
            self.take[number].setText(f"Take {letter}  Alt {letter}")
            self.shown[number].setText(letter)
            self.shown[number].setToolTip(f"{letter}: {name}")
            # Not coloured words: orange ones cannot be read on a light ground.
            self.shown[number].setIcon(_patch(colour))
        who = " · ".join(
            f"{letter}: {name}" for letter, name in zip("AB", others, strict=False)
        )
        masks = self.bench.compared.masks()
        if masks is None:
            self.label.setText(who)
            return
        spacing = opened.case.spacing_mm
        dice = Overlap.between(*masks).dice
        far = agreement.hd95(*masks, spacing=spacing or (1.0, 1.0))
        text = f"Dice {dice:.2f}"
        if far is not None:
            text += f" · HD95 {far:.1f} {'mm' if spacing else 'px'}"
        sees = [name for name, mask in zip(others, masks, strict=False) if mask.any()]
        if len(sees) == 1:
            text = f"only {sees[0]} sees it"
        elif not sees:
            text = "neither sees it"
        self.label.setText(f"{who}<br><b>{finding.title}</b>: {text}")

    def _show_part(self, part: str, on: bool) -> None:
        self.bench.compared.want(part, on)
        self.bench.focus_canvas()

    def _take(self, number: int) -> None:
        self.session.take_reader_mask(number)
        self.bench.focus_canvas()


def _patch(colour: str) -> QIcon:
    """Return a square of a colour."""
    square = QPixmap(12, 12)
    square.fill(QColor(colour))
    return QIcon(square)

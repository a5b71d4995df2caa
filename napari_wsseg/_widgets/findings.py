"""The findings of the open case: one row each, one is being painted."""

from __future__ import annotations

import numpy as np
from qtpy.QtCore import Qt
from qtpy.QtGui import QColor, QIcon, QPainter, QPixmap
from qtpy.QtWidgets import (
    QAbstractItemView,
    QHeaderView,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from napari_wsseg._widgets._listening import listen
from napari_wsseg._widgets._workbench import Workbench

COLUMNS = ("Finding", "Expert", "Label")
_LABELS = {1: "present", 0: "absent", -1: "uncertain", None: "unknown"}
_ROW = 24


class FindingsTable(QWidget):
    """Colour and eye, name, area of the expert mask and label of every finding."""

    def __init__(self, bench: Workbench) -> None:
        super().__init__()
        self.bench = bench
        self.session = bench.session
        self.table = QTableWidget(0, len(COLUMNS))
        self.table.setHorizontalHeaderLabels(COLUMNS)
        self.table.verticalHeader().hide()
        self.table.verticalHeader().setDefaultSectionSize(_ROW)
        self.table.setShowGrid(False)
        self.table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.table.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.table.setFocusPolicy(Qt.FocusPolicy.ClickFocus)
        header = self.table.horizontalHeader()
        header.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        header.setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
        header.setDefaultAlignment(Qt.AlignmentFlag.AlignLeft)
        self.table.setToolTip(
            "Click: paint this finding (Q, W).  Tick: show or hide its expert mask.\n"
            "Expert: the area of its expert mask; a dash where nobody has made one."
        )
        # Narrow cells leave the names, which are long, the room they need.
        self.table.setStyleSheet(
            "QTableView::item { padding: 0 1px; } "
            "QHeaderView::section { padding: 2px 2px; }"
        )
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.table)
        session = self.session
        listen(self, self._fill, session.project_changed)
        listen(self, self.refresh, session.case_changed)
        listen(self, self.refresh, session.edited, session.mask_replaced, max_args=1)
        listen(self, self._select, session.looking.finding_changed)
        self.table.cellClicked.connect(self._clicked)
        self.table.itemChanged.connect(self._ticked)
        self._fill()

    def refresh(self, only: str | None = None) -> None:
        """Show area and label of one finding of the open case, or of all."""
        case, experts = self.session.case, self.session.experts
        if case is None or experts is None:
            return
        blocked = self.table.blockSignals(True)
        masks, drawn = experts.masks, experts.annotated
        for row, finding in enumerate(self.session.looking.findings):
            if only not in (None, finding.name):
                continue
            has = finding.name in drawn
            texts = (
                area(masks[finding.name], case.spacing_mm) if has else "—",
                _LABELS[case.labels.get(finding.name)],
            )
            for column, text in enumerate(texts, 1):
                item = self.table.item(row, column)
                if item is not None:
                    item.setText(text)
        self.table.blockSignals(blocked)

    def _fill(self) -> None:
        findings = self.session.looking.findings
        blocked = self.table.blockSignals(True)
        self.table.setRowCount(len(findings))
        for row, finding in enumerate(findings):
            name = QTableWidgetItem(_swatch(finding.colour), finding.name)
            name.setFlags(
                Qt.ItemFlag.ItemIsEnabled
                | Qt.ItemFlag.ItemIsSelectable
                | Qt.ItemFlag.ItemIsUserCheckable
            )
            name.setCheckState(Qt.CheckState.Checked)
            name.setToolTip(finding.name)
            self.table.setItem(row, 0, name)
            for column in range(1, len(COLUMNS)):
                self.table.setItem(row, column, QTableWidgetItem("—"))
        self.table.blockSignals(blocked)
        header = self.table.horizontalHeader().sizeHint().height()
        shown = min(max(len(findings), 1), 8)
        self.table.setFixedHeight(header + shown * _ROW + 6)
        self._select()
        self.refresh()

    def _select(self) -> None:
        if self.session.looking.findings:
            self.table.selectRow(self.session.looking.index)

    def _clicked(self, row: int, _column: int) -> None:
        self.session.looking.set_finding(self.session.looking.names[row])
        self.bench.focus_canvas()

    def _ticked(self, item: QTableWidgetItem) -> None:
        if item.column() == 0:
            shown = item.checkState() == Qt.CheckState.Checked
            name = self.session.looking.names[item.row()]
            self.bench.layers.set_finding_visible(name, shown)


def area(mask: np.ndarray, spacing_mm: tuple[float, float] | None) -> str:
    """Return the area of a (H, W) mask in words: mm² or cm² when known, else px."""
    pixels = int(np.count_nonzero(mask))
    if spacing_mm is None:
        return f"{pixels:,} px".replace(",", "\u202f")
    square_mm = pixels * spacing_mm[0] * spacing_mm[1]
    if square_mm >= 1000:
        return f"{square_mm / 100:.1f} cm²"
    return f"{square_mm:.0f} mm²"


def _swatch(colour: str) -> QIcon:
    pixmap = QPixmap(14, 14)
    pixmap.fill(Qt.GlobalColor.transparent)
    painter = QPainter(pixmap)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setBrush(QColor(colour))
    painter.setPen(Qt.PenStyle.NoPen)
    painter.drawRoundedRect(1, 1, 12, 12, 3, 3)
    painter.end()
    return QIcon(pixmap)

"""The findings of the open case: one row each, one is being painted."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from qtpy.QtCore import QRectF, QSize, Qt
from qtpy.QtGui import QColor, QIcon, QKeyEvent, QPainter, QPixmap
from qtpy.QtWidgets import (
    QAbstractItemView,
    QCheckBox,
    QHeaderView,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from napari_wsseg._widgets.canvas import thumbnails as _pictures
from napari_wsseg._widgets.canvas.bench import Workbench
from napari_wsseg._widgets.parts.connections import listen
from napari_wsseg._widgets.review.label_bar import label_menu
from napari_wsseg.schema import STAGES, Case
from napari_wsseg.session import Session

COLUMNS = ("Finding", "Mask", "Label")
_LABELS = {1: "present", 0: "absent", -1: "uncertain", None: "—"}
_ROW = 26
_SWATCH = 18
_SIGNS = {
    "drawn": "●",
    "accepted": "✓",
    "edited": "✎",
    "rejected": "✗",
    "flagged": "⚑",
    "draft": "○",
}
_GLANCE = 96
"""Longest side, in pixels, at which a draft is looked for."""


class Table(QTableWidget):
    """A table that moves by the arrows and leaves letters to our shortcuts."""

    def keyPressEvent(self, event: QKeyEvent | None) -> None:
        """Search for no name that begins with the letter pressed."""
        if event is not None and event.text().strip():
            event.ignore()
        else:
            super().keyPressEvent(event)


class FindingsTable(QWidget):
    """Number and colour, eye, area of the expert mask, state, label of each finding."""

    def __init__(self, bench: Workbench) -> None:
        super().__init__()
        self.bench = bench
        self.session = bench.session
        self.table = Table(0, len(COLUMNS))
        self.table.setHorizontalHeaderLabels(COLUMNS)
        self.table.verticalHeader().hide()
        self.table.verticalHeader().setDefaultSectionSize(_ROW)
        self.table.setShowGrid(False)
        self.table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.table.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        # Tab goes on to the next control; the arrows choose the finding.
        self.table.setTabKeyNavigation(False)
        self.table.setIconSize(QSize(_SWATCH, _SWATCH))
        header = self.table.horizontalHeader()
        header.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        header.setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
        header.setDefaultAlignment(Qt.AlignmentFlag.AlignLeft)
        self.table.setToolTip(
            "Click: paint this finding (Q, W).  Tick (Space): show or hide its mask.\n"
            "Mask: ● drawn, ✓ accepted, ✎ accepted with edits, ⚑ flagged, ✗ rejected, "
            "with its area; ○ a machine's draft alone.\n"
            "One finding alone: Shift A accepts, Shift S accepts your edits, Shift R "
            "rejects.\n"
            "Label: what is known of the film as a whole; click to change it, or "
            "Shift Y present, Shift N absent, Shift U uncertain."
        )
        # Narrow cells leave the names, which are long, the room they need.
        self.table.setStyleSheet(
            "QTableView::item { padding: 0 1px; } "
            "QHeaderView::section { padding: 2px 2px; }"
        )
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        self.numbers = QCheckBox("Numbers on the film")
        self.numbers.setToolTip(
            "Write the number of a finding beside its mask, so that nothing hangs on "
            "telling colours apart"
        )
        self.numbers.setChecked(bench.session.looking.numbers)
        self.numbers.toggled.connect(bench.session.looking.set_numbers)
        layout.setSpacing(2)
        layout.addWidget(self.table)
        layout.addWidget(self.numbers)
        session = self.session
        listen(self, self._fill, session.project_changed)
        listen(self, self.refresh, session.case_changed)
        listen(self, self.refresh, session.edited, session.mask_replaced, max_args=1)
        listen(self, self.refresh, session.label_changed)
        listen(
            self,
            self.refresh,
            session.stages_changed,
            session.decided,
            session.looking.view_changed,
        )
        listen(self, self._select, session.looking.finding_changed)
        self.table.cellClicked.connect(self._clicked)
        self.table.currentCellChanged.connect(self._moved)
        self.table.itemChanged.connect(self._ticked)
        self._fill()

    def refresh(self, only: str | None = None) -> None:
        """Show area and label of one finding of the open case, or of all."""
        case, experts = self.session.case, self.session.experts
        if case is None or experts is None:
            return
        blocked = self.table.blockSignals(True)
        masks, drawn = experts.masks, experts.annotated
        states = self.session.finding_states()
        for row, finding in enumerate(self.session.looking.findings):
            if only not in (None, finding.name):
                continue
            annotated = finding.name in drawn  # what is not has no pixels to count
            pixels = int(np.count_nonzero(masks[finding.name])) if annotated else 0
            words = state(self.session, finding.name, states)
            size = area(pixels, case.spacing_mm) if pixels else "empty"
            texts = (
                f"{_SIGNS[words]} {size if annotated else words}" if words else "—",
                self._label(case, finding.name),
            )
            tip = f"{words}: {size}" if annotated else words
            mask = self.table.item(row, 1)
            tip = tip or "Nothing drawn and nothing offered"
            if mask is not None and mask.toolTip() != tip:
                mask.setToolTip(tip)
            for column, text in enumerate(texts, 1):
                item = self.table.item(row, column)
                if item is not None and item.text() != text:
                    item.setText(text)
        self.table.blockSignals(blocked)

    def _label(self, case: Case, finding: str) -> str:
        value = case.labels.get(finding)
        hidden = value is None and self.session.labels_hidden
        return "hidden" if hidden else _LABELS[value]

    def _fill(self) -> None:
        findings = self.session.looking.findings
        blocked = self.table.blockSignals(True)
        self.table.setRowCount(len(findings))
        for row, finding in enumerate(findings):
            icon = _swatch(finding.colour, row + 1)
            name = QTableWidgetItem(icon, finding.name)
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
        self.numbers.setVisible(len(findings) > 1)
        self._select()
        self.refresh()

    def _select(self) -> None:
        if self.session.looking.findings:
            blocked = self.table.blockSignals(True)
            self.table.selectRow(self.session.looking.index)
            self.table.blockSignals(blocked)

    def _moved(self, row: int, *_: int) -> None:
        if 0 <= row < len(self.session.looking.names):
            self.session.looking.set_finding(self.session.looking.names[row])

    def _clicked(self, row: int, column: int) -> None:
        name = self.session.looking.names[row]
        self.session.looking.set_finding(name)
        self.bench.focus_canvas()
        if COLUMNS[column] == "Label" and self.session.case is not None:
            place = self.table.visualItemRect(self.table.item(row, column))
            viewport = self.table.viewport()
            if viewport is not None:
                menu = label_menu(self.bench, name, self)
                menu.popup(viewport.mapToGlobal(place.bottomLeft()))

    def _ticked(self, item: QTableWidgetItem) -> None:
        if item.column() == 0:
            shown = item.checkState() == Qt.CheckState.Checked
            name = self.session.looking.names[item.row()]
            self.bench.layers.set_finding_visible(name, shown)


def state(session: Session, finding: str, states: Mapping[str, str]) -> str:
    """Return what there is of a finding on the open film, in a word; empty if nothing.

    `states` tells of what a reader has drawn or decided (`Session.finding_states`).
    """
    experts, opened, looking = session.experts, session.opened, session.looking
    if experts is None or opened is None:
        return ""
    decision = session.list.decisions.get(opened.case.id)
    if finding in experts.annotated:
        word = states.get(finding, "drawn")
        flagged = decision is not None and decision.verdict == "flag"
        return "flagged" if flagged and word == "drawn" else word
    stage = looking.view if looking.view in opened.maps else None
    stage = stage or next((s for s in reversed(STAGES) if s in opened.maps), None)
    if stage is None:
        return ""
    shape = _pictures.small_shape(opened.case.shape, _GLANCE)
    draft = looking.drafts.draft(
        opened.maps[stage], stage, finding, shape, opened.case.labels
    )
    return "draft" if draft.any() else ""


def area(pixels: int, spacing_mm: tuple[float, float] | None) -> str:
    """Return an area of so many pixels in words: mm² or cm² when known, else px."""
    if spacing_mm is None:
        return f"{pixels:,} px".replace(",", "\u202f")
    square_mm = pixels * spacing_mm[0] * spacing_mm[1]
    if square_mm >= 1000:
        return f"{square_mm / 100:.1f} cm²"
    return f"{square_mm:.0f} mm²"


def _swatch(colour: str, number: int) -> QIcon:
    """Return a square of the colour with the finding's number on it."""
    ground = QColor(colour)
    pixmap = QPixmap(2 * _SWATCH, 2 * _SWATCH)
    pixmap.fill(Qt.GlobalColor.transparent)
    painter = QPainter(pixmap)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setBrush(ground)
    painter.setPen(Qt.PenStyle.NoPen)
    square = QRectF(1, 1, 2 * _SWATCH - 2, 2 * _SWATCH - 2)
    painter.drawRoundedRect(square, 6, 6)
    font = painter.font()
    font.setPixelSize(round(1.4 * _SWATCH))
    font.setBold(True)
    painter.setFont(font)
    painter.setPen(QColor("black" if ground.lightnessF() > 0.4 else "white"))
    painter.drawText(square, Qt.AlignmentFlag.AlignCenter, str(number))
    painter.end()
    pixmap.setDevicePixelRatio(2)
    return QIcon(pixmap)

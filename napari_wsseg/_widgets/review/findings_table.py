"""The findings of the open case: one row each, one is being painted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from qtpy.QtCore import QRectF, QSize, Qt, QTimer
from qtpy.QtGui import QColor, QIcon, QKeyEvent, QPainter, QPixmap
from qtpy.QtWidgets import (
    QAbstractItemView,
    QCheckBox,
    QComboBox,
    QHBoxLayout,
    QHeaderView,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from napari_wsseg._widgets.canvas import thumbnails as _thumbnails
from napari_wsseg._widgets.canvas.bench import Workbench
from napari_wsseg._widgets.parts.connections import listen
from napari_wsseg._widgets.parts.screen import is_tall
from napari_wsseg._widgets.review.label_bar import label_menu
from napari_wsseg.schema import GROUPS, STAGES, Case, Finding
from napari_wsseg.session import Session
from napari_wsseg.session.view import DRAWINGS

COLUMNS = ("Finding", "Mask", "Label")
_LABELS = {1: "present", 0: "absent", -1: "uncertain", None: "—"}
_ROW, _LOW_ROW = 26, 22
"""Height of a row, usual and on a low screen."""
_SWATCH = 18
_MIDDLE = 0.18
"""Luminance on which black and white letters stand out alike."""
_BESIDE_NAME = 54
"""Width of a finding's tick and number, and the air around its name."""
_DRAWINGS = {"filled": "Filled", "outlined": "Outlines", "off": "No masks"}
_SIGNS = {
    "drawn": "●",
    "accepted": "✓",
    "edited": "✎",
    "kept": "✓",
    "rejected": "✗",
    "flagged": "⚑",
    "draft": "○",
}
_BY_ACCEPT = {
    "draft": "A makes this outline the expert mask",
    "drawn": "A keeps this mask and takes no outline for it",
    "kept": "Accepted as it was there: no outline was taken for it",
    "accepted": "A draft's outline, accepted as it was",
}
"""What Accept will do of a finding, or has done."""
_CHECKED, _UNCHECKED = Qt.CheckState.Checked, Qt.CheckState.Unchecked
_ROWS, _TALL_ROWS = 8, 16
"""Rows that are seen without scrolling, on a low screen and on a tall one."""
_GLANCE = 96
"""Longest side, in pixels, at which a draft is looked for."""


class QuietTable(QTableWidget):
    """A table that moves by the arrows and leaves letters to our shortcuts."""

    def keyPressEvent(self, event: QKeyEvent | None) -> None:
        """Search for no name that begins with the letter pressed."""
        if event is not None and event.text().strip():
            event.ignore()
        else:
            super().keyPressEvent(event)


class FindingsTable(QWidget):
    """Number and colour, eye, area of the expert mask, state, label of each finding.

    Findings of several groups stand under their group's name, which folds them and
    hides them together.

    Attributes
    ----------
    row_of
        Row of each finding, by name.
    """

    def __init__(self, bench: Workbench) -> None:
        super().__init__()
        self.bench = bench
        self.session = bench.session
        self.table = QuietTable(0, len(COLUMNS))
        self.row_of: dict[str, int] = {}
        self._groups: dict[int, str] = {}
        self._folded: set[str] = set()
        self._just_ticked = False
        self._row = _ROW if is_tall(self) else _LOW_ROW
        self._wrap = QTimer(self, singleShot=True, interval=0)
        self._wrap.timeout.connect(self._fit_rows)
        self.numbers, self.alone = QCheckBox("Numbers"), QCheckBox("Alone  F5")
        self.drawing = QComboBox()
        self._set_up_table()
        self._lay_out()
        self._connect()
        self._fill()

    def _set_up_table(self) -> None:
        self.table.setHorizontalHeaderLabels(COLUMNS)
        self.table.verticalHeader().hide()
        self.table.verticalHeader().setMinimumSectionSize(self._row)
        self.table.verticalHeader().setDefaultSectionSize(self._row)
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
        # A name that is too long for its column goes on below; a word, in its middle.
        self.table.setTextElideMode(Qt.TextElideMode.ElideMiddle)
        header.sectionResized.connect(self._widened)
        self.table.setToolTip(
            "Click: paint this finding (Q, W).  Tick (Space): show or hide its mask.\n"
            "Mask: ● drawn, ✓ accepted or kept as it was, ✎ accepted with edits, "
            "⚑ flagged, ✗ rejected, with its area; ○ a machine's draft alone.\n"
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

    def _lay_out(self) -> None:
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        self.numbers.setToolTip(
            "Write the number of a finding beside its mask, so that nothing hangs on "
            "telling colours apart"
        )
        self.numbers.setChecked(self.session.looking.numbers)
        self.numbers.toggled.connect(self.session.looking.set_numbers)
        layout.setSpacing(2)
        layout.addWidget(self.table)
        self.alone.setToolTip("Hide every other finding; again: show all (F5)")
        self.alone.toggled.connect(self._alone)
        self.drawing.addItems(_DRAWINGS.values())
        self.drawing.setToolTip("How expert masks are drawn  (F6: the next way)")
        # Words of it may be cut before the column is made wider than its panel.
        self.drawing.setMinimumWidth(40)
        self.drawing.activated.connect(self._drawing)
        below = QHBoxLayout()
        below.setSpacing(6)
        for widget in (self.numbers, self.alone, self.drawing):
            below.addWidget(widget, int(widget is self.drawing))
        layout.addLayout(below)

    def _connect(self) -> None:
        session = self.session
        listen(self, self._follow_view, session.looking.view_changed)
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

    def refresh(self, only: str | None = None) -> None:
        """Show area and label of one finding of the open case, or of all."""
        case, experts = self.session.case, self.session.experts
        if case is None or experts is None:
            return
        blocked = self.table.blockSignals(True)
        masks, drawn = experts.masks, experts.annotated
        states = self.session.finding_states()
        for finding in self.session.looking.findings:
            row = self.row_of.get(finding.name, -1)
            if only not in (None, finding.name):
                continue
            annotated = finding.name in drawn  # what is not has no pixels to count
            pixels = int(np.count_nonzero(masks[finding.name])) if annotated else 0
            state_text = state(self.session, finding.name, states)
            size = area(pixels, case.spacing_mm) if pixels else "empty"
            short = _short_area(pixels, case.spacing_mm) if pixels else size
            texts = (
                f"{_SIGNS[state_text]} {short if annotated else state_text}"
                if state_text
                else "—",
                self._label(case, finding.name),
            )
            tip = f"{state_text}: {size}" if annotated else state_text
            mask = self.table.item(row, 1)
            tip = tip or "Nothing drawn and nothing offered"
            tip = "\n".join(filter(None, (tip, _BY_ACCEPT.get(state_text))))
            if mask is not None and mask.toolTip() != tip:
                mask.setToolTip(tip)
            for column, text in enumerate(texts, 1):
                item = self.table.item(row, column)
                if item is not None and item.text() != text:
                    item.setText(text)
        self.table.blockSignals(blocked)

    def _alone(self, on: bool) -> None:
        self.session.looking.set_alone(on)
        self.bench.focus_canvas()

    def _drawing(self, place: int) -> None:
        self.session.looking.set_drawing(DRAWINGS[place])
        self.bench.focus_canvas()

    def _follow_view(self) -> None:
        looking = self.session.looking
        blocked = self.alone.blockSignals(True)
        self.alone.setChecked(looking.alone)
        self.alone.blockSignals(blocked)
        self.drawing.setCurrentIndex(DRAWINGS.index(looking.drawing))

    def _label(self, case: Case, finding: str) -> str:
        value = case.labels.get(finding)
        hidden = value is None and self.session.labels_hidden
        return "hidden" if hidden else _LABELS[value]

    def _fill(self) -> None:
        findings = self.session.looking.findings
        blocked = self.table.blockSignals(True)
        self.table.clearSpans()
        self.table.setRowCount(0)
        self.row_of, self._groups = {}, {}
        kinds = _kinds(findings)
        for kind, members in kinds.items():
            if len(kinds) > 1:
                self._add_group(kind)
            for number in members:
                self._add(findings[number], number + 1)
        self.table.blockSignals(blocked)
        self._fold()
        self.numbers.setVisible(len(findings) > 1)
        self._select()
        self.refresh()

    def _add(self, finding: Finding, number: int) -> None:
        row = self.table.rowCount()
        self.table.insertRow(row)
        self.row_of[finding.name] = row
        name = QTableWidgetItem(_swatch(finding.colour, number), finding.title)
        name.setFlags(
            Qt.ItemFlag.ItemIsEnabled
            | Qt.ItemFlag.ItemIsSelectable
            | Qt.ItemFlag.ItemIsUserCheckable
        )
        shown = finding.name not in self.session.looking.put_away
        name.setCheckState(_CHECKED if shown else _UNCHECKED)
        name.setToolTip(finding.name)
        self.table.setItem(row, 0, name)
        for column in range(1, len(COLUMNS)):
            self.table.setItem(row, column, QTableWidgetItem("—"))

    def _add_group(self, kind: str) -> None:
        row = self.table.rowCount()
        self.table.insertRow(row)
        self._groups[row] = kind
        item = QTableWidgetItem(kind)
        item.setFlags(Qt.ItemFlag.ItemIsEnabled | Qt.ItemFlag.ItemIsUserCheckable)
        item.setCheckState(_CHECKED)
        font = item.font()
        font.setBold(True)
        item.setFont(font)
        item.setToolTip("Click: fold or unfold. Tick: hide or show all of them.")
        self.table.setItem(row, 0, item)
        self.table.setSpan(row, 0, 1, len(COLUMNS))

    def _fold(self) -> None:
        """Hide the rows of folded groups, and be as high as the others are."""
        folded = False
        for row in range(self.table.rowCount()):
            kind = self._groups.get(row)
            if kind is None:
                self.table.setRowHidden(row, folded)
                continue
            folded = kind in self._folded
            item = self.table.item(row, 0)
            if item is not None:
                blocked = self.table.blockSignals(True)
                item.setText(f"{'▸' if folded else '▾'} {kind}")
                self.table.blockSignals(blocked)
        self._fit_rows()

    def _widened(self, column: int) -> None:
        if column == 0:
            self._wrap.start()

    def _fit_rows(self) -> None:
        """Let long names take two lines, and the table be as high as its rows."""
        metrics = self.table.fontMetrics()
        room = self.table.columnWidth(0) - _BESIDE_NAME
        for row in self.row_of.values():
            item = self.table.item(row, 0)
            name = item.text() if item is not None else ""
            wide = metrics.horizontalAdvance(name) > room and " " in name
            lines = 2 * metrics.lineSpacing() + 4 if wide else 0
            self.table.setRowHeight(row, max(self._row, lines))
        rows = range(self.table.rowCount())
        heights = sum(self.table.rowHeight(row) for row in rows)  # 0 of hidden ones
        header = self.table.horizontalHeader().sizeHint().height()
        most = (_TALL_ROWS if is_tall(self) else _ROWS) * self._row
        self.table.setFixedHeight(header + min(max(heights, self._row), most) + 6)

    def _select(self) -> None:
        finding = self.session.looking.finding
        if finding is not None and finding.name in self.row_of:
            blocked = self.table.blockSignals(True)
            self.table.selectRow(self.row_of[finding.name])
            self.table.blockSignals(blocked)

    def _name_at(self, row: int) -> str | None:
        return next((name for name, own in self.row_of.items() if own == row), None)

    def _moved(self, row: int, *_: int) -> None:
        if (name := self._name_at(row)) is not None:
            self.session.looking.set_finding(name)

    def _clicked(self, row: int, column: int) -> None:
        name = self._name_at(row)
        self.bench.focus_canvas()
        if name is None:
            if self._just_ticked:
                return
            self._folded ^= {self._groups[row]}
            self._fold()
            return
        self.session.looking.set_finding(name)
        if COLUMNS[column] == "Label" and self.session.case is not None:
            place = self.table.visualItemRect(self.table.item(row, column))
            viewport = self.table.viewport()
            if viewport is not None:
                menu = label_menu(self.bench, name, self)
                menu.popup(viewport.mapToGlobal(place.bottomLeft()))

    def _forget_tick(self) -> None:
        self._just_ticked = False

    def _ticked(self, item: QTableWidgetItem) -> None:
        if item.column() != 0:
            return
        away = item.checkState() != _CHECKED
        kind = self._groups.get(item.row())
        if kind is None:
            names = [name] if (name := self._name_at(item.row())) else []
        else:
            # A click on the name folds; this one was on the box.
            self._just_ticked = True
            QTimer.singleShot(0, self._forget_tick)
            names = [f.name for f in self.session.looking.findings if f.kind == kind]
            blocked = self.table.blockSignals(True)
            for name in names:
                own = self.table.item(self.row_of[name], 0)
                if own is not None:
                    own.setCheckState(item.checkState())
            self.table.blockSignals(blocked)
        self.session.looking.put(names, away=away)


def _kinds(findings: Sequence[Finding]) -> dict[str, list[int]]:
    """Return the places of findings by group, groups of ours first and in order."""
    found: dict[str, list[int]] = {kind: [] for kind in GROUPS}
    for place, finding in enumerate(findings):
        found.setdefault(finding.kind, []).append(place)
    return {kind: places for kind, places in found.items() if places}


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
        verdict = decision.verdict if decision is not None else None
        if verdict == "accept" and word == "edited":
            return "kept"  # the film was accepted as it stood, and this stood on it
        return "flagged" if verdict == "flag" and word == "drawn" else word
    stage = looking.view if looking.view in opened.maps else None
    stage = stage or next((s for s in reversed(STAGES) if s in opened.maps), None)
    if stage is None:
        return ""
    shape = _thumbnails.small_shape(opened.case.shape, _GLANCE)
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


def _short_area(pixels: int, spacing_mm: tuple[float, float] | None) -> str:
    """Return an area in as few letters as a column of a narrow panel has room for."""
    if spacing_mm is None and pixels >= 1_000_000:
        return f"{pixels / 1e6:.1f}M px"
    if spacing_mm is None and pixels >= 10_000:
        return f"{pixels / 1000:.0f}k px"
    text = area(pixels, spacing_mm)
    number, _, unit = text.partition(" ")
    return f"{float(number):.0f} cm²" if unit == "cm²" and len(number) > 4 else text


def _luminance(colour: QColor) -> float:
    """Return how bright a colour is to the eye, 0 to 1 (WCAG, gamma 2.2)."""
    parts = (colour.redF(), colour.greenF(), colour.blueF())
    weights = (0.2126, 0.7152, 0.0722)
    return sum(w * part**2.2 for w, part in zip(weights, parts, strict=True))


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
    painter.setPen(QColor("black" if _luminance(ground) > _MIDDLE else "white"))
    painter.drawText(square, Qt.AlignmentFlag.AlignCenter, str(number))
    painter.end()
    pixmap.setDevicePixelRatio(2)
    icon = QIcon(pixmap)
    # Qt tints the picture of a selected row: another colour than that on the film.
    icon.addPixmap(pixmap, QIcon.Mode.Selected)
    return icon

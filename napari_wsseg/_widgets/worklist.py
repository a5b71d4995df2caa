"""The worklist: which films there are, how far reading is, which comes next."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from qtpy.QtCore import QModelIndex, Qt, QTimer
from qtpy.QtWidgets import (
    QAbstractItemView,
    QButtonGroup,
    QComboBox,
    QGridLayout,
    QHBoxLayout,
    QHeaderView,
    QLabel,
    QLineEdit,
    QProgressBar,
    QPushButton,
    QTableView,
    QVBoxLayout,
    QWidget,
)

from napari_wsseg._widgets import _uncertainty
from napari_wsseg._widgets._listening import listen
from napari_wsseg._widgets._workbench import Workbench
from napari_wsseg._widgets._worklist_model import FILTERS, ORDERS, WorklistModel
from napari_wsseg.schema import STAGES


class Worklist(QWidget):
    """Filter chips, search, order, the table, and the progress of reading."""

    def __init__(self, bench: Workbench) -> None:
        super().__init__()
        self.bench = bench
        self.session = bench.session
        self.model = WorklistModel(self.session)
        self.title = QLabel()
        self.title.setStyleSheet("font-weight: bold;")
        self.search = QLineEdit()
        self.search.setPlaceholderText("Search film, finding, split")
        self.search.setClearButtonEnabled(True)
        self.order = QComboBox()
        self.order.addItems(ORDERS)
        self.order.setToolTip(
            "Most uncertain first: films where the adopted model hesitates most.\n"
            "Random: the same shuffle each time, different for every reader."
        )
        self.chips = _chips(self)
        self.table = self._table()
        self.empty = QLabel()
        self.empty.setWordWrap(True)
        self.empty.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.bar = QProgressBar()
        self.bar.setTextVisible(False)
        self.bar.setFixedHeight(6)
        self.progress = QLabel()
        self._lay_out()
        # A keystroke in the search field waits for the next one, then filters once.
        self._typed = QTimer(self)
        self._typed.setSingleShot(True)
        self._typed.setInterval(120)
        self._typed.timeout.connect(self._filter)
        self._connect()
        self._on_project()

    # Building -----------------------------------------------------------------------

    def _table(self) -> QTableView:
        table = QTableView()
        table.setModel(self.model)
        table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        table.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        table.setShowGrid(False)
        table.setWordWrap(False)
        # Names of one series differ at their ends.
        table.setTextElideMode(Qt.TextElideMode.ElideMiddle)
        table.verticalHeader().hide()
        table.verticalHeader().setDefaultSectionSize(24)
        # Measuring every row of thousands would take seconds: widths are set once.
        header = table.horizontalHeader()
        header.setSectionResizeMode(QHeaderView.ResizeMode.Interactive)
        header.setStretchLastSection(True)
        header.setDefaultAlignment(Qt.AlignmentFlag.AlignLeft)
        for column, width in enumerate((86, 96, 104, 56, 40)):
            table.setColumnWidth(column, width)
        return table

    def _lay_out(self) -> None:
        chips = QGridLayout()
        chips.setSpacing(3)
        for place, chip in enumerate(self.chips.buttons()):
            # Five chips in two rows: three short ones, then the two long ones.
            row, column, span = ((0, place * 2, 2), (1, (place - 3) * 3, 3))[place > 2]
            chips.addWidget(chip, row, column, 1, span)
        order = QHBoxLayout()
        order.addWidget(QLabel("Order"))
        order.addWidget(self.order, 1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(6, 6, 6, 6)
        layout.setSpacing(5)
        layout.addWidget(self.title)
        layout.addWidget(self.search)
        layout.addLayout(chips)
        layout.addLayout(order)
        layout.addWidget(self.table, 1)
        layout.addWidget(self.empty)
        layout.addWidget(self.bar)
        layout.addWidget(self.progress)

    def _connect(self) -> None:
        session = self.session
        listen(self, self._on_project, session.project_changed)
        listen(self, self._on_case, session.case_changed)
        listen(self, self._on_status, session.status_changed, max_args=1)
        listen(self, self._score, session.stages_changed)
        listen(self, self._on_edited, session.edited, max_args=1)
        self.search.textChanged.connect(lambda _: self._typed.start())
        self.search.returnPressed.connect(self.bench.focus_canvas)
        self.order.currentTextChanged.connect(self._reorder)
        self.chips.buttonClicked.connect(lambda _: self._filter())
        self.table.clicked.connect(self._clicked)
        self.table.activated.connect(self._clicked)

    # What happens -------------------------------------------------------------------

    def _on_project(self) -> None:
        project = self.session.project
        self.title.setText(project.name if project else "")
        self.title.setToolTip(str(project.folder) if project else "")
        self.model.scores = {}
        self._filter()
        self._score()

    def _filter(self) -> None:
        chip = self.chips.checkedButton()
        self.model.filter = chip.text() if chip else "All"
        self.model.words = self.search.text().strip()
        self.model.refresh()
        nothing = not self.model.shown
        self.table.setVisible(not nothing)
        self.empty.setVisible(nothing)
        self.empty.setText(
            "No film matches. Clear the search or press All."
            if self.session.list.cases
            else "This project has no films yet: add some with “wsseg init”."
        )
        self._mark()
        self._count()

    def _reorder(self, order: str) -> None:
        self.model.order = order
        self._filter()
        self.bench.focus_canvas()

    def _on_case(self) -> None:
        case = self.session.case
        if case is not None:
            self.model.touch(case.id)
        self._mark()

    def _mark(self) -> None:
        """Select the open case's row and keep it in sight."""
        case = self.session.case
        row = self.model.row_of(case.id) if case else -1
        if row < 0:
            self.table.clearSelection()
            return
        self.table.selectRow(row)
        self.table.scrollTo(self.model.index(row, 0))

    def _on_status(self, case_id: str) -> None:
        self.model.touch(case_id)
        self._count()

    def _on_edited(self, finding: str) -> None:
        case = self.session.case
        if case is not None and finding not in self.session.list.annotated.get(
            case.id, ()
        ):
            drawn = self.session.list.annotated.get(case.id, ())
            self.session.list.annotated[case.id] = (*drawn, finding)
            self.model.touch(case.id)

    def _count(self) -> None:
        reading = self.session.list
        done, total = reading.n_finished(), len(reading.cases)
        self.bar.setMaximum(max(1, total))
        self.bar.setValue(done)
        minutes = reading.minutes_left()
        left = (
            "" if minutes is None or done == total else f" · ~{_minutes(minutes)} left"
        )
        self.progress.setText(f"{done}/{total} reviewed{left}")

    def _clicked(self, index: QModelIndex) -> None:
        if index.isValid():
            self.session.go_to(self.model.shown[index.row()])
        self.bench.focus_canvas()

    # Uncertainty --------------------------------------------------------------------

    def _score(self) -> None:
        project = self.session.project
        if project is None:
            return
        folder: Path = project.folder
        runs = [
            (stage, run)
            for stage in reversed(STAGES)
            if (run := project.adopted(stage)) is not None
        ]
        if runs:
            stage, run = runs[0]
            self.bench.drawing.submit(
                lambda: _uncertainty.scores(folder, stage, run),
                self._scored,
                lambda error: self.session.message.emit(str(error)),
            )

    def _scored(self, scores: Mapping[str, float]) -> None:
        self.model.scores = scores
        if self.model.order == "Most uncertain first":
            self._filter()


def _chips(parent: QWidget) -> QButtonGroup:
    group = QButtonGroup(parent)
    group.setExclusive(True)
    for name in FILTERS:
        chip = QPushButton(name, parent)
        chip.setCheckable(True)
        chip.setStyleSheet("padding: 2px 3px;")
        chip.setChecked(name == "All")
        group.addButton(chip)
    return group


def _minutes(minutes: float) -> str:
    if minutes < 1:
        return "1 min"
    return f"{minutes:.0f} min" if minutes < 90 else f"{minutes / 60:.1f} h"

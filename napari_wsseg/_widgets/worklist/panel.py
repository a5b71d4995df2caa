"""The worklist: which films there are, how far reading is, which comes next."""

from __future__ import annotations

from qtpy.QtCore import QModelIndex, Qt, QTimer
from qtpy.QtGui import QResizeEvent
from qtpy.QtWidgets import (
    QButtonGroup,
    QComboBox,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QProgressBar,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from napari_wsseg._widgets.canvas.bench import Workbench
from napari_wsseg._widgets.parts.connections import listen
from napari_wsseg._widgets.parts.formatting import subdued
from napari_wsseg._widgets.worklist.film_scores import FilmScores
from napari_wsseg._widgets.worklist.film_table import FilmTable
from napari_wsseg._widgets.worklist.learn_box import LearnBox
from napari_wsseg._widgets.worklist.model import COLUMNS, FILTERS, WorklistModel
from napari_wsseg.session.case_list import reading_order

_UNCERTAIN = COLUMNS.index("Uncertain")
_ORDERS = {1: reading_order.NAME, _UNCERTAIN: reading_order.UNCERTAIN}
"""Columns that there is an order of."""


class Worklist(QWidget):
    """Filter chips, search, order, the table, and the progress of reading."""

    def __init__(self, bench: Workbench) -> None:
        super().__init__()
        self.bench = bench
        self.session = bench.session
        self.model = WorklistModel(self.session)
        self.scores = FilmScores(bench, self.model)
        self.title = QLabel()
        self.title.setStyleSheet("font-weight: bold;")
        self.search = QLineEdit()
        self.search.setPlaceholderText("Search film, finding, split")
        self.search.setClearButtonEnabled(True)
        self.search.setToolTip(
            "Words of a film's name, findings or split, or the id that a report names "
            "it by  ( / )"
        )
        self.who = QPushButton()
        self.who.setToolTip(
            "Who reads, and whether other readers' masks are shown  (F2)"
        )
        self.agree = QPushButton("Agreement  F3")
        self.agree.setToolTip("How far readers of the same films agree")
        self.order = QComboBox()
        self.order.addItems(reading_order.ORDERS)
        self.order.setToolTip(
            "Most uncertain first: films where the adopted model hesitates most;\n"
            "those you saw today wait at the end.\n"
            "Readers disagree most: lowest Dice between readers who are both done.\n"
            "Machine differs most: lowest Dice of the last stage and the expert mask.\n"
            "Accepted, least likely first: accepted masks to look at again, by the\n"
            "likelihood of their worst pixels under the last stage.\n"
            "Random: the same shuffle each time, different for every reader.\n"
            "Next …: unread films first, a third of them negative; none of these has\n"
            "been shown to save time over the first, which is by chance."
        )
        # Longer names than the list is wide are read in the list that drops down.
        fixed = QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon
        self.order.setSizeAdjustPolicy(fixed)
        self.order.setMinimumContentsLength(12)
        self.chips = _chips(self)
        self.table = FilmTable(self.model)
        self.model.quiet = lambda: subdued(self.palette())
        self.empty = QLabel()
        self.empty.setWordWrap(True)
        self.empty.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.bar = QProgressBar()
        self.bar.setTextVisible(False)
        self.bar.setFixedHeight(6)
        self.progress = QLabel()
        self.pace = QLabel()
        self.pace.setStyleSheet("font-size: 11px;")
        self.pace.setToolTip(
            "Active seconds: the window in focus and hand or eye at work. A pause of\n"
            "more than 20 s is left out. As offered: masks that are the draft itself."
        )
        self.learning = LearnBox(self.session)
        self._lay_out()
        # A keystroke in the search field waits for the next one, then filters once.
        self._typed = QTimer(self)
        self._typed.setSingleShot(True)
        self._typed.setInterval(120)
        self._typed.timeout.connect(self._filter)
        self._connect()
        self._write_pace()
        self.session.measure_pace()
        self._on_project()

    # Building -----------------------------------------------------------------------

    def resizeEvent(self, event: QResizeEvent | None) -> None:
        """Give the names and findings what room there is."""
        super().resizeEvent(event)
        self.table.fit()

    def _lay_out(self) -> None:
        chips = QGridLayout()
        chips.setSpacing(3)
        for place, chip in enumerate(self.chips.buttons()):
            # Seven chips in two rows: four short ones, then the three long ones.
            row, column, span = ((0, place * 3, 3), (1, (place - 4) * 4, 4))[place > 3]
            chips.addWidget(chip, row, column, 1, span)
        order = QHBoxLayout()
        order.addWidget(QLabel("Order"))
        order.addWidget(self.order, 1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(6, 6, 6, 6)
        layout.setSpacing(5)
        layout.addWidget(self.title)
        who = QHBoxLayout()
        who.addWidget(self.who, 1)
        who.addWidget(self.agree)
        layout.addLayout(who)
        layout.addWidget(self.search)
        layout.addLayout(chips)
        layout.addLayout(order)
        layout.addWidget(self.table, 1)
        layout.addWidget(self.empty, 1)
        layout.addWidget(self.bar)
        layout.addWidget(self.progress)
        layout.addWidget(self.pace)
        layout.addWidget(self.learning)

    def _connect(self) -> None:
        session = self.session
        listen(self, self._on_project, session.project_changed)
        listen(self, self._on_case, session.case_changed)
        listen(self, self._on_status, session.status_changed, max_args=1)
        listen(self, self.scores.measure, session.stages_changed)
        listen(self, session.measure_pace, session.project_changed, session.decided)
        listen(self, self._write_pace, session.pace_changed)
        listen(self, self._on_edited, session.edited, max_args=1)
        self.search.textChanged.connect(lambda _: self._typed.start())
        self.search.returnPressed.connect(self.bench.focus_canvas)
        self.order.currentTextChanged.connect(self._reorder)
        self.who.clicked.connect(lambda: self.bench.reader_wanted.emit())
        self.agree.clicked.connect(lambda: self.bench.agreement_wanted.emit())
        listen(self, self._search, self.bench.search_wanted)
        self.chips.buttonClicked.connect(lambda _: self._filter())
        self.learning.box.clicked.connect(self.bench.focus_canvas)
        self.scores.reordered.connect(self._filter)
        self.scores.changed.connect(self._redraw)
        self.table.header_clicked.connect(self._sort)
        self.table.clicked.connect(self._clicked)
        self.table.activated.connect(self._clicked)

    # What happens -------------------------------------------------------------------

    def _on_project(self) -> None:
        project = self.session.project
        self.title.setText(project.name if project else "")
        self.title.setToolTip(str(project.folder) if project else "")
        self.model.forget()
        self.table.fit()
        self._follow_reader()
        self._filter()
        self.scores.measure()

    def _follow_reader(self) -> None:
        """Show who reads; a blind reader has no choice of order or of others' chips."""
        reading = self.session.reading
        suffixes = {"blind": " · BLIND", "adjudicate": " · adjudicates"}
        self.who.setText(f"{reading.reader}{suffixes.get(reading.mode, '')}  F2")
        # A study's films come by chance: an order by the machine would tell its mind.
        blind = reading.mode == "blind" or bool(reading.arm)
        wanted = reading_order.RANDOM if blind else self.model.order
        if reading.mode == "adjudicate":
            wanted = reading_order.READERS
        blocked = self.order.blockSignals(True)
        self.order.setCurrentText(wanted)
        self.order.blockSignals(blocked)
        self.order.setEnabled(not blind)
        self.model.order = wanted
        self.agree.setEnabled(not blind)
        for chip in self.chips.buttons():
            if chip.text() == "Disagree":
                chip.setEnabled(not blind)
                if blind and chip.isChecked():
                    self.chips.buttons()[0].setChecked(True)

    def _search(self) -> None:
        self.search.setFocus()
        self.search.selectAll()

    def _filter(self) -> None:
        chip = self.chips.checkedButton()
        self.model.filter = chip.text() if chip else "All"
        self.model.terms = self.search.text().strip()
        self.model.refresh()
        nothing = not self.model.shown
        self.table.setVisible(not nothing)
        self.empty.setVisible(nothing)
        self.empty.setText(self._why_nothing())
        self._mark()
        self._count()

    def _why_nothing(self) -> str:
        if self.session.reading.mode == "adjudicate" and not self.session.list.cases:
            return (
                "No film has been read by two others yet. Press F2 to read as "
                "somebody, blind, or wait until two are done with the same films."
            )
        if not self.session.list.cases:
            return "This project has no films yet: add some with “wsseg init”."
        chip = self.chips.checkedButton()
        if chip is not None and chip.text() == "Disagree" and not self.search.text():
            return (
                "No two readers who are done with the same film disagree. "
                "F2 lets a second reader read blind."
            )
        return "No film matches. Clear the search or press All."

    def _reorder(self, order: str) -> None:
        self.model.order, self.model.places = order, {}
        self.model.sort_by(None)
        self.table.horizontalHeader().setSortIndicatorShown(False)
        self._filter()
        self.scores.measure()
        self.bench.focus_canvas()

    def _on_case(self) -> None:
        case = self.session.case
        if case is not None:
            self.model.touch(case.id)
        self._mark()

    def _redraw(self) -> None:
        viewport = self.table.viewport()
        if viewport is not None:
            viewport.update()

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
        if case_id in self.session.list.unreadable:
            self.table.fit()  # a longer word than the usual ones
        self._count()
        self.scores.compare_readers()

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

    def _write_pace(self) -> None:
        self.pace.setText(self.session.pace)
        self.pace.setVisible(bool(self.session.pace))

    def _sort(self, column: int) -> None:
        """Sort by a column whose header was clicked; again: the other way; then not.

        A blind reader's order is not to be changed.
        """
        if self.order.isEnabled():
            wanted = _ORDERS.get(column)
            if wanted is not None and self.order.currentText() != wanted:
                self.order.setCurrentText(wanted)
            else:
                self._turn(column)
                self._filter()
        self.bench.focus_canvas()

    def _turn(self, column: int) -> None:
        """Sort by a column, the other way, or in the chosen order again."""
        usual, now = column == _UNCERTAIN, self.model.sorted_by
        down = usual
        if column in _ORDERS or (now is not None and now[0] == column):
            down = not usual
        again = now == (column, not usual)
        self.model.sort_by(None if again else column, down=down)
        header = self.table.horizontalHeader()
        header.setSortIndicatorShown(not again)
        up = Qt.SortOrder.AscendingOrder
        header.setSortIndicator(column, Qt.SortOrder.DescendingOrder if down else up)

    def _clicked(self, index: QModelIndex) -> None:
        if index.isValid():
            self.session.go_to(self.model.shown[index.row()])
        self.bench.focus_canvas()


def panel(bench: Workbench) -> QWidget:
    """Make the worklist of a workbench."""
    return Worklist(bench)


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

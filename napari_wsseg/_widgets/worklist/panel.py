"""The worklist: which films there are, how far reading is, which comes next."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from qtpy.QtCore import QModelIndex, Qt, QTimer
from qtpy.QtGui import QResizeEvent
from qtpy.QtWidgets import (
    QAbstractItemView,
    QApplication,
    QButtonGroup,
    QComboBox,
    QGridLayout,
    QHBoxLayout,
    QHeaderView,
    QLabel,
    QLineEdit,
    QProgressBar,
    QPushButton,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QTableView,
    QVBoxLayout,
    QWidget,
)

from napari_wsseg._widgets.canvas.bench import Workbench
from napari_wsseg._widgets.parts import preferences
from napari_wsseg._widgets.parts.connections import listen
from napari_wsseg._widgets.parts.formatting import subdued
from napari_wsseg._widgets.parts.worker_thread import Latest
from napari_wsseg._widgets.worklist import uncertainty as _uncertainty
from napari_wsseg._widgets.worklist.model import COLUMNS, FILTERS, WorklistModel
from napari_wsseg.schema import STAGES
from napari_wsseg.session.case_list import reading_order

_WIDTHS = (80, 112, 92, 84, 56, 44)
"""Of the columns, until they are given what room there is."""

_NARROWEST = 56
_LISTED = 96
"""Pixels that findings are given before longer names are."""
_NAMES = 220
"""Pixels of a name for which columns that matter less give way."""
_MEASURED = 400
"""Names, of thousands, by which the column is made wide enough."""

_Measure = Callable[[Path, str, str], dict[str, float]]

_MEASURES: Mapping[str, _Measure] = {
    reading_order.MACHINE: reading_order.machine_against_expert,
    reading_order.AGAIN: reading_order.accepted_again,
}
"""What an order goes by, where it is not how uncertain films are."""

_UNCERTAIN = COLUMNS.index("Uncertain")
_ORDERS = {1: reading_order.NAME, _UNCERTAIN: reading_order.UNCERTAIN}
"""Columns that there is an order of."""


def shared(names: Sequence[str]) -> tuple[str, str]:
    """Return what all names begin and end with, so long that leaving it out helps.

    Something of every name is left.
    """
    if len(names) < 2:
        return "", ""
    begin = _prefix(names)[: min(map(len, names)) - 1]
    end = _prefix([name[len(begin) + 1 :][::-1] for name in names])[::-1]
    return (begin if len(begin) > 2 else ""), (end if len(end) > 2 else "")


def _prefix(names: Sequence[str]) -> str:
    first, last = min(names), max(names)
    return first[: next((n for n, c in enumerate(first) if last[n : n + 1] != c), None)]


class Worklist(QWidget):
    """Filter chips, search, order, the table, and the progress of reading."""

    def __init__(self, bench: Workbench) -> None:
        super().__init__()
        self.bench = bench
        self.session = bench.session
        self.model = WorklistModel(self.session)
        self._scores = Latest(bench.scoring)
        self._compared = Latest(bench.scoring)
        self._sure = Latest(bench.scoring)
        self._placed = Latest(bench.scoring)
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
        self._fitting = False
        self._own_widths = preferences.widths()
        self.table = self._table()
        self.model.quiet = lambda: subdued(self.palette())
        self.empty = QLabel()
        self.empty.setWordWrap(True)
        self.empty.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.bar = QProgressBar()
        self.bar.setTextVisible(False)
        self.bar.setFixedHeight(6)
        self.progress = QLabel()
        self.pace = QLabel()
        self.pace.setStyleSheet("color: palette(mid); font-size: 11px;")
        self.pace.setToolTip(
            "Active seconds: the window in focus and hand or eye at work. A pause of\n"
            "more than 20 s is left out. As offered: masks that are the draft itself."
        )
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

    def _table(self) -> QTableView:
        table = QTableView()
        table.setModel(self.model)
        table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        table.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        # Tab leads on to the next control; arrows move within the list.
        table.setTabKeyNavigation(False)
        table.setShowGrid(False)
        table.setWordWrap(False)
        # Names of one series differ at their ends.
        table.setTextElideMode(Qt.TextElideMode.ElideMiddle)
        table.setItemDelegateForColumn(COLUMNS.index("Findings"), _Listed(table))
        table.verticalHeader().hide()
        table.verticalHeader().setDefaultSectionSize(24)
        # Measuring every row of thousands would take seconds: widths are set once.
        header = table.horizontalHeader()
        header.setSectionResizeMode(QHeaderView.ResizeMode.Interactive)
        header.setStretchLastSection(True)
        header.setDefaultAlignment(Qt.AlignmentFlag.AlignLeft)
        header.setSectionsClickable(True)
        header.setSectionsMovable(True)
        header.sectionClicked.connect(self._sort)
        header.sectionResized.connect(self._resized)
        for column, width in enumerate(_WIDTHS):
            table.setColumnWidth(column, width)
        table.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        return table

    # Widths -------------------------------------------------------------------------

    def resizeEvent(self, event: QResizeEvent | None) -> None:
        """Give the names and findings what room there is."""
        super().resizeEvent(event)
        self._fit()

    def _fit(self) -> None:
        """Let columns fill the table: names as long as they are, then findings.

        Widths that the reader set are kept, from sitting to sitting; what does not fit
        of a name is what all names share.
        """
        room = self.table.viewport()
        if room is None or self._fitting:
            return
        self._fitting = True
        kept = {**dict(enumerate(_WIDTHS)), **self._own_widths}
        names = self._some_names()
        metrics = self.table.fontMetrics()
        longest = max((metrics.horizontalAdvance(n) for n in names), default=0)
        wanted = min(longest + 14, _NAMES) + _LISTED
        left = room.width() - kept[0]
        for column in (3, 4, 5):
            # What matters least gives way first where there is little room.
            fits = left - kept[column] >= wanted
            self.table.setColumnHidden(column, not fits)
            left -= kept[column] if fits else 0
        left = max(left, 2 * _NARROWEST)
        film = self._own_widths.get(1, min(longest + 14, left - _LISTED))
        film = max(_NARROWEST, min(film, left - _NARROWEST))
        for column, width in {**kept, 1: film, 2: left - film}.items():
            self.table.setColumnWidth(column, width)
        begin, end = shared(names) if longest + 14 > film else ("", "")
        self.model.cut_names(begin, end)
        self._fitting = False

    def _some_names(self) -> list[str]:
        """Return names from both ends of a long list."""
        ids = list(self.session.list.cases)
        if len(ids) > _MEASURED:
            ids = ids[: _MEASURED // 2] + ids[-_MEASURED // 2 :]
        return [case.name for case in self.session.list.cases.many(ids)]

    def _resized(self, column: int, before: int, after: int) -> None:
        """Keep a width that the reader dragged."""
        mouse = QApplication.mouseButtons() & Qt.MouseButton.LeftButton
        if not self._fitting and mouse:
            self._own_widths[column] = after
            preferences.remember_widths(self._own_widths)

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

    def _connect(self) -> None:
        session = self.session
        listen(self, self._on_project, session.project_changed)
        listen(self, self._on_case, session.case_changed)
        listen(self, self._on_status, session.status_changed, max_args=1)
        listen(self, self._score, session.stages_changed)
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
        self.table.clicked.connect(self._clicked)
        self.table.activated.connect(self._clicked)

    # What happens -------------------------------------------------------------------

    def _on_project(self) -> None:
        project = self.session.project
        self.title.setText(project.name if project else "")
        self.title.setToolTip(str(project.folder) if project else "")
        self.model.forget()
        self._fit()
        self._follow_reader()
        self._filter()
        self._score()

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
        self.model.words = self.search.text().strip()
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
        self._score()
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
        self._score_readers()

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

    # Uncertainty --------------------------------------------------------------------

    def _score(self) -> None:
        """Work out, in the background, what the order on screen goes by."""
        session, project = self.session, self.session.project
        if project is None:
            return
        self._score_readers()
        folder, order, shown = project.folder, self.model.order, session.showing.shown
        ran = [(s, shown.runs[s]) for s in reversed(STAGES) if s in shown.runs]
        if order == reading_order.READERS:
            return
        if order in reading_order.NEXT:
            self._placed.submit(
                lambda: reading_order.next_films(folder, order),
                lambda found: self._take_places(order, *found),
                self._not_scored,
            )
        if not ran:
            self._scored(order, {})
            return
        stage, run = ran[0]
        # What the machine hesitates about is worth a glance in every other order.
        measure: _Measure = _uncertainty.scores
        if session.reading.mode != "blind":
            measure = _MEASURES.get(order, measure)
        self._scores.submit(
            lambda: measure(folder, stage, run),
            lambda scores: self._scored(order, scores),
            self._not_scored,
        )
        self._sure.submit(
            lambda: _uncertainty.least_sure(folder, stage, run),
            self._show_sure,
            self._not_scored,
        )

    def _show_sure(self, found: Mapping[str, tuple[str, float]]) -> None:
        self.model.least_sure = found
        self.table.viewport().update()

    def _score_readers(self) -> None:
        """Compare readers; of a blind reading nothing is compared."""
        project = self.session.project
        if project is None or self.session.reading.mode == "blind":
            return
        folder = project.folder
        self._compared.submit(
            lambda: reading_order.between_readers(folder), self._apart, self._not_scored
        )

    def _apart(self, found: Mapping[str, float]) -> None:
        if self.session.reading.mode == "blind":
            return
        changed = found != self.model.disagreeing
        self.model.disagreeing = found
        if self.model.order == reading_order.READERS:
            self._scored(reading_order.READERS, found)
        elif changed and self.model.filter == "Disagree":
            self._filter()

    def _scored(self, order: str, scores: Mapping[str, float]) -> None:
        if order != self.model.order or scores == self.model.scores:
            return
        self.model.scores = scores
        if order in (
            reading_order.UNCERTAIN,
            reading_order.READERS,
            reading_order.MACHINE,
            reading_order.AGAIN,
        ):
            self._filter()
        else:
            self.table.viewport().update()

    def _take_places(self, order: str, places: Mapping[str, float], why: str) -> None:
        if order == self.model.order and places != self.model.places:
            self.model.places = places
            self._filter()
            if why:
                self.session.message.emit(f"{why[0].upper()}{why[1:]}.")

    def _not_scored(self, error: Exception) -> None:
        self.session.message.emit(f"Films could not be ordered: {error}")


def panel(bench: Workbench) -> QWidget:
    """Make the worklist of a workbench."""
    return Worklist(bench)


class _Listed(QStyledItemDelegate):
    """Cuts a list of findings at its end, so that the first one can be read."""

    def initStyleOption(
        self, option: QStyleOptionViewItem | None, index: QModelIndex
    ) -> None:
        """Take what the table says, but for where the text is cut."""
        super().initStyleOption(option, index)
        if option is not None:
            option.textElideMode = Qt.TextElideMode.ElideRight


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

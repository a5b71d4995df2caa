"""The worklist as a table, quick with thousands of cases.

Nothing is read or drawn that is not on screen, and a filter is one pass over columns
of numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from qtpy.QtCore import QAbstractTableModel, QModelIndex, Qt
from qtpy.QtGui import QColor

from napari_wsseg.pipeline.agreement import SAME_DICE
from napari_wsseg.schema import Case
from napari_wsseg.session import Session
from napari_wsseg.session.case_list import reading_order
from napari_wsseg.session.case_list.reading_list import STATUSES

COLUMNS = ("Status", "Film", "Findings", "Uncertain", "Reader", "Split")
FILTERS = (
    "All",
    "To review",
    "Mine",
    "Flagged",
    "Disagree",
    "Accepted",
    "Has mask",
)

ICONS = {
    "to review": "○",
    "has mask": "◐",
    "accepted": "✓",
    "edited": "✎",
    "rejected": "✕",
    "flagged": "⚑",
    "adjudicated": "⚖",
    "unreadable": "⚠",
}
"""A sign beside every word of status, so that colour is never needed to tell it."""

_ROLES = frozenset(
    (
        Qt.ItemDataRole.DisplayRole,
        Qt.ItemDataRole.ToolTipRole,
        Qt.ItemDataRole.ForegroundRole,
    )
)
_PASSES = {
    chip: np.array([status in passing for status in STATUSES])
    for chip, passing in {
        "To review": ("",),
        "Accepted": ("accepted", "edited", "adjudicated"),
        "Flagged": ("flagged",),
    }.items()
}
"""By chip, whether each of `STATUSES` passes."""


_UNCERTAINTY = (
    "How unsure the network in use is whether the findings are there: 1.00 is a coin "
    "toss, 0.00 is certain of all, be they present or absent. p is the probability of "
    "the finding that it is least sure of. Click to put the most uncertain films first."
)
_DIFFERENCE = (
    "How far masks differ: 1 less the lowest Dice of a finding; of accepted masks, 1 "
    "less the soft minimum of their likelihood under the last stage."
)


class WorklistModel(QAbstractTableModel):
    """Cases of the session, filtered and ordered.

    Whatever is shown is also the order that next and previous follow.
    """

    def __init__(self, session: Session) -> None:
        super().__init__()
        self.session = session
        self.filter = "All"
        #: Returns the colour of films that are decided on.
        self.quiet: Callable[[], str] = lambda: "#78808b"
        self.terms = ""
        self.order = reading_order.NAME
        self.scores: Mapping[str, float] = {}
        #: Places in an order of `reading_order.NEXT`, which no column shows.
        self.places: Mapping[str, float] = {}
        #: The finding that the network is least sure of, and its probability.
        self.least_sure: Mapping[str, tuple[str, float]] = {}
        self.disagreeing: Mapping[str, float] = {}
        self.shown: Sequence[str] = ()
        self.sorted_by: tuple[int, bool] | None = None
        self.cut = ("", "")

    def forget(self) -> None:
        """Start anew with another list of cases."""
        self.scores, self.places, self.disagreeing = {}, {}, {}
        self.least_sure = {}

    def refresh(self) -> None:
        """Filter and order anew."""
        reading = self.session.list
        self.beginResetModel()
        self._show(self._passing())
        if self.sorted_by is not None:
            column, down = self.sorted_by
            keys = self._keys(reading.order, column)
            reading.set_order(sorted(reading.order, key=keys.__getitem__, reverse=down))
        self.shown = reading.order
        self.endResetModel()

    def sort_by(self, column: int | None, *, down: bool = False) -> None:
        """Sort by what a column shows, or in the chosen order again."""
        self.sorted_by = None if column is None else (column, down)

    def _keys(
        self, case_ids: Sequence[str], column: int
    ) -> dict[str, tuple[float, str]]:
        """Return what cases are sorted by, their rows read page by page."""
        scores = self.scores if column == 3 else {}
        return {
            case.id: (scores.get(case.id, -1.0), self._cell(case, column).casefold())
            for case in self.session.list.cases.many(case_ids)
        }

    def cut_names(self, begin: str, end: str) -> None:
        """Leave out what all names begin and end with."""
        if (begin, end) != self.cut:
            self.cut = begin, end
            self.dataChanged.emit(self.index(0, 1), self.index(len(self.shown) - 1, 1))

    def row_of(self, case_id: str) -> int:
        """Return the row of a case, or -1 when the filter hides it."""
        return self.session.list.place(case_id)

    def touch(self, case_id: str) -> None:
        """Draw one case's row again; it stays where it is until the next `refresh`."""
        row = self.row_of(case_id)
        if row >= 0:
            self.dataChanged.emit(self.index(row, 0), self.index(row, len(COLUMNS) - 1))

    def rowCount(self, parent: QModelIndex | None = None) -> int:
        """Return how many cases are shown."""
        return len(self.shown)

    def columnCount(self, parent: QModelIndex | None = None) -> int:
        """Return how many columns there are."""
        return len(COLUMNS)

    def headerData(
        self, section: int, orientation: Any, role: int = Qt.ItemDataRole.DisplayRole
    ) -> Any:
        """Return a column's title."""
        horizontal = orientation == Qt.Orientation.Horizontal
        if not horizontal:
            return None
        if role == Qt.ItemDataRole.DisplayRole:
            return "Difference" if section == 3 and self._apart() else COLUMNS[section]
        if role == Qt.ItemDataRole.ToolTipRole and section == 3:
            return _DIFFERENCE if self._apart() else _UNCERTAINTY
        return None

    def _apart(self) -> bool:
        return self.order in (
            reading_order.READERS,
            reading_order.MACHINE,
            reading_order.AGAIN,
        )

    def data(self, index: QModelIndex, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """Return what one cell shows."""
        # Qt asks for some ten roles of every cell it paints; most are not ours.
        if role not in _ROLES or not index.isValid() or index.row() >= len(self.shown):
            return None
        case = self.session.list.cases[self.shown[index.row()]]
        if role == Qt.ItemDataRole.DisplayRole:
            return self._cell(case, index.column())
        if role == Qt.ItemDataRole.ToolTipRole:
            return self._tip(case)
        if role == Qt.ItemDataRole.ForegroundRole:
            finished = self.session.list.is_finished(case.id)
            return QColor(self.quiet()) if finished else None
        return None

    def _cell(self, case: Case, column: int) -> str:
        if column == 0:
            status = self.session.list.status(case.id)
            return f"{ICONS[status]} {status}"
        if column == 1:
            begin, end = self.cut
            if not (case.name.startswith(begin) and case.name.endswith(end)):
                return case.name
            kept = case.name[len(begin) : len(case.name) - len(end)]
            return f"{'…' if begin else ''}{kept}{'…' if end else ''}"
        if column == 2:
            title = self.session.looking.title
            present = (f for f, label in case.labels.items() if label == 1)
            return ", ".join(map(title, present)) or "—"
        if column == 3:
            return self._uncertain(case.id)
        if column == 4:
            decision = self.session.list.decisions.get(case.id)
            return decision.reader if decision else ""
        return case.split

    def _uncertain(self, case_id: str) -> str:
        """Return how unsure the network is, and the probability that makes it so."""
        score, known = self.scores.get(case_id), self.least_sure.get(case_id)
        if score is None:
            return ""
        if known is None or self._apart():
            return f"{score:.2f}"
        return f"{score:.2f} · p {known[1]:.2f}"

    def _tip(self, case: Case) -> str:
        problem = self.session.list.unreadable.get(case.id)
        if problem:
            return f"{problem}\nClick to try again."
        title = self.session.looking.title
        drawn = map(title, self.session.list.annotated.get(case.id, ()))
        lines = [case.path, f"Expert masks: {', '.join(drawn) or 'none yet'}"]
        if case.id in self.session.list.pairs:
            lines.append("Read by " + " and ".join(self.session.list.pairs[case.id]))
        apart = self.disagreeing.get(case.id)
        if apart is not None:
            lines.append(f"Lowest Dice between readers: {1 - apart:.2f}")
        if (known := self.least_sure.get(case.id)) is not None:
            lines.append(
                f"Probability of {title(known[0])}, by the network: {known[1]:.2f}"
            )
        decision = self.session.list.decisions.get(case.id)
        if decision and decision.comment:
            lines.append(f"“{decision.comment}”")
        return "\n".join(lines)

    def _passing(self) -> NDArray[np.intp]:
        """Return the places of cases that the chip and the words let pass.

        They are in the order of files, or by chance where that is the order.
        """
        session, reading = self.session, self.session.list
        passing = np.arange(len(reading.cases))
        if self.order == reading_order.RANDOM:
            passing = reading.shuffled(session.reader)
        if self.filter != "All":
            passing = passing[self._chosen()[passing]]
        if terms := self.terms.split():
            passing = passing[self._found(terms)[passing]]
        return passing

    def _chosen(self) -> NDArray[np.bool_]:
        """Return by place which cases a chip lets pass."""
        reading, places = self.session.list, self.session.list.cases.places
        if self.filter == "Has mask":
            return reading.annotated.column(places)
        if self.filter == "Mine":
            return reading.mine.column(places)
        if self.filter == "Disagree":
            apart = self.disagreeing.items()
            return reading.cases.among(c for c, far in apart if far > 1 - SAME_DICE)
        return _PASSES[self.filter][reading.statuses()]

    def _found(self, terms: Sequence[str]) -> NDArray[np.bool_]:
        """Return which cases hold every word; findings only where they are shown."""
        session, project = self.session, self.session.project
        cases = session.list.cases
        if project is None:
            return np.zeros(len(cases), bool)
        if not session.labels_hidden:
            return cases.among_numbers(project.search_numbers(terms))
        # Labels that this reader gave herself are hers to look for.
        own = project.labels.own(session.reader)
        found = np.ones(len(cases), bool)
        for word in terms:
            named = cases.among(
                case_id
                for case_id, labels in own.items()
                if any(v == 1 and word.lower() in f.lower() for f, v in labels.items())
            )
            numbers = project.search_numbers([word], labels=False)
            found &= cases.among_numbers(numbers) | named
        return found

    def _show(self, places: NDArray[np.intp]) -> None:
        """Put cases in the chosen order."""
        session = self.session
        if self.order not in (reading_order.RANDOM, reading_order.NAME):
            next_ = self.order in reading_order.NEXT
            places = reading_order.in_order(
                session.list,
                places,
                self.order,
                reader=session.reader,
                scores=self.places if next_ else self.scores,
            )
        session.list.show(places)

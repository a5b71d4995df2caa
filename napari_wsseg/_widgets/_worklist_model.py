"""The worklist as a table, quick with thousands of cases.

Nothing is drawn that is not on screen, and a filter is one pass over plain lists.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

from qtpy.QtCore import QAbstractTableModel, QModelIndex, Qt
from qtpy.QtGui import QColor

from napari_wsseg.schema import Case
from napari_wsseg.session import Session

COLUMNS = ("Status", "Film", "Findings", "Reader", "Split")
FILTERS = ("All", "To review", "Accepted", "Flagged", "With expert mask")
ORDERS = ("Name", "Most uncertain first", "Random")

ICONS = {
    "to review": "○",
    "has mask": "◐",
    "accepted": "✓",
    "edited": "✎",
    "rejected": "✕",
    "flagged": "⚑",
    "unreadable": "⚠",
}
"""A sign beside every word of status, so that colour is never needed to tell it."""

_ACCEPTED = ("accepted", "edited")
_OPEN = ("to review", "has mask")


class WorklistModel(QAbstractTableModel):
    """Cases of the session, filtered and ordered.

    Whatever is shown is also the order that next and previous follow.
    """

    def __init__(self, session: Session) -> None:
        super().__init__()
        self.session = session
        self.filter = "All"
        self.words = ""
        self.order = "Name"
        self.scores: Mapping[str, float] = {}
        self.shown: list[str] = []
        self._rows: dict[str, int] = {}

    def refresh(self) -> None:
        """Filter and order anew."""
        self.beginResetModel()
        self.shown = self._ordered([c for c in self._cases() if self._passes(c)])
        self._rows = {case_id: row for row, case_id in enumerate(self.shown)}
        self.session.list.set_order(self.shown)
        self.endResetModel()

    def row_of(self, case_id: str) -> int:
        """Return the row of a case, or -1 when the filter hides it."""
        return self._rows.get(case_id, -1)

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
        if horizontal and role == Qt.ItemDataRole.DisplayRole:
            return COLUMNS[section]
        return None

    def data(self, index: QModelIndex, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """Return what one cell shows."""
        if not index.isValid() or index.row() >= len(self.shown):
            return None
        case = self.session.list.cases[self.shown[index.row()]]
        if role == Qt.ItemDataRole.DisplayRole:
            return self._cell(case, index.column())
        if role == Qt.ItemDataRole.ToolTipRole:
            return self._tip(case)
        if role == Qt.ItemDataRole.ForegroundRole:
            finished = self.session.list.is_finished(case.id)
            return QColor("#8a919c") if finished else None
        return None

    def _cell(self, case: Case, column: int) -> str:
        if column == 0:
            status = self.session.list.status(case.id)
            return f"{ICONS[status]} {status}"
        if column == 1:
            return case.name
        if column == 2:
            return ", ".join(f for f, label in case.labels.items() if label == 1) or "—"
        if column == 3:
            decision = self.session.list.decisions.get(case.id)
            return decision.reader if decision else ""
        return case.split

    def _tip(self, case: Case) -> str:
        problem = self.session.list.unreadable.get(case.id)
        if problem:
            return f"{problem}\nClick to try again."
        drawn = ", ".join(self.session.list.annotated.get(case.id, ())) or "none yet"
        score = self.scores.get(case.id)
        lines = [case.path, f"Expert masks: {drawn}"]
        if score is not None:
            lines.append(f"Uncertainty of the model: {score:.2f}")
        decision = self.session.list.decisions.get(case.id)
        if decision and decision.comment:
            lines.append(f"“{decision.comment}”")
        return "\n".join(lines)

    def _cases(self) -> list[str]:
        return list(self.session.list.cases)

    def _passes(self, case_id: str) -> bool:
        reading = self.session.list
        if self.words and not self._matches(reading.cases[case_id]):
            return False
        if self.filter == "All":
            return True
        if self.filter == "With expert mask":
            return case_id in reading.annotated
        status = reading.status(case_id)
        return {
            "To review": status in _OPEN,
            "Accepted": status in _ACCEPTED,
            "Flagged": status == "flagged",
        }[self.filter]

    def _matches(self, case: Case) -> bool:
        present = (f for f, label in case.labels.items() if label == 1)
        text = " ".join((case.path, case.split, *present)).lower()
        return all(word in text for word in self.words.lower().split())

    def _ordered(self, case_ids: list[str]) -> list[str]:
        if self.order == "Most uncertain first":
            return sorted(case_ids, key=lambda c: -self.scores.get(c, -1.0))
        if self.order == "Random":
            # By reader, so that two readers meet the films in different orders.
            rng = random.Random(self.session.reader)
            return rng.sample(case_ids, len(case_ids))
        return case_ids

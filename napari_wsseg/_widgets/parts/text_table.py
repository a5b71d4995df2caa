"""A read-only table of words that fits a narrow dock."""

from __future__ import annotations

from collections.abc import Sequence

from qtpy.QtCore import Qt, QTimer
from qtpy.QtWidgets import (
    QAbstractItemView,
    QHeaderView,
    QTableWidget,
    QTableWidgetItem,
)


class _Rows(QTableWidget):
    """Rows as high as their words, whatever width the columns come to have."""

    def __init__(self, rows: int, columns: int) -> None:
        super().__init__(rows, columns)
        self._due = QTimer(self, interval=0, singleShot=True)
        self._due.timeout.connect(self._fit)
        self.horizontalHeader().sectionResized.connect(self._resized)

    def _resized(self, column: int, before: int, after: int) -> None:
        self._due.start()

    def _fit(self) -> None:
        fit_row_heights(self)


def rows_table(heads: Sequence[str]) -> QTableWidget:
    """Return an empty table; a first heading of one sign makes a narrow column."""
    table = _Rows(0, len(heads))
    table.setHorizontalHeaderLabels(list(heads))
    table.verticalHeader().setVisible(False)
    table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
    table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
    table.setTabKeyNavigation(False)
    table.setWordWrap(True)
    table.setShowGrid(False)
    table.setMinimumHeight(110)
    table.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
    header = table.horizontalHeader()
    header.setSectionResizeMode(QHeaderView.ResizeMode.Stretch)
    if heads and heads[0] == "●":
        header.setSectionResizeMode(0, QHeaderView.ResizeMode.ResizeToContents)
        header.setSectionResizeMode(2, QHeaderView.ResizeMode.ResizeToContents)
    return table


def fill_table(
    table: QTableWidget, heads: Sequence[str], rows: Sequence[tuple[str, ...]]
) -> None:
    """Show `rows` under `heads`; what is cut off is told by its tooltip."""
    table.setColumnCount(len(heads))
    table.setHorizontalHeaderLabels(list(heads))
    table.setRowCount(len(rows))
    for row, texts in enumerate(rows):
        for column, word in enumerate(texts):
            item = QTableWidgetItem(word)
            item.setToolTip(word)
            table.setItem(row, column, item)
    fit_row_heights(table)


def fit_row_heights(table: QTableWidget) -> None:
    """Make every row as high as its words, and a little air."""
    table.resizeRowsToContents()
    for row in range(table.rowCount()):
        table.setRowHeight(row, table.rowHeight(row) + 6)

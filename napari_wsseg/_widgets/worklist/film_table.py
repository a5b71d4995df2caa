"""The worklist's table: columns that fill what room there is."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from qtpy.QtCore import QModelIndex, Qt, Signal
from qtpy.QtWidgets import (
    QAbstractItemView,
    QApplication,
    QHeaderView,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QTableView,
)

from napari_wsseg._widgets.parts import preferences
from napari_wsseg._widgets.worklist.model import COLUMNS, ICONS, WorklistModel
from napari_wsseg.session.case_list.reading_list import STATUSES

_WIDTHS = (80, 112, 92, 84, 56, 44)
"""Of the columns, until they are given what room there is."""

_NARROWEST = 56
_LISTED, _MOST_LISTED = 96, 160
"""Pixels that findings are given before longer names are: least, and most."""
_NAMES = 220
"""Pixels of a name for which columns that matter less give way."""
_MEASURED = 400
"""Names, of thousands, by which the column is made wide enough."""


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


class FilmTable(QTableView):
    """A row a film; no row is measured, as there may be thousands.

    Parameters
    ----------
    films
        The model, of one session's films.
    """

    header_clicked = Signal(int)

    def __init__(self, films: WorklistModel) -> None:
        super().__init__()
        self.films = films
        self._fitting = False
        self._own_widths = preferences.widths()
        self.setModel(films)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        # Tab leads on to the next control; arrows move within the list.
        self.setTabKeyNavigation(False)
        self.setShowGrid(False)
        self.setWordWrap(False)
        # Names of one series differ at their ends.
        self.setTextElideMode(Qt.TextElideMode.ElideMiddle)
        self.setItemDelegateForColumn(COLUMNS.index("Findings"), _Listed(self))
        self.verticalHeader().hide()
        self.verticalHeader().setDefaultSectionSize(24)
        # Measuring every row of thousands would take seconds: widths are set once.
        header = self.horizontalHeader()
        header.setSectionResizeMode(QHeaderView.ResizeMode.Interactive)
        header.setStretchLastSection(True)
        header.setDefaultAlignment(Qt.AlignmentFlag.AlignLeft)
        header.setSectionsClickable(True)
        header.setSectionsMovable(True)
        header.sectionClicked.connect(self.header_clicked)
        header.sectionResized.connect(self._resized)
        for column, width in enumerate(_WIDTHS):
            self.setColumnWidth(column, width)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)

    def fit(self) -> None:
        """Let columns fill the table: names as long as they are, then findings.

        Widths that the reader set are kept, from sitting to sitting; what does not fit
        of a name is what all names share.
        """
        room = self.viewport()
        if room is None or self._fitting:
            return
        self._fitting = True
        kept = {**dict(enumerate(self._usual_widths())), **self._own_widths}
        names = self._sampled_names()
        metrics = self.fontMetrics()
        longest = max((metrics.horizontalAdvance(n) for n in names), default=0)
        listed = self._width_of_findings()
        wanted = min(longest + 14, _NAMES) + listed
        left = room.width() - kept[0]
        for column in (3, 4, 5):
            # What matters least gives way first where there is little room.
            fits = left - kept[column] >= wanted
            self.setColumnHidden(column, not fits)
            left -= kept[column] if fits else 0
        left = max(left, 2 * _NARROWEST)
        listed = max(_LISTED, min(listed, left // 2))
        film = self._own_widths.get(1, min(longest + 14, left - listed))
        film = max(_NARROWEST, min(film, left - _NARROWEST))
        begin, end = shared(names) if longest + 14 > film else ("", "")
        if (begin or end) and 1 not in self._own_widths:
            # What is left of the names needs less: findings are given the rest.
            cut = longest - metrics.horizontalAdvance(begin + end) + 42
            film = max(_NARROWEST, min(film, cut))
        for column, width in {**kept, 1: film, 2: left - film}.items():
            self.setColumnWidth(column, width)
        self.films.cut_names(begin, end)
        self._fitting = False

    def _usual_widths(self) -> tuple[int, ...]:
        """Return the columns' widths, that of status by the words there are."""
        rare = [STATUSES[at] for at in np.unique(self.films.session.list.statuses())]
        metrics = self.fontMetrics()
        words = [f"{ICONS[status]} {status}" for status in rare if status in ICONS]
        longest = max((metrics.horizontalAdvance(word) for word in words), default=0)
        return max(_WIDTHS[0], longest + 8), *_WIDTHS[1:]

    def _width_of_findings(self) -> int:
        """Return what the longest finding needs, so that the first can be read."""
        metrics = self.fontMetrics()
        titles = [f.title for f in self.films.session.looking.findings]
        wide = max((metrics.horizontalAdvance(f"{t}, …") for t in titles), default=0)
        return min(max(_LISTED, wide + 14), _MOST_LISTED)

    def _sampled_names(self) -> list[str]:
        """Return names from both ends of a long list."""
        ids = list(self.films.session.list.cases)
        if len(ids) > _MEASURED:
            ids = ids[: _MEASURED // 2] + ids[-_MEASURED // 2 :]
        return [case.name for case in self.films.session.list.cases.many(ids)]

    def _resized(self, column: int, before: int, after: int) -> None:
        """Keep a width that the reader dragged."""
        mouse = QApplication.mouseButtons() & Qt.MouseButton.LeftButton
        if not self._fitting and mouse:
            self._own_widths[column] = after
            preferences.remember_widths(self._own_widths)


class _Listed(QStyledItemDelegate):
    """Cuts a list of findings at its end, so that the first one can be read."""

    def initStyleOption(
        self, option: QStyleOptionViewItem | None, index: QModelIndex
    ) -> None:
        """Take what the table says, but for where the text is cut."""
        super().initStyleOption(option, index)
        if option is not None:
            option.textElideMode = Qt.TextElideMode.ElideRight

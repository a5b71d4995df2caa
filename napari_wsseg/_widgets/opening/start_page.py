"""The empty window: one page in the middle, and no panel that could do nothing yet."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from qtpy.QtCore import QEvent, QObject, Qt
from qtpy.QtGui import QPainter, QPaintEvent
from qtpy.QtWidgets import QDockWidget, QHBoxLayout, QMainWindow, QWidget

from napari_wsseg._widgets.canvas.bench import Workbench
from napari_wsseg._widgets.opening.start import Start
from napari_wsseg._widgets.parts.connections import listen

_WIDTH = 460


class StartPage(QWidget):
    """Lies over the canvas while no project is open; panels come when one is.

    Parameters
    ----------
    docks
        Panels that are hidden meanwhile, with napari's own.
    settle
        Shares the window's width out again once they have come.
    """

    def __init__(
        self,
        bench: Workbench,
        window: QMainWindow,
        docks: Sequence[QDockWidget],
        settle: Callable[[], object],
    ) -> None:
        super().__init__(window.centralWidget())
        self.bench, self._docks, self._settle = bench, list(docks), settle
        self.start = Start(bench)
        self.start.setMaximumWidth(_WIDTH)
        self.setAcceptDrops(True)
        self.dragEnterEvent = self.start.dragEnterEvent
        self.dropEvent = self.start.dropEvent
        layout = QHBoxLayout(self)
        layout.addStretch(1)
        layout.addWidget(self.start, 2)
        layout.addStretch(1)
        centre = self.parentWidget()
        if centre is not None:
            centre.installEventFilter(self)
        listen(self, self._turn, bench.session.project_changed)
        self._turn()

    def paintEvent(self, event: QPaintEvent | None) -> None:
        """Hide the canvas behind."""
        painter = QPainter(self)
        painter.fillRect(self.rect(), self.palette().window())
        painter.end()

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        """Be as large as the canvas."""
        if event is not None and event.type() == QEvent.Type.Resize:
            self._fit()
        return False

    def _fit(self) -> None:
        centre = self.parentWidget()
        if centre is not None:
            self.setGeometry(centre.rect())

    def _turn(self) -> None:
        if self.bench.closed:
            return
        empty = self.bench.session.project is None
        for dock in self._docks:
            dock.setVisible(not empty)
        if empty:
            self.start.refresh()
            self._fit()
            self.raise_()
            self.show()
            self.start.new.setFocus(Qt.FocusReason.OtherFocusReason)
        elif self.isVisible():
            self.hide()
            self._settle()

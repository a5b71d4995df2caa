"""Loss and validation figures of a training, drawn while they come."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable

import numpy as np
import pyqtgraph as pg
from numpy.typing import NDArray
from qtpy.QtCore import QEvent, Qt, QTimer
from qtpy.QtGui import QColor, QPalette
from qtpy.QtWidgets import QLabel, QVBoxLayout, QWidget

from napari_wsseg._widgets.parts.formatting import colours, format_metric, metric_name
from napari_wsseg._widgets.parts.static_plot import still_plot
from napari_wsseg._widgets.processes.events import Step
from napari_wsseg.protocol import metrics_alone

#: Figures that are no measure of how well it goes.
_NOT_DRAWN = frozenset(
    {"learning_rate", "lr", "epoch", "seconds", "n_val", "expert_share"}
)

MOST_POINTS = 2000
MARGIN = 0.03
"""Of an axis of shares, so that a line at 1 is seen whole."""


class Curves(QWidget):
    """Two small plots over the same steps: loss above, validation below.

    The words above each plot name its lines and their newest values, so that nothing
    has to be read off an axis.
    """

    def __init__(self) -> None:
        super().__init__()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2)
        self.loss = _Plot("Loss: falls while it learns")
        self.validation = _Plot("Figures on held-out films: rise while it learns")
        self.validation.keep_to_shares()
        self._turns = [self.validation, self.loss]
        for plot in (self.loss, self.validation):
            layout.addWidget(plot.label)
            layout.addWidget(plot.canvas)
        self._due = QTimer(self, interval=300, singleShot=True)
        self._due.timeout.connect(self.draw)
        self.clear()

    def clear(self) -> None:
        """Begin another run."""
        for plot in (self.loss, self.validation):
            plot.series.clear()
        self.draw()

    def add(self, steps: Iterable[Step]) -> None:
        """Take the figures of some steps, for the next `draw`."""
        for step in steps:
            for name, value in metrics_alone(step.metrics).items():
                if name not in _NOT_DRAWN:
                    plot = self.loss if "loss" in name else self.validation
                    plot.series.setdefault(name, _Series()).add(step.step, value)
                    plot.fresh = True

    def draw_next(self) -> None:
        """Draw one plot that has new points, the other the next time."""
        waiting = [plot for plot in self._turns if plot.fresh]
        if any(plot.canvas.isHidden() for plot in waiting):
            self.draw()
        elif waiting:
            # To the end of the queue, or one that always has news keeps the other out.
            self._turns.remove(waiting[0])
            self._turns.append(waiting[0])
            self._draw(waiting[:1])

    def say(self) -> None:
        """Bring the words above the plots up to what is known."""
        for plot in (self.loss, self.validation):
            plot.say()

    def draw(self) -> None:
        """Bring both plots and their words up to what is known."""
        self._draw([self.loss, self.validation])
        self.say()

    def _draw(self, plots: list[_Plot]) -> None:
        text = self.palette().color(QPalette.ColorRole.WindowText)
        ground = self.palette().color(QPalette.ColorRole.Window)
        for plot in plots:
            plot.fresh = False
            plot.draw(text, ground)
            plot.label.setVisible(bool(plot.series))
            plot.canvas.setVisible(bool(plot.series))

    def changeEvent(self, event: QEvent) -> None:
        """Follow a change between light and dark."""
        super().changeEvent(event)
        kinds = (QEvent.Type.StyleChange, QEvent.Type.PaletteChange)
        if event.type() in kinds and hasattr(self, "_due"):
            self._due.start()

    def showEvent(self, event: QEvent) -> None:
        """Take the colours of the window that it has been put in."""
        super().showEvent(event)
        self.draw()


class _Series:
    """Points of one line; every second one is dropped when there are too many.

    A step that was there before is one that is trained again, from the last saved
    state: what came after it counts no more.
    """

    def __init__(self) -> None:
        self.steps: list[float] = []
        self.values: list[float] = []

    def add(self, step: float, value: float) -> None:
        if self.steps and step <= self.steps[-1]:
            kept = bisect_left(self.steps, step)
            del self.steps[kept:], self.values[kept:]
        self.steps.append(step)
        self.values.append(value)
        if len(self.steps) > MOST_POINTS:
            self.steps = [*self.steps[:-1:2], step]
            self.values = [*self.values[:-1:2], value]

    def smooth(self, span: int) -> NDArray[np.float64]:
        """Return the running mean over `span` points, shorter at the ends."""
        values = np.asarray(self.values, float)
        ends = np.minimum(np.arange(len(values)) + 1, span)
        sums = np.cumsum(values)
        before = np.concatenate([np.zeros(span), sums])[: len(values)]
        smoothed: NDArray[np.float64] = (sums - before) / ends
        return smoothed


class _Plot:
    """One plot and the words above it."""

    def __init__(self, tooltip: str) -> None:
        self.series: dict[str, _Series] = {}
        self.fresh = self._shares = False
        self.label = QLabel()
        self.label.setTextFormat(Qt.TextFormat.RichText)
        self.label.setWordWrap(True)
        self.label.setToolTip(tooltip)
        self.text = ""
        self.colours: tuple[QColor, QColor] | None = None
        self._palette = colours(True)
        self.canvas = still_plot(104)
        item = self.canvas.getPlotItem()
        item.getAxis("bottom").setHeight(18)
        self._lines: dict[str, pg.PlotDataItem] = {}
        self._faint: dict[str, pg.PlotDataItem] = {}

    def keep_to_shares(self) -> None:
        """Show figures of 0 to 1: no number beyond, little made of the least change."""
        self._shares = True
        self._view().setLimits(minYRange=0.002)

    def draw(self, text: QColor, ground: QColor) -> None:
        self._palette = palette = colours(ground.lightness() < 128)
        if self.colours != (text, ground):
            self.colours = text, ground
            self.canvas.setBackground(ground)
            for side in ("left", "bottom"):
                axis = self.canvas.getPlotItem().getAxis(side)
                axis.setPen(pg.mkPen(text))
                axis.setTextPen(pg.mkPen(text))
        for index, (name, series) in enumerate(self.series.items()):
            self._draw_line(name, series, palette[index % len(palette)])
        for name in [name for name in self._lines if name not in self.series]:
            self.canvas.removeItem(self._lines.pop(name))
            self.canvas.removeItem(self._faint.pop(name))
        if self._shares:
            # A recipe from elsewhere may have figures that are no shares.
            values = [value for one in self.series.values() for value in one.values]
            shares = all(0 <= value <= 1 for value in values)
            low, high = (-MARGIN, 1 + MARGIN) if shares else (None, None)
            self._view().setLimits(yMin=low, yMax=high)
        # Left to the drawing itself, a new range would draw everything a second time.
        self._view().updateAutoRange()

    def _view(self) -> pg.ViewBox:
        return self.canvas.getPlotItem().getViewBox()

    def say(self) -> None:
        texts = []
        for index, (name, series) in enumerate(self.series.items()):
            colour = self._palette[index % len(self._palette)]
            value = format_metric(series.values[-1])
            patch = f'<span style="color:{colour}">■</span>'
            texts.append(f"{patch}&nbsp;{metric_name(name)} {value}")
        text = "&nbsp;&nbsp; ".join(texts)
        if text != self.text:
            self.text = text
            self.label.setText(text)

    def _draw_line(self, name: str, series: _Series, colour: str) -> None:
        if name not in self._lines:
            self._faint[name] = self.canvas.plot()
            self._lines[name] = self.canvas.plot(antialias=True)
        line, faint = self._lines[name], self._faint[name]
        dense = len(series.values) > 40
        span = max(1, len(series.values) // 20) if dense else 1
        line.setPen(pg.mkPen(colour, width=2))
        line.setSymbol(None if dense else "o")
        line.setSymbolSize(5)
        line.setSymbolBrush(colour)
        line.setSymbolPen(None)
        line.setData(series.steps, series.smooth(span))
        # Single batches scatter; they stay visible behind the running mean.
        pale = QColor(colour)
        pale.setAlpha(70)
        faint.setPen(pg.mkPen(pale, width=1))
        faint.setData(*((series.steps, series.values) if dense else ([], [])))

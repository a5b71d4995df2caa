"""What a sweep has found so far, drawn while it fills."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
import pyqtgraph as pg
from qtpy.QtCore import QEvent, Qt
from qtpy.QtGui import QColor, QPalette
from qtpy.QtWidgets import QComboBox, QHBoxLayout, QLabel, QVBoxLayout, QWidget

from napari_wsseg._widgets.parts.formatting import legible, metric_name
from napari_wsseg._widgets.parts.share_slider import WrappedLabel
from napari_wsseg._widgets.parts.static_plot import still_plot
from napari_wsseg.io import sweeps
from napari_wsseg.jobs import DataError, counted
from napari_wsseg.schema import PALETTE

#: Row of a sweep's table that is the mean over findings.
MEAN = "mean over findings"
METRICS = ("pos_iou", "dice", "all_iou", "pooled_miou", "emptiness")

#: Values at their own place on an axis of some 250 pixels, each with its number below.
_MOST_IN_A_ROW = 10


def read(folder: Path) -> dict[str, Any] | None:
    """Return what ``sweep.json`` holds, or ``None`` where there is no readable one."""
    try:
        state = sweeps.read(folder)
        return state if state["summary"] else None
    except DataError:
        return None


class SweepPlot(QWidget):
    """Mean and spread over trials against the swept setting, and a line per finding."""

    def __init__(self) -> None:
        super().__init__()
        self._state: dict[str, Any] | None = None
        self._setting = ""
        self.metric, self.split = QComboBox(), QComboBox()
        for name in METRICS:
            self.metric.addItem(metric_name(name), name)
        self.metric.setAccessibleName("Figure that is drawn")
        self.split.setAccessibleName("Films that are scored")
        for combo in (self.metric, self.split):
            combo.setToolTip(combo.accessibleName())
            combo.currentIndexChanged.connect(self.draw)
        row = QHBoxLayout()
        row.addWidget(self.metric, 1)
        row.addWidget(self.split, 1)
        self.legend = QLabel()
        self.legend.setTextFormat(Qt.TextFormat.RichText)
        self.legend.setWordWrap(True)
        self.canvas = still_plot(170)
        # Or a share p is told in thousandths, as "p (x0.001)".
        axis = self.canvas.getPlotItem().getAxis("bottom")
        axis.enableAutoSIPrefix(False)
        # Room for the numbers below the first value and the last.
        self.canvas.getPlotItem().getViewBox().setDefaultPadding(0.1)
        self.label = WrappedLabel()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addLayout(row)
        for widget in (self.legend, self.canvas, self.label):
            layout.addWidget(widget)

    def show_folder(self, folder: Path | None, setting: str = "") -> None:
        """Draw what a sweep's folder holds; nothing where there is none yet.

        `setting` is what the swept setting is called, if not by its key.
        """
        self._setting = setting
        self._state = read(folder) if folder is not None else None
        self.setVisible(self._state is not None)
        if self._state is None:
            return
        splits = list(self._state["splits"])
        if [self.split.itemData(n) for n in range(self.split.count())] != splits:
            self.split.clear()
            for split in splits:
                self.split.addItem(f"on {split} films", split)
            self.split.setCurrentIndex(len(splits) - 1)
        self.draw()

    def draw(self) -> None:
        """Bring the plot up to what is known."""
        state = self._state
        if state is None or self.split.currentData() is None:
            return
        metric, split = self.metric.currentData(), self.split.currentData()
        rows = [row for row in state["summary"] if row["split"] == split]
        values = list(dict.fromkeys(row["value"] for row in rows))
        places = _places(values)
        ground = self.palette().color(QPalette.ColorRole.Window)
        text = self.palette().color(QPalette.ColorRole.WindowText)
        setting = self._setting or str(state["key"]).replace("_", " ")
        self._ready(ground, text, setting, values, places)
        names = [MEAN, *(n for n in _findings(rows) if n != MEAN)]
        legend = []
        for index, name in enumerate(names):
            mine = [row for row in rows if row["finding"] == name]
            own = PALETTE[(index - 1) % len(PALETTE)]
            colour = text.name() if name == MEAN else legible(own, ground)
            self._draw_line(mine, metric, places, colour, heavy=name == MEAN)
            legend.append(f'<span style="color:{colour}">■</span>&nbsp;{escape(name)}')
        self.legend.setText("&nbsp;&nbsp; ".join(legend))
        self.label.setText(_best(rows, metric, setting))

    def changeEvent(self, event: QEvent) -> None:
        """Follow a change between light and dark."""
        super().changeEvent(event)
        if event.type() in (QEvent.Type.StyleChange, QEvent.Type.PaletteChange):
            self.draw() if hasattr(self, "label") else None

    def _ready(
        self,
        ground: QColor,
        text: QColor,
        setting: str,
        values: Sequence[Any],
        places: Mapping[Any, float],
    ) -> None:
        self.canvas.clear()
        self.canvas.setBackground(ground)
        item = self.canvas.getPlotItem()
        for side in ("left", "bottom"):
            item.getAxis(side).setPen(pg.mkPen(text))
            item.getAxis(side).setTextPen(pg.mkPen(text))
        item.getAxis("bottom").setTicks([[(places[v], str(v)) for v in values]])
        item.setLabel("bottom", setting)
        # Put 5 pixels lower than its margin of 4 allows, a g would be cut.
        item.getAxis("bottom").label.document().setDocumentMargin(6)

    def _draw_line(
        self,
        rows: Sequence[Mapping[str, Any]],
        metric: str,
        places: Mapping[Any, float],
        colour: str,
        *,
        heavy: bool,
    ) -> None:
        known = [row for row in rows if row[metric]["mean"] is not None]
        if not known:
            return
        known.sort(key=lambda row: places[row["value"]])
        x = np.array([places[row["value"]] for row in known], float)
        y = np.array([row[metric]["mean"] for row in known], float)
        std = np.array([row[metric]["spread"] or 0.0 for row in known], float)
        pen = pg.mkPen(colour, width=3 if heavy else 1)
        if heavy and std.any():
            beam = 0.02 * (np.ptp(list(places.values())) or 1.0)
            bars = pg.ErrorBarItem(x=x, y=y, height=2 * std, beam=beam, pen=pen)
            self.canvas.addItem(bars)
        self.canvas.plot(
            x,
            y,
            pen=pen,
            symbol="o",
            symbolSize=8 if heavy else 5,
            symbolBrush=colour,
            symbolPen=None,
            antialias=True,
        )


def _places(values: Sequence[Any]) -> dict[Any, float]:
    """Return where values stand on the axis: numbers at their place, words in turn.

    Numbers that would crowd, such as 0.001, 0.01 and 0.1, stand in turn as well.
    """
    if all(isinstance(value, (int, float)) for value in values):
        values = sorted(values)
        gaps = np.diff(values)
        if not gaps.size or gaps.min() >= (values[-1] - values[0]) / _MOST_IN_A_ROW:
            return {value: float(value) for value in values}
    return {value: float(place) for place, value in enumerate(values)}


def _findings(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    return list(dict.fromkeys(row["finding"] for row in rows))


def _best(rows: Sequence[Mapping[str, Any]], metric: str, key: str) -> str:
    """Say which value does best so far, and on how many trials that rests."""
    known = [
        row
        for row in rows
        if row["finding"] == MEAN and row[metric]["mean"] is not None
    ]
    if not known:
        return "No figure yet"
    best = max(known, key=lambda row: row[metric]["mean"])
    cell = best[metric]
    std = "" if cell["spread"] is None else f" ± {cell['spread']:.3f}"
    trials = counted(best["trials"], "trial")
    return (
        f"Best so far at {key} = {best['value']}: {metric_name(metric)} "
        f"{cell['mean']:.3f}{std} over {trials}"
    )

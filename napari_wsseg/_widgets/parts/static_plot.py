"""A small plot that is only looked at."""

from __future__ import annotations

import pyqtgraph as pg
from qtpy.QtCore import Qt


def still_plot(height: int) -> pg.PlotWidget:
    """Return a plot of a fixed height in pixels that takes no mouse and no keys.

    The wheel scrolls the panel; a plot this small has nothing to zoom into.
    """
    canvas = pg.PlotWidget()
    canvas.setFixedHeight(height)
    canvas.setMinimumWidth(120)
    canvas.setFrameShape(pg.PlotWidget.Shape.NoFrame)
    canvas.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
    canvas.setFocusPolicy(Qt.FocusPolicy.NoFocus)
    item = canvas.getPlotItem()
    item.setMenuEnabled(False)
    item.hideButtons()
    item.showGrid(x=False, y=True, alpha=0.25)
    # Wide enough for 0.0125; a number that does not fit is not written at all.
    item.getAxis("left").setWidth(50)
    return canvas

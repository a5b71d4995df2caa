"""What colours and lines on the film mean: the heat's scale, outline and fill."""

from __future__ import annotations

import numpy as np
from qtpy.QtCore import QPointF, QRectF, QSize, Qt
from qtpy.QtGui import QColor, QLinearGradient, QPainter, QPaintEvent, QPen
from qtpy.QtWidgets import QSizePolicy, QWidget

from napari_wsseg._widgets.canvas import thumbnails as _thumbnails
from napari_wsseg._widgets.canvas.bench import Workbench
from napari_wsseg._widgets.canvas.layer_set import STAGE_NAMES
from napari_wsseg._widgets.parts.connections import listen
from napari_wsseg.schema import STAGES

_BAR = 10


_SEED = ("background", "undecided", "finding")
"""What the three values of a seed are called, the lowest first."""


class Legend(QWidget):
    """A bar of the heat from 0 to 1 with the threshold on it; a line and a fill."""

    def __init__(self, bench: Workbench) -> None:
        super().__init__()
        self.bench, self.session = bench, bench.session
        self._stepped: tuple[tuple[object, ...], bool] = ((), False)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setToolTip(
            "The brighter, the surer the stage is of the current finding; the mark is "
            "the threshold, where the outline runs.\nOutlines are the machine's, fills "
            "are masks that a reader drew or approved. The numbers are those of the "
            "findings below."
        )
        looking = self.session.looking
        listen(
            self,
            self._follow,
            looking.view_changed,
            looking.threshold_changed,
            looking.finding_changed,
            self.session.case_changed,
            self.session.stages_changed,
        )

    def _follow(self) -> None:
        self.update()

    def sizeHint(self) -> QSize:
        """Return room for the bar and two lines of text."""
        return QSize(280, _BAR + 2 * self.fontMetrics().lineSpacing() + 10)

    def captions(self) -> tuple[str, str, str]:
        """Return what stands under the bar: at its left, its middle, its right."""
        looking = self.session.looking
        stage, finding = looking.view, looking.finding
        if stage not in self.session.stages() or finding is None:
            return "", "", ""
        if stage == "crf" and stage in self.bench.layers.covered:
            return "", "", ""  # its seed is shown, of three values, not its heat
        if self.is_stepped():
            return _SEED
        cut = looking.drafts.threshold(stage, finding.name)
        return "0", f"{STAGE_NAMES[stage]} · cut {cut:.2f}", "1"

    def paintEvent(self, event: QPaintEvent | None) -> None:
        """Draw it."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        line = self.fontMetrics().lineSpacing()
        left, middle, right = self.captions()
        below = QRectF(0, _BAR + 3, self.width(), line)
        if middle:
            self._bar(painter)
            for text, side in (
                (left, Qt.AlignmentFlag.AlignLeft),
                (middle, Qt.AlignmentFlag.AlignHCenter),
                (right, Qt.AlignmentFlag.AlignRight),
            ):
                painter.setPen(self.palette().windowText().color())
                painter.drawText(below, side, text)
        self._signs(painter, _BAR + line + 6)
        painter.end()

    def is_stepped(self) -> bool:
        """Whether the map shown has three values at most, as a CRF's seed."""
        looking, opened = self.session.looking, self.session.opened
        if opened is None or looking.finding is None or looking.view != "crf":
            return False
        key = (opened.case.id, opened.shown.runs.get("crf"), looking.finding.name)
        if self._stepped[0] != key:
            score = looking.drafts.score(
                opened.maps["crf"], "crf", looking.finding.name
            )
            few = score is not None and len(np.unique(score)) <= len(_SEED)
            self._stepped = key, few
        return self._stepped[1]

    def _steps(self, painter: QPainter) -> None:
        """Draw the three values of a seed, each with its word."""
        wide = self.width() / len(_SEED)
        for place, value in enumerate((0.0, 0.5, 1.0)):
            red, green, blue, alpha = _thumbnails.HEAT[
                round(value * (len(_thumbnails.HEAT) - 1))
            ]
            box = QRectF(place * wide, 0, wide - 4, _BAR)
            painter.fillRect(box, QColor("#404040"))
            colour = QColor.fromRgbF(float(red), float(green), float(blue))
            colour.setAlphaF(float(alpha))
            painter.fillRect(box, colour)

    def _bar(self, painter: QPainter) -> None:
        if self.is_stepped():
            self._steps(painter)
            return
        bar = QRectF(0, 0, self.width(), _BAR)
        painter.fillRect(bar, QColor("#404040"))
        shades = QLinearGradient(QPointF(0, 0), QPointF(self.width(), 0))
        for place, (red, green, blue, alpha) in enumerate(_thumbnails.HEAT):
            colour = QColor.fromRgbF(*(float(v) for v in (red, green, blue, alpha)))
            shades.setColorAt(place / (len(_thumbnails.HEAT) - 1), colour)
        painter.fillRect(bar, shades)
        looking = self.session.looking
        if looking.finding is not None and looking.view in STAGES:
            cut = looking.drafts.threshold(looking.view, looking.finding.name)
            x = cut * self.width()
            for colour, wide in (("black", 4), ("white", 2)):
                painter.setPen(QPen(QColor(colour), wide))
                painter.drawLine(QPointF(x, 0), QPointF(x, _BAR))

    def _signs(self, painter: QPainter, top: float) -> None:
        finding = self.session.looking.finding
        colour = QColor(finding.colour if finding else "#808080")
        line, metrics = self.fontMetrics().lineSpacing(), self.fontMetrics()
        x = 1.0
        for filled, text in ((False, "machine: outline"), (True, "expert: fill")):
            pale = QColor(colour)
            pale.setAlphaF(0.5)
            painter.setBrush(pale if filled else Qt.BrushStyle.NoBrush)
            painter.setPen(Qt.PenStyle.NoPen if filled else QPen(colour, 2))
            painter.drawRect(QRectF(x + 1, top + 2, 14, line - 5))
            painter.setPen(self.palette().windowText().color())
            wide = metrics.horizontalAdvance(text)
            painter.drawText(
                QRectF(x + 20, top, wide + 2, line), Qt.AlignmentFlag.AlignLeft, text
            )
            x += 20 + wide + 16

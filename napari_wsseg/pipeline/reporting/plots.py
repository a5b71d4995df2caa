"""Small plots drawn without a plotting library: lines with spread, as PNG."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw, ImageFont

from napari_wsseg.io import atomic
from napari_wsseg.schema import PALETTE

#: The row of a sweep's table that is the average over findings.
MEAN = "mean over findings"

WIDTH, HEIGHT = 900, 540

#: Drawn this much larger, then made small: that is what smooths the lines.
_FINE = 2

_LEFT, _RIGHT, _TOP, _BOTTOM = 60, 210, 40, 60


@dataclass(frozen=True, slots=True)
class PlotLine:
    """Points of one curve: place on the axis, mean, and spread or ``None``."""

    name: str
    colour: str
    points: tuple[tuple[float, float, float | None], ...]
    bold: bool = False


def lines(
    title: str,
    across: str,
    ticks: Sequence[tuple[float, str]],
    curves: Sequence[PlotLine],
) -> bytes:
    """Return a PNG of curves, each point with a bar of ± its spread.

    Parameters
    ----------
    title, across
        Above the curves, and below the horizontal axis.
    ticks
        Places on the horizontal axis, and what is written under them.
    curves
        The curves; all share the axes.
    """
    sheet = Image.new("RGB", (WIDTH * _FINE, HEIGHT * _FINE), "white")
    pen = _Pen(sheet, [place for place, _ in ticks], _ceiling(curves))
    pen.axes(title, across, ticks)
    for number, line in enumerate(curves):
        pen.line(line, number)
    data = io.BytesIO()
    sheet.resize((WIDTH, HEIGHT), Image.Resampling.LANCZOS).save(
        data, "PNG", optimize=True
    )
    return data.getvalue()


def sweep_plot(path: Path, state: Mapping[str, Any], metric: str = "pos_iou") -> None:
    """Write the plot of a sweep's test figures: one curve a finding, and their mean.

    Values that are no numbers stand side by side in their order.

    Parameters
    ----------
    path
        File of the PNG; replaced if it is there.
    state
        What ``sweep.json`` holds.
    metric
        One of `napari_wsseg.ops.tally.METRICS`.
    """
    values = list(state["values"])
    numbers = all(isinstance(v, (int, float)) for v in values) and not any(
        isinstance(v, bool) for v in values
    )
    place = {v: float(v) if numbers else float(n) for n, v in enumerate(values)}
    rows = [row for row in state["summary"] if row["split"] == "test"]
    names = list(dict.fromkeys(row["finding"] for row in rows))
    single = len(names) == 2  # its mean over findings is the finding itself
    curves = [
        PlotLine(
            name,
            "#222222" if n == 0 else PALETTE[(n - 1) % len(PALETTE)],
            tuple(
                (place[row["value"]], row[metric]["mean"], row[metric]["spread"])
                for row in sorted(rows, key=lambda row: place[row["value"]])
                if row["finding"] == name and row[metric]["mean"] is not None
            ),
            bold=n == 0,
        )
        for n, name in enumerate(names)
        if not (single and n == 0)
    ]
    png = lines(
        f"{state['recipe']}: test {metric}, mean and spread of "
        f"{state['trials']} trials",
        state["key"],
        [(place[value], str(value)) for value in values],
        curves,
    )
    atomic.write(path, lambda file: file.write(png))


class _Pen:
    """Draws in plot coordinates."""

    def __init__(self, sheet: Image.Image, places: Sequence[float], top: float) -> None:
        self._draw = ImageDraw.Draw(sheet)
        self._font = ImageFont.load_default(14 * _FINE)
        low, high = min(places), max(places)
        self._low, self._span = low, (high - low) or 1.0
        self._top = top

    def axes(self, title: str, across: str, ticks: Sequence[tuple[float, str]]) -> None:
        left, right = _LEFT, WIDTH - _RIGHT
        self._text(left, 10, title)
        for step in range(6):
            value = self._top * step / 5
            y = self._y(value)
            self._stroke([(left, y), (right, y)], "#dddddd", 1)
            self._text(left - 40, y - 8, f"{value:.2f}")
        for place, name in ticks:
            self._text(self._x(place) - 4 * len(name), HEIGHT - _BOTTOM + 8, name)
        self._text((left + right) / 2, HEIGHT - 28, across)

    def line(self, line: PlotLine, number: int) -> None:
        path = [(self._x(x), self._y(mean)) for x, mean, _ in line.points]
        width = 3 if line.bold else 2
        if len(path) > 1:
            self._stroke(path, line.colour, width)
        for (x, y), (_, mean, std) in zip(path, line.points, strict=True):
            r = 3 + line.bold
            box = [(x - r) * _FINE, (y - r) * _FINE, (x + r) * _FINE, (y + r) * _FINE]
            self._draw.ellipse(box, fill=line.colour)
            if std:
                ends = [(x, self._y(mean - std)), (x, self._y(mean + std))]
                self._stroke(ends, line.colour, 1)
        y = _TOP + 22 * number + 8
        start = WIDTH - _RIGHT + 14
        self._stroke([(start, y), (start + 22, y)], line.colour, width)
        self._text(start + 28, y - 9, line.name[:22])

    def _x(self, place: float) -> float:
        room = WIDTH - _LEFT - _RIGHT - 40
        return _LEFT + 20 + (place - self._low) / self._span * room

    def _y(self, value: float) -> float:
        room = HEIGHT - _TOP - _BOTTOM
        return HEIGHT - _BOTTOM - min(max(value, 0.0), self._top) / self._top * room

    def _stroke(
        self, points: Sequence[tuple[float, float]], colour: str, width: int
    ) -> None:
        fine = [(x * _FINE, y * _FINE) for x, y in points]
        self._draw.line(fine, fill=colour, width=width * _FINE, joint="curve")

    def _text(self, x: float, y: float, text: str) -> None:
        self._draw.text((x * _FINE, y * _FINE), text, fill="#222222", font=self._font)


def _ceiling(curves: Sequence[PlotLine]) -> float:
    """Return where the vertical axis ends: a tenth above all points, at most 1."""
    highest = max(
        (m + (s or 0) for line in curves for _, m, s in line.points), default=1.0
    )
    return min(1.0, max(0.1, -(-highest * 10 // 1) / 10))

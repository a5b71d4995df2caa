"""Tables and small plots by templates that escape; nothing is loaded from elsewhere."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from napari_wsseg.pipeline.evaluation.result import Interval
from napari_wsseg.pipeline.evaluation.tables import MetricCell

LEFT, WIDTH, HIGH = 230, 520, 26
"""Of a plot, in pixels: room for names, for [0, 1], and of each row."""


_TEMPLATES = Environment(
    loader=PackageLoader("napari_wsseg.pipeline.reporting"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    keep_trailing_newline=True,
)
_TEMPLATES.tests["metric"] = lambda value: isinstance(value, MetricCell)
_TEMPLATES.globals["ticks"] = [
    (round(LEFT + WIDTH * step / 5), f"{step / 5:.1f}") for step in range(6)
]


def page(**shown: Any) -> str:
    """Return the whole page."""
    return _TEMPLATES.get_template("page.html").render(shown)


def part(name: str, *arguments: Any) -> Markup:
    """Return a part of the page, made by the macro of that name."""
    macro = getattr(_TEMPLATES.get_template("parts.html").module, name)
    return Markup(macro(*arguments))


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> Markup:
    """Return a table; cells are `MetricCell`, numbers, text, or ``None`` for a dash."""
    return part("table", head, list(rows))


def image(png: bytes, alt: str) -> Markup:
    """Return a PNG as part of the page."""
    return part("image", base64.b64encode(png).decode(), alt)


def intervals(title: str, rows: Sequence[tuple[str, float | None, Interval]]) -> Markup:
    """Return a plot of figures in [0, 1]: a dot each, and a bar for its interval."""
    known = [(name, value, span) for name, value, span in rows if value is not None]
    if not known:
        return Markup()
    drawn = [
        {
            "name": name[:34],
            "y": 30 + HIGH * n + HIGH / 2,
            "x": _across(value),
            "ends": [_across(end) for end in span] if span else None,
        }
        for n, (name, value, span) in enumerate(known)
    ]
    return part("intervals", title, drawn, LEFT + WIDTH + 30, 30 + HIGH * len(known))


def _across(value: float) -> float:
    return LEFT + WIDTH * min(max(value, 0.0), 1.0)

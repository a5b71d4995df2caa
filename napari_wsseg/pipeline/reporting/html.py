"""Tables and small plots as escaped HTML; nothing is loaded from elsewhere."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from html import escape

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 76rem; margin: 2rem auto;
       padding: 0 1rem; color: #222; }
table { border-collapse: collapse; margin: .8rem 0; }
td, th { padding: .25rem .8rem; border-bottom: 1px solid #ddd; text-align: right; }
td:first-child, th:first-child { text-align: left; }
td.long { text-align: left; overflow-wrap: anywhere; max-width: 40rem; }
td small { color: #555; white-space: nowrap; }
img, svg { max-width: 100%; } .note { color: #555; } .warn { background: #fff3cd;
padding: .5rem .8rem; } code { background: #f3f3f3; padding: 0 .2rem; }
dt { font-weight: 600; } dd { margin: 0 0 .4rem 1.5rem; }
svg text { font: 13px system-ui, sans-serif; fill: #222; }
"""

Span = Sequence[float] | None


class Figure:
    """A number with its interval, as one cell of a table."""

    def __init__(self, value: float | None, span: Span = None, sign: str = "") -> None:
        self.value, self.span, self.sign = value, span, sign

    def html(self) -> str:
        """Return the cell's inside."""
        if self.value is None:
            return "–"
        told = f"{self.value:{self.sign}.3f}"
        if not self.span:
            return told
        low, high = self.span
        return f"{told} <small>[{low:{self.sign}.3f}, {high:{self.sign}.3f}]</small>"


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return a table; cells are `Figure`, numbers, text, or ``None`` for a dash."""
    lines = ["<tr>" + "".join(f"<th>{escape(name)}</th>" for name in head) + "</tr>"]
    lines += ["<tr>" + "".join(_cell(cell) for cell in row) + "</tr>" for row in rows]
    return "<table>" + "\n".join(lines) + "</table>"


def _cell(value: object) -> str:
    if isinstance(value, Figure):
        return f"<td>{value.html()}</td>"
    if value is None:
        return "<td>–</td>"
    if isinstance(value, float):
        return f"<td>{value:.3f}</td>"
    text = str(value)
    kind = ' class="long"' if len(text) > 60 else ""
    return f"<td{kind}>{escape(text)}</td>"


def image(png: bytes, alt: str) -> str:
    """Return a PNG as part of the page."""
    data = base64.b64encode(png).decode()
    return f'<img alt="{escape(alt)}" src="data:image/png;base64,{data}">'


def intervals(title: str, rows: Sequence[tuple[str, float | None, Span]]) -> str:
    """Return a plot of figures in [0, 1]: a dot each, and a bar for its interval."""
    rows = [row for row in rows if row[1] is not None]
    if not rows:
        return ""
    left, width, high = 230, 520, 26
    bottom = 30 + high * len(rows)
    parts = [f'<text x="0" y="14">{escape(title)}</text>']
    for step in range(6):
        x = left + width * step / 5
        parts.append(
            f'<line x1="{x:.0f}" y1="24" x2="{x:.0f}" y2="{bottom}" stroke="#ddd"/>'
            f'<text x="{x - 9:.0f}" y="{bottom + 16}">{step / 5:.1f}</text>'
        )
    for n, (name, value, span) in enumerate(rows):
        y = 30 + high * n + high / 2
        parts.append(f'<text x="0" y="{y + 4:.0f}">{escape(name[:34])}</text>')
        if span:
            a, b = (left + width * min(max(end, 0.0), 1.0) for end in span)
            parts.append(
                f'<line x1="{a:.1f}" y1="{y}" x2="{b:.1f}" y2="{y}" '
                'stroke="#0072B2" stroke-width="3"/>'
            )
        x = left + width * min(max(value or 0.0, 0.0), 1.0)
        parts.append(f'<circle cx="{x:.1f}" cy="{y}" r="5" fill="#0072B2"/>')
    return (
        f'<svg role="img" viewBox="0 0 {left + width + 30} {bottom + 24}" '
        f'width="{left + width + 30}">{"".join(parts)}</svg>'
    )

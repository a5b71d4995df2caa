"""Draws the floors of the house from the code: ``python -m benchmarks.house``.

Floors are those of the import contract in ``pyproject.toml``, arrows are what really
imports what. The picture is ``docs/floors.svg``; a test holds it current.
"""

from __future__ import annotations

import tomllib
from collections import defaultdict
from html import escape
from pathlib import Path

import grimp

ROOT = Path(__file__).resolve().parents[1]
PICTURE = ROOT / "docs" / "floors.svg"
PACKAGES = ("napari_wsseg", "trainers")
WIDTH, FLOOR, HIGH = 860, 84, 34


def floors() -> list[list[str]]:
    """Return the rooms of each floor, the top one first, as the contract has them."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    contracts = settings["tool"]["importlinter"]["contracts"]
    layers = next(one for one in contracts if one["name"] == "Imports point down")
    return [[room.strip() for room in row.split("|")] for row in layers["layers"]]


def arrows(rooms: set[str]) -> set[tuple[str, str]]:
    """Return which room imports which, found by reading every import statement."""
    graph = grimp.build_graph(*PACKAGES, cache_dir=None)
    found = set()
    for module in graph.modules:
        for imported in graph.find_modules_directly_imported_by(module):
            ends = _room(module, rooms), _room(imported, rooms)
            if None not in ends and ends[0] != ends[1]:
                found.add(ends)
    return found


def picture() -> str:
    """Return the drawing as SVG; the same code gives the same bytes."""
    rows = floors()
    places: dict[str, tuple[float, float, float]] = {}
    for level, row in enumerate(rows):
        step = WIDTH / len(row)
        for number, room in enumerate(row):
            wide = min(step - 16, 10 + 8.4 * len(_title(room)) + 16)
            places[room] = (step * (number + 0.5), 20 + level * FLOOR, wide)
    below = defaultdict(set)
    for room, other in arrows(set(places)):
        below[room].add(other)
    parts = []
    for room, (x, y, _) in places.items():
        for other in sorted(below[room]):
            x2, y2, _ = places[other]
            bend = (y2 - y - HIGH) / 2
            parts.append(
                f'<path class="arrow" d="M{x:.0f} {y + HIGH} '
                f"C{x:.0f} {y + HIGH + bend:.0f} {x2:.0f} {y2 - bend:.0f} "
                f'{x2:.0f} {y2}"><title>{escape(room)} imports {escape(other)}'
                "</title></path>"
            )
    for room, (x, y, wide) in places.items():
        parts.append(
            f'<rect x="{x - wide / 2:.0f}" y="{y}" width="{wide:.0f}" '
            f'height="{HIGH}" rx="5"/><text x="{x:.0f}" y="{y + 22}">'
            f"{escape(_title(room))}</text>"
        )
    high = len(rows) * FLOOR
    style = (
        "rect{fill:#fff;stroke:#0072b2;stroke-width:1.5}"
        "text{font:14px monospace;text-anchor:middle;fill:#222}"
        ".arrow{fill:none;stroke:#999;stroke-width:1;opacity:.55}"
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" '
        f'viewBox="0 0 {WIDTH} {high}" width="{WIDTH}"><title>Which part imports '
        f"which: every arrow points down</title><style>{style}</style>"
        f'<rect x="0" y="0" width="{WIDTH}" height="{high}" style="stroke:none"/>'
        + "\n".join(parts)
        + "</svg>\n"
    )


def _room(module: str, rooms: set[str]) -> str | None:
    return next((r for r in rooms if module == r or module.startswith(f"{r}.")), None)


def _title(room: str) -> str:
    return room.removeprefix("napari_wsseg.")


def main() -> None:
    PICTURE.write_text(picture(), "utf-8")


if __name__ == "__main__":
    main()

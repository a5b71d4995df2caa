"""What a table of a paper is made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Step:
    """One command.

    Parameters
    ----------
    name
        Its result is kept as ``<name>.json``.
    arguments
        ``wsseg``'s own, or those of a module whose name comes first. ``{data}``,
        ``{work}`` and ``{name.run}``, the run that an earlier step made, are filled in.
    settings
        What its ``--set`` holds.
    """

    name: str
    arguments: tuple[str, ...]
    settings: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Row:
    """A row of a table: its cells, the paper's figures, and where ours are.

    ``ours`` has one ``(step, key, key, …)`` a figure, a way into that step's result.
    """

    cells: tuple[str, ...]
    paper: tuple[float | None, ...]
    ours: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class Table:
    """A table of a paper, with what must be known to compare the two."""

    title: str
    heads: tuple[str, ...]
    metrics: tuple[str, ...]
    steps: tuple[Step, ...]
    rows: tuple[Row, ...]
    notes: tuple[str, ...]

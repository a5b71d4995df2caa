"""What each column of the index holds; SQLite itself lets any value into any column."""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Mapping, Sequence
from operator import itemgetter

_TEXT, _INTEGER, _NUMBER = (str,), (int,), (int, float)
_NONE = (type(None),)

#: By name, the same in every table; what a query counts or joins has other names.
_KINDS: Mapping[str, tuple[type, ...]] = {
    **dict.fromkeys(
        (
            *("path", "split", "labels", "case_id", "reader", "mask_sha", "pixels_sha"),
            *("tool", "created", "reason", "verdict", "comment", "after_sha", "stage"),
            *("run", "actor", "action", "payload", "previous", "hash", "at"),
            "source",
            *("arm", "gestures", "start"),
        ),
        _TEXT,
    ),
    **dict.fromkeys(("finding", "source_run"), (*_TEXT, *_NONE)),
    **dict.fromkeys(
        (
            *("height", "width", "version", "area_px", "bridge", "y", "x", "seq"),
            *("decision", "strokes", "earlier", "added_px", "removed_px"),
            *("mask_px", "unedited"),
        ),
        _INTEGER,
    ),
    **dict.fromkeys(
        (
            *("parent", "annotation", "confidence", "base", "newest", "value"),
            *("undoes", "offered_px"),
        ),
        (*_INTEGER, *_NONE),
    ),
    **dict.fromkeys(("row_mm", "column_mm", "seconds"), (*_NUMBER, *_NONE)),
    "id": (*_INTEGER, *_TEXT),
    "flips": (bytes,),
}
_TYPE_NAMES = {str: "text", int: "a whole number", float: "a number", bytes: "bytes"}


def flaw(columns: Sequence[str], rows: Sequence[sqlite3.Row]) -> str | None:
    """Return what is of the wrong kind in the rows of a query, or ``None``."""
    wanted = [(place, _KINDS[c]) for place, c in enumerate(columns) if c in _KINDS]
    if all(_fits(place, kinds, rows) for place, kinds in wanted):
        return None
    for row in rows:
        for place, kinds in wanted:
            value = row[place]
            if type(value) not in kinds:
                return f"column {columns[place]!r} holds {_named(value)}"
            if isinstance(value, float) and not math.isfinite(value):
                return f"column {columns[place]!r} holds {value}"
    return None


def _fits(place: int, kinds: tuple[type, ...], rows: Sequence[sqlite3.Row]) -> bool:
    """Whether a whole column holds what it may: ten times quicker than row by row."""
    column = list(map(itemgetter(place), rows))
    found = set(map(type, column))
    if not found.issubset(kinds):
        return False
    return float not in found or all(math.isfinite(v) for v in column if v is not None)


def _named(value: object) -> str:
    return _TYPE_NAMES.get(type(value), "nothing")

"""Films by any part of their paths, splits and findings, from an index of words."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

from napari_wsseg.io.index.database import Database

_SHORTEST = 3
"""Letters that the index knows words by; shorter ones are looked for in every row."""

_ID = re.compile(r"[0-9a-f]{6,16}")
"""A word that may be the beginning of an id."""

_INDEXED = (
    "id IN (SELECT case_id FROM film_words JOIN film_numbers "
    "ON number = film_words.rowid WHERE film_words MATCH ?)"
)


def find(
    database: Database,
    findings: Sequence[str],
    words: Sequence[str],
    *,
    labels: bool = True,
) -> set[str]:
    """Return the ids of the cases that hold every word, in small letters or large.

    Parameters
    ----------
    database, findings
        The index, and the project's findings.
    words
        Each anywhere in a path, a split or the name of a finding that is present, or
        at the beginning of an id.
    labels
        Whether findings are looked at.
    """
    parts = [_place_of(findings, word.lower(), labels=labels) for word in words]
    where = "WHERE " + " AND ".join(sql for sql, _ in parts) if parts else ""
    values = [value for _, own in parts for value in own]
    return {row[0] for row in database.rows(f"SELECT id FROM cases {where}", *values)}


def _place_of(
    findings: Sequence[str], word: str, *, labels: bool
) -> tuple[str, list[str]]:
    """Return the condition that a case holds a word, and its values."""
    if len(word) < _SHORTEST or "\0" in word:
        named = [f for f in findings if labels and word in f.lower()]
        places = ["lower(path)", "split", *["labels"] * len(named)]
        values = [word, word, *(f"{json.dumps(name)}: 1" for name in named)]
        return "(" + " OR ".join(f"instr({p}, ?)" for p in places) + ")", values
    columns = "" if labels else "{place part} : "
    values = [columns + '"' + word.replace('"', '""') + '"']
    if not _ID.fullmatch(word):
        return _INDEXED, values
    return f"({_INDEXED} OR id GLOB ?)", [*values, f"{word}*"]

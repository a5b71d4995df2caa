"""Films by any part of their paths, splits and findings, from an index of words."""

from __future__ import annotations

import json
from collections.abc import Sequence

from napari_wsseg.io.index.database import Database

_SHORTEST = 3
"""Letters that the index knows words by; shorter ones are looked for in every row."""


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
        Each anywhere in a path, a split or the name of a finding that is present.
    labels
        Whether findings are looked at.
    """
    long = [word for word in words if len(word) >= _SHORTEST and "\0" not in word]
    terms, values = [], list[str]()
    if long:
        asked = " AND ".join('"' + word.replace('"', '""') + '"' for word in long)
        columns = "" if labels else "{place part} : "
        terms.append(
            "id IN (SELECT case_id FROM film_words JOIN film_numbers "
            "ON number = film_words.rowid WHERE film_words MATCH ?)"
        )
        values.append(f"{columns}({asked})")
    for word in (word for word in words if word not in long):
        named = [f for f in findings if labels and word.lower() in f.lower()]
        places = ["lower(path)", "split", *["labels"] * len(named)]
        terms.append("(" + " OR ".join(f"instr({p}, ?)" for p in places) + ")")
        values += [word.lower()] * 2 + [f"{json.dumps(name)}: 1" for name in named]
    where = f"WHERE {' AND '.join(terms)}" if terms else ""
    return {row[0] for row in database.rows(f"SELECT id FROM cases {where}", *values)}

"""Films by any part of their paths, splits and findings, from an index of words.

Ids are 64 bits, so that what is found is an array of numbers: 224,000 films that hold
``png`` are no more work than as many bytes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from napari_wsseg.io.index import cases
from napari_wsseg.io.index.database import Database
from napari_wsseg.schema import SPLITS

_SHORTEST = 3
"""Letters that the index knows words by; shorter ones are looked for in every path."""

_ID = re.compile(r"[0-9a-f]{6,16}")
"""A word that may be the beginning of an id."""

_INDEXED = (
    "SELECT case_id AS id FROM film_words JOIN film_numbers "
    "ON number = film_words.rowid WHERE film_words MATCH ?"
)
_ANY_LABEL = "instr(labels, ': 1')"

_Query = tuple[str, str]
"""A query of ids and its value."""


def find(
    database: Database,
    findings: Sequence[str],
    terms: Sequence[str],
    *,
    labels: bool = True,
) -> NDArray[np.uint64]:
    """Return the cases that hold every word, in small letters or large.

    Parameters
    ----------
    database, findings
        The index, and the project's findings.
    terms
        Each anywhere in a path, a split or the name of a finding that is present, or
        at the beginning of an id.
    labels
        Whether findings are looked at.

    Returns
    -------
    (N,) uint64
        Their ids as numbers, rising.
    """
    if not terms:
        return np.sort(cases.numbers(database, "SELECT id FROM cases"))
    found: NDArray[np.uint64] | None = None
    for word in terms:
        queries = _queries(findings, word.lower(), labels=labels)
        parts = [cases.numbers(database, sql, value) for sql, value in queries]
        holding = _union(parts)
        found = holding if found is None else np.intersect1d(found, holding, True)
    assert found is not None
    return found


def _union(parts: list[NDArray[np.uint64]]) -> NDArray[np.uint64]:
    """Return what is in any of these, rising; `numpy.unique` is slower."""
    rising = np.sort(np.concatenate([np.zeros(0, np.uint64), *parts]))
    return np.delete(rising, np.flatnonzero(rising[1:] == rising[:-1]))


def _queries(findings: Sequence[str], word: str, *, labels: bool) -> Iterator[_Query]:
    """Yield queries that find together the cases that hold a word."""
    if "\0" in word:  # in no path, and it ends what SQLite compares
        return
    if len(word) >= _SHORTEST:
        yield _INDEXED, ("" if labels else "{place part} : ") + _quoted(word)
        if _ID.fullmatch(word):
            yield "SELECT id FROM cases WHERE id GLOB ?", f"{word}*"
        return
    named = [name for name in findings if labels and word in name.lower()]
    # The names of splits are ours, so they stand in the query as they are.
    also = [f"split = '{split}'" for split in SPLITS if word in split]
    if named and len(named) == len(findings):  # whichever is present
        also, named = [*also, _ANY_LABEL], []
    like = " OR ".join(["path LIKE ? ESCAPE '!'", *also])
    yield f"SELECT id FROM cases WHERE {like}", f"%{_escaped(word)}%"
    for name in named:
        if len(name) < _SHORTEST:
            label = f"{json.dumps(name)}: 1"
            yield "SELECT id FROM cases WHERE instr(labels, ?)", label
        else:  # also of findings whose names hold this one, and so the word
            yield _INDEXED, "present : " + _quoted(name)


def _quoted(word: str) -> str:
    return '"' + word.replace('"', '""') + '"'


def _escaped(word: str) -> str:
    return re.sub("([!%_])", r"!\1", word)

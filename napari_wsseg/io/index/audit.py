"""What happened to a project: a table that only grows, each row sealed to the last.

The chain shows any change in the middle and, through SQLite's own counter, rows cut
off at the end. Somebody who rewrites every hash is not stopped by it.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Mapping

from napari_wsseg.io.index import clock as _clock
from napari_wsseg.io.index import trail
from napari_wsseg.io.index.database import Database
from napari_wsseg.jobs import DataError

_START = "0" * 64


def append(
    database: Database, actor: str, action: str, payload: Mapping[str, object]
) -> None:
    """Add one row, sealed to the last.

    Parameters
    ----------
    database
        The index.
    actor
        Reader or program in whose name it was done.
    action
        In a word or two, e.g. ``"mask"``, ``"undo decision"``.
    payload
        JSON values, nobody's identity among them.
    """
    text = json.dumps(dict(payload), sort_keys=True, ensure_ascii=False)
    with database.transaction():
        last = database.row("SELECT seq, hash FROM audit ORDER BY seq DESC LIMIT 1")
        seq, previous = (last["seq"] + 1, last["hash"]) if last else (1, _START)
        created = _clock.now()
        seal = _seal(seq, created, actor, action, text, previous)
        database.run(
            "INSERT INTO audit (seq, created, actor, action, payload, previous, hash) "
            "VALUES (?, ?, ?, ?, ?, ?, ?)",
            *(seq, created, actor, action, text, previous, seal),
        )


def verify(database: Database) -> None:
    """Check every row against the one before, and the tables against the rows.

    Raises
    ------
    DataError
        Naming the first row that was changed, removed or put in; or the first verdict,
        mask, label or run in use that is not what was put down.
    """
    previous, seq = _START, 0
    for row in database.rows("SELECT * FROM audit ORDER BY seq"):
        seq += 1
        if row["seq"] != seq:
            raise _broken(database, seq, "is missing")
        if row["previous"] != previous or row["hash"] != _seal_of(row):
            raise _broken(database, seq, "was changed")
        previous = row["hash"]
    counter = database.row("SELECT seq FROM sqlite_sequence WHERE name = 'audit'")
    if counter is not None and counter["seq"] != seq:
        raise _broken(database, seq + 1, "is missing")
    for difference in trail.differences(database):
        raise DataError(
            f"{database.path}: the index is not what the audit trail tells: "
            f"{difference}; compare with a backup"
        )


def beginning(database: Database) -> str:
    """Return the seal of the first row, empty if there is none."""
    row = database.row("SELECT hash FROM audit ORDER BY seq LIMIT 1")
    return str(row["hash"]) if row else ""


def _broken(database: Database, seq: int, what: str) -> DataError:
    return DataError(
        f"{database.path}: the audit trail is broken: row {seq} {what}; "
        "compare with a backup"
    )


def _seal_of(row: sqlite3.Row) -> str:
    return _seal(*(row[c] for c in _SEALED))


_SEALED = ("seq", "created", "actor", "action", "payload", "previous")


def _seal(*values: object) -> str:
    return hashlib.sha256(json.dumps(values, ensure_ascii=False).encode()).hexdigest()

"""Rows of a reader's work: active seconds, gestures, and what became of drafts.

Rows are only added. Work is kept in spells, each when it ends: at a decision, when
another film is turned to, when strokes are folded into a mask. A spell belongs to the
reader's next decision on that film that holds, so that nothing is counted twice however
a sitting ends, and the time of a decision that was taken back goes to the next one.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping

from napari_wsseg.io.index import clock as _clock
from napari_wsseg.io.index.database import Database
from napari_wsseg.jobs import DataError
from napari_wsseg.schema import Outcome, Work


def insert(
    database: Database,
    *,
    case_id: str,
    finding: str | None,
    reader: str,
    arm: str,
    seconds: float,
    gestures: Mapping[str, int],
) -> Work:
    """Enter a spell of work and return it.

    Parameters
    ----------
    database, case_id, reader
        The index, and who worked on which film.
    finding
        The finding in hand; ``None`` where the project has none.
    arm
        What the film was offered in: ``"blank"``, ``"draft"``, ``"loop"`` or
        ``"blind"``; empty: not said.
    seconds
        Active ones, kept to a hundredth.
    gestures
        How often each tool was used: ``{"paint": 3, "undo": 1}``.
    """
    seconds, created = round(seconds, 2), _clock.now()
    text = json.dumps(dict(gestures), sort_keys=True)
    with database.transaction():
        newest = database.row("SELECT coalesce(max(id), 0) AS newest FROM decisions")
        earlier = int(newest["newest"]) if newest else 0
        row_id = database.run(
            "INSERT INTO work (case_id, finding, reader, arm, seconds, gestures, "
            "earlier, created) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            *(case_id, finding, reader, arm, seconds, text, earlier, created),
        )
    return Work(
        *(row_id, case_id, finding, reader, arm, seconds, dict(gestures)),
        *(earlier, created),
    )


def insert_outcome(database: Database, outcome: Outcome) -> None:
    """Enter what became of one finding's draft."""
    database.run(
        "INSERT INTO outcomes (decision, finding, start, source_run, offered_px, "
        "added_px, removed_px, mask_px, unedited) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        *(outcome.decision, outcome.finding, outcome.start, outcome.source_run),
        *(outcome.offered_px, outcome.added_px, outcome.removed_px),
        *(outcome.mask_px, int(outcome.unedited)),
    )


def select(database: Database, reader: str | None = None) -> list[Work]:
    """Return all work, of one reader or of all, oldest first."""
    rows = database.rows(
        "SELECT * FROM work WHERE (reader = ? OR ? IS NULL) ORDER BY id",
        *(reader, reader),
    )
    return [_work(database, row) for row in rows]


def outcomes(database: Database) -> list[Outcome]:
    """Return what became of every draft, of decisions taken back, too, oldest first."""
    return [
        Outcome(
            *(row["decision"], row["finding"], row["start"], row["source_run"]),
            *(row["offered_px"], row["added_px"], row["removed_px"], row["mask_px"]),
            bool(row["unedited"]),
        )
        for row in database.rows("SELECT * FROM outcomes ORDER BY id")
    ]


def _work(database: Database, row: sqlite3.Row) -> Work:
    return Work(
        id=row["id"],
        case=row["case_id"],
        finding=row["finding"],
        reader=row["reader"],
        arm=row["arm"],
        seconds=row["seconds"],
        gestures=_gestures(database, row),
        earlier=row["earlier"],
        created=row["created"],
    )


def _gestures(database: Database, row: sqlite3.Row) -> dict[str, int]:
    try:
        found = json.loads(row["gestures"])
    except (ValueError, RecursionError):
        found = None
    if isinstance(found, dict) and all(type(n) is int for n in found.values()):
        return found
    raise DataError(
        f"{database.path}: the gestures of work {row['id']} are not counts by tool; "
        "restore the index from a backup"
    )

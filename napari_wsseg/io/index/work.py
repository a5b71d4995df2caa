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
from dataclasses import asdict

from napari_wsseg.io.index import audit as _audit
from napari_wsseg.io.index import clock as _clock
from napari_wsseg.io.index import decisions as _decisions
from napari_wsseg.io.index import effort as _effort
from napari_wsseg.io.index.database import Database
from napari_wsseg.io.index.effort import Effort
from napari_wsseg.jobs import DataError
from napari_wsseg.schema import Outcome, Work


class WorkLog:
    """What readers did on a project's films, and what became of its drafts."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def enter(
        self,
        case_id: str,
        finding: str | None,
        *,
        reader: str,
        seconds: float,
        gestures: Mapping[str, int],
        arm: str = "",
    ) -> Work:
        """Enter a spell of a reader's work on a film; see `schema.Work`.

        Parameters
        ----------
        case_id, finding, reader
            Who worked on what; without findings, ``None``.
        seconds
            Active ones, kept to a hundredth.
        gestures
            How often each tool was used: ``{"paint": 3, "undo": 1}``.
        arm
            What the film was offered in: ``"blank"``, ``"draft"``, ``"loop"`` or
            ``"blind"``; empty: not said.
        """
        database, seconds, created = self._database, round(seconds, 2), _clock.now()
        text = json.dumps(dict(gestures), sort_keys=True)
        with database.transaction():
            newest = database.row("SELECT coalesce(max(id), 0) AS id FROM decisions")
            earlier = int(newest["id"]) if newest else 0
            row_id = database.run(
                "INSERT INTO work (case_id, finding, reader, arm, seconds, gestures, "
                "earlier, created) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                *(case_id, finding, reader, arm, seconds, text, earlier, created),
            )
            entry = {
                **{"case": case_id, "finding": finding, "arm": arm},
                **{"seconds": seconds, "gestures": dict(gestures), "earlier": earlier},
            }
            _audit.append(database, reader, "work", entry)
        return Work(
            *(row_id, case_id, finding, reader, arm, seconds, dict(gestures)),
            *(earlier, created),
        )

    def enter_outcome(self, outcome: Outcome, *, actor: str) -> None:
        """Enter what became of a finding's draft, with a decision."""
        entry = {**asdict(outcome), "unedited": int(outcome.unedited)}
        with self._database.transaction():
            self._database.run(
                "INSERT INTO outcomes (decision, finding, start, source_run, "
                "offered_px, added_px, removed_px, mask_px, unedited) "
                "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                *(outcome.decision, outcome.finding, outcome.start, outcome.source_run),
                *(outcome.offered_px, outcome.added_px, outcome.removed_px),
                *(outcome.mask_px, int(outcome.unedited)),
            )
            _audit.append(self._database, actor, "outcome", entry)

    def spells(self, *, reader: str | None = None, since: str = "") -> list[Work]:
        """Return all work that was entered, of one reader or of all, oldest first.

        Parameters
        ----------
        reader
            Whose; ``None``: everybody's.
        since
            ISO date or time: on films alone that were decided on since then.
        """
        films = f"AND {_decisions.DECIDED_SINCE} " if since else ""
        rows = self._database.rows(
            f"SELECT * FROM work WHERE (reader = ? OR ? IS NULL) {films}ORDER BY id",
            *(reader, reader, *([since] if since else [])),
        )
        return [_work(self._database, row) for row in rows]

    def outcomes(self, *, since: str = "") -> list[Outcome]:
        """Return what became of drafts, of decisions taken back, too, oldest first.

        Of films alone that were decided on `since` then, an ISO date or time.
        """
        films = (
            "WHERE decision IN (SELECT id FROM decisions WHERE "
            f"{_decisions.DECIDED_SINCE}) "
        )
        return [
            Outcome(
                *(row["decision"], row["finding"], row["start"], row["source_run"]),
                *(row["offered_px"], row["added_px"], row["removed_px"]),
                *(row["mask_px"], bool(row["unedited"])),
            )
            for row in self._database.rows(
                f"SELECT * FROM outcomes {films if since else ''}ORDER BY id",
                *([since] if since else []),
            )
        ]

    def efforts(self, *, reader: str | None = None, since: str = "") -> list[Effort]:
        """Return what every decision on a film cost its reader, oldest first.

        Parameters
        ----------
        reader
            Whose; ``None``: everybody's.
        since
            ISO date or time: of films alone that were decided on since then.
        """
        decisions = _decisions.all_that_hold(self._database, since)
        chosen = [d for d in decisions if reader in (None, d.reader)]
        adoptions = _decisions.adoptions(self._database)
        spells = self.spells(reader=reader, since=since)
        return _effort.efforts(chosen, spells, self.outcomes(since=since), adoptions)


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

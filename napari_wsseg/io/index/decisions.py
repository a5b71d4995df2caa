"""Rows of decisions on cases, and of the runs that were adopted for a stage."""

from __future__ import annotations

import sqlite3
from typing import get_args

from napari_wsseg.io.index import clock as _clock
from napari_wsseg.io.index.database import Database
from napari_wsseg.jobs import DataError
from napari_wsseg.schema import ANATOMY, STAGES, Decision, Verdict

_HOLDS = "id NOT IN (SELECT decision FROM undone)"

EARLIER = ("classifier",)
"""Adopted for by earlier versions: such rows stay and are read, nothing shows them."""

ADOPTABLE = (*STAGES, ANATOMY, *EARLIER)
"""What a row of an adoption may name."""


def insert(
    database: Database,
    *,
    case_id: str,
    verdict: Verdict,
    reader: str,
    confidence: int | None,
    comment: str,
    seconds: float | None,
    finding: str | None,
) -> Decision:
    """Enter a decision and return it.

    Parameters
    ----------
    database, case_id, verdict, reader
        The index, and who says what about which film.
    confidence
        1 (low) to 3 (high), or ``None``.
    comment
        Empty for none.
    seconds
        Since the film was shown, or ``None``.
    finding
        The one finding that it is about; ``None``: the film as a whole.

    Raises
    ------
    DataError
        There is no such verdict.
    """
    verdicts = get_args(Verdict)
    if verdict not in verdicts:
        raise DataError(f"verdict {verdict!r} is none of: {', '.join(verdicts)}")
    created = _clock.now()
    with database.transaction():
        newest = database.row("SELECT coalesce(max(id), 0) AS id FROM annotations")
        after = int(newest["id"]) if newest else 0
        row_id = database.run(
            "INSERT INTO decisions (case_id, verdict, reader, confidence, comment, "
            "seconds, created, finding, after) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            *(case_id, verdict, reader, confidence, comment),
            *(seconds, created, finding, after),
        )
    return Decision(
        row_id,
        case_id,
        verdict,
        reader,
        confidence,
        comment,
        seconds,
        created,
        finding,
        after,
    )


def newest(
    database: Database, case_id: str, reader: str | None = None
) -> Decision | None:
    """Return the decision on a case that holds, of one reader or of any.

    Parameters
    ----------
    database, case_id
        The index, and the case's 16 hexadecimal digits.
    reader
        Whose decision; ``None``: the newest, whoever made it.
    """
    row = database.row(
        f"SELECT * FROM decisions WHERE case_id = ? AND finding IS NULL AND {_HOLDS} "
        "AND (reader = ? OR ? IS NULL) ORDER BY id DESC LIMIT 1",
        *(case_id, reader, reader),
    )
    return None if row is None else _decision(row)


def newest_of_all(database: Database, reader: str | None = None) -> dict[str, Decision]:
    """Return the decision that holds, of one reader or of any, by case id."""
    rows = database.rows(
        "SELECT * FROM decisions WHERE id IN (SELECT max(id) FROM decisions "
        f"WHERE finding IS NULL AND (reader = ? OR ? IS NULL) AND {_HOLDS} "
        "GROUP BY case_id)",
        *(reader, reader),
    )
    return {row["case_id"]: _decision(row) for row in rows}


def decided(database: Database, reader: str) -> list[str]:
    """Return the ids of the cases that a reader has decided on and not reopened."""
    rows = database.rows(
        "SELECT case_id FROM decisions WHERE id IN (SELECT max(id) FROM decisions "
        f"WHERE finding IS NULL AND reader = ? AND {_HOLDS} GROUP BY case_id) "
        "AND verdict != 'reopen'",
        reader,
    )
    return [row[0] for row in rows]


def newest_of_readers(
    database: Database, at_least: int = 1
) -> dict[str, dict[str, Decision]]:
    """Return every reader's own decision that holds, by case id and reader.

    Parameters
    ----------
    database
        The index.
    at_least
        How many readers have decided on a case that is wanted.
    """
    films = (
        "AND case_id IN (SELECT case_id FROM decisions WHERE finding IS NULL "
        f"AND {_HOLDS} GROUP BY case_id HAVING count(DISTINCT reader) >= ?) "
    )
    several = at_least > 1
    rows = database.rows(
        "SELECT * FROM decisions WHERE id IN (SELECT max(id) FROM decisions "
        f"WHERE finding IS NULL AND {_HOLDS} {films if several else ''}"
        "GROUP BY case_id, reader) ORDER BY id",
        *([at_least] if several else []),
    )
    found: dict[str, dict[str, Decision]] = {}
    for row in rows:
        found.setdefault(row["case_id"], {})[row["reader"]] = _decision(row)
    return found


DECIDED_SINCE = "case_id IN (SELECT case_id FROM decisions WHERE created >= ?)"
"""A condition on rows of films that somebody has decided on since a time."""


def all_that_hold(database: Database, since: str = "") -> list[Decision]:
    """Return every decision that was not taken back, oldest first.

    Parameters
    ----------
    database
        The index.
    since
        ISO date or time: of films alone that were decided on since then.
    """
    rows = database.rows(
        f"SELECT * FROM decisions WHERE {_HOLDS} AND {DECIDED_SINCE} ORDER BY id", since
    )
    return [_decision(row) for row in rows]


def newest_of_findings(
    database: Database, case_id: str, reader: str | None
) -> dict[str, Decision]:
    """Return the decision that holds on each finding of a case, by finding.

    Parameters
    ----------
    database, case_id
        The index, and the case's 16 hexadecimal digits.
    reader
        Whose decisions; ``None``: the newest, whoever made them.
    """
    rows = database.rows(
        "SELECT * FROM decisions WHERE id IN (SELECT max(id) FROM decisions "
        "WHERE case_id = ? AND finding IS NOT NULL AND (reader = ? OR ? IS NULL) "
        f"AND {_HOLDS} GROUP BY finding)",
        *(case_id, reader, reader),
    )
    return {row["finding"]: _decision(row) for row in rows}


def undo(database: Database, decision: Decision, actor: str) -> None:
    """Let a decision hold no longer; its row stays.

    Parameters
    ----------
    database, decision
        The index, and the decision; one that was undone already stays so.
    actor
        Reader who takes it back.
    """
    database.run(
        "INSERT OR IGNORE INTO undone (decision, actor, created) VALUES (?, ?, ?)",
        *(decision.id, actor, _clock.now()),
    )


def adopt(database: Database, stage: str, run: str, actor: str) -> None:
    """Enter that `stage` shows `run` from now on.

    Parameters
    ----------
    database, stage, run
        The index, one of `ADOPTABLE`, and the run's id, which is not looked up.
    actor
        Reader or program that decides it.

    Raises
    ------
    DataError
        There is no such stage.
    """
    check_stage(stage)
    database.run(
        "INSERT INTO adoptions (stage, run, actor, created) VALUES (?, ?, ?, ?)",
        *(stage, run, actor, _clock.now()),
    )


def adopted(database: Database, stage: str) -> str | None:
    """Return the run that `stage` shows, or ``None``."""
    check_stage(stage)
    row = database.row(
        "SELECT run FROM adoptions WHERE stage = ? ORDER BY id DESC LIMIT 1", stage
    )
    return None if row is None else str(row["run"])


def adoptions(database: Database) -> list[tuple[str, str, str]]:
    """Return stage, run and time of every adoption, oldest first."""
    rows = database.rows("SELECT * FROM adoptions ORDER BY id")
    return [(row["stage"], row["run"], row["created"]) for row in rows]


def adopted_before(database: Database, stage: str) -> str | None:
    """Return the run that `stage` showed before the one it shows, or ``None``."""
    row = database.row(
        "SELECT run FROM adoptions WHERE stage = ? AND run != ? "
        "ORDER BY id DESC LIMIT 1",
        *(stage, adopted(database, stage)),
    )
    return None if row is None else str(row["run"])


def check_stage(stage: str) -> None:
    """Refuse a stage that does not exist."""
    if stage not in ADOPTABLE:
        raise DataError(f"stage {stage!r} is none of: {', '.join((*STAGES, ANATOMY))}")


def _decision(row: sqlite3.Row) -> Decision:
    return Decision(
        id=row["id"],
        case=row["case_id"],
        verdict=row["verdict"],
        reader=row["reader"],
        confidence=row["confidence"],
        comment=row["comment"],
        seconds=row["seconds"],
        created=row["created"],
        finding=row["finding"],
        after=row["after"],
    )

"""Rows of decisions on cases, and of the runs that were adopted for a stage."""

from __future__ import annotations

import sqlite3
from typing import get_args

from napari_wsseg.io import _clock
from napari_wsseg.io._database import Database
from napari_wsseg.jobs import DataError
from napari_wsseg.schema import STAGES, Decision, Verdict

ADOPTABLE = (*STAGES, "classifier")
"""What a run can be adopted for."""


def insert(
    database: Database,
    *,
    case_id: str,
    verdict: Verdict,
    reader: str,
    confidence: int | None,
    comment: str,
    seconds: float | None,
) -> Decision:
    """Enter a decision and return it."""
    verdicts = get_args(Verdict)
    if verdict not in verdicts:
        raise DataError(f"verdict {verdict!r} is none of: {', '.join(verdicts)}")
    created = _clock.now()
    row_id = database.run(
        "INSERT INTO decisions "
        "(case_id, verdict, reader, confidence, comment, seconds, created) "
        "VALUES (?, ?, ?, ?, ?, ?, ?)",
        *(case_id, verdict, reader, confidence, comment, seconds, created),
    )
    return Decision(
        row_id, case_id, verdict, reader, confidence, comment, seconds, created
    )


def newest(database: Database, case_id: str) -> Decision | None:
    """Return the decision on a case that holds, or ``None``."""
    row = database.row(
        "SELECT * FROM decisions WHERE case_id = ? ORDER BY id DESC LIMIT 1", case_id
    )
    return None if row is None else _decision(row)


def newest_of_all(database: Database) -> dict[str, Decision]:
    """Return the decision that holds, by case id."""
    rows = database.rows(
        "SELECT * FROM decisions WHERE id IN "
        "(SELECT max(id) FROM decisions GROUP BY case_id)"
    )
    return {row["case_id"]: _decision(row) for row in rows}


def adopt(database: Database, stage: str, run: str, actor: str) -> None:
    """Enter that `stage` shows `run` from now on."""
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


def check_stage(stage: str) -> None:
    """Refuse a stage that does not exist."""
    if stage not in ADOPTABLE:
        raise DataError(f"stage {stage!r} is none of: {', '.join(ADOPTABLE)}")


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
    )

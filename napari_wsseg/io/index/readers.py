"""Rows about several readers: final masks, and who has seen which case."""

from __future__ import annotations

from napari_wsseg.io.index import clock as _clock
from napari_wsseg.io.index.database import Database


def settle(
    database: Database, case_id: str, finding: str, annotation: int | None, actor: str
) -> None:
    """Make a version of a finding's mask final; ``None``: none is from now on.

    Parameters
    ----------
    database, case_id, finding
        The index, the case's 16 hexadecimal digits and the finding's name.
    annotation
        Row id of the version.
    actor
        Adjudicator who says so.
    """
    database.run(
        "INSERT INTO finals (case_id, finding, annotation, actor, created) "
        "VALUES (?, ?, ?, ?, ?)",
        *(case_id, finding, annotation, actor, _clock.now()),
    )


def settled(database: Database) -> dict[str, dict[str, str]]:
    """Return, by case id and finding, who made a mask final that holds."""
    rows = database.rows(
        "SELECT case_id, finding, actor FROM finals WHERE annotation IS NOT NULL "
        "AND annotation NOT IN (SELECT annotation FROM withdrawn) "
        "AND id IN (SELECT max(id) FROM finals GROUP BY case_id, finding)"
    )
    found: dict[str, dict[str, str]] = {}
    for row in rows:
        found.setdefault(row["case_id"], {})[row["finding"]] = row["actor"]
    return found


def see(database: Database, case_id: str, reader: str) -> None:
    """Enter that a reader has been shown a case just now.

    Parameters
    ----------
    database, case_id, reader
        The index, who was shown what; the time before is overwritten.
    """
    database.run(
        "INSERT OR REPLACE INTO seen (case_id, reader, at) VALUES (?, ?, ?)",
        *(case_id, reader, _clock.now()),
    )


def seen(database: Database, reader: str) -> dict[str, str]:
    """Return when a reader was last shown each case, UTC, by case id."""
    rows = database.rows("SELECT case_id, at FROM seen WHERE reader = ?", reader)
    return {row["case_id"]: row["at"] for row in rows}


def drawn_by(database: Database) -> list[str]:
    """Return who has drawn or approved masks, by name."""
    rows = database.rows("SELECT DISTINCT reader FROM annotations ORDER BY reader")
    return [str(row["reader"]) for row in rows]

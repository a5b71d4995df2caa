"""Rows of image-level labels: what who said of a film, each saying a new version.

``cases.labels`` holds what counts, which is the newest saying that was not taken back.
The first row of a finding on a film is what was there before anybody changed it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence

from napari_wsseg.io.index import cases as _cases
from napari_wsseg.io.index import clock as _clock
from napari_wsseg.io.index.database import Database
from napari_wsseg.schema import Case, LabelVersion

FIRST = "original"
"""Source of the label that a film came with."""

_LIVING = (
    "undoes IS NULL AND id NOT IN (SELECT undoes FROM labels WHERE undoes IS NOT NULL)"
)


def put(
    database: Database,
    case: Case,
    labels: Mapping[str, int | None],
    findings: Sequence[str],
    *,
    reader: str,
    source: str,
) -> list[LabelVersion]:
    """Enter what a reader says of findings, and let it count; return every new row.

    Parameters
    ----------
    database, case
        The index, and the case with the labels it has now.
    labels
        Finding to 1 (present), 0 (absent), -1 (uncertain) or ``None`` (unknown).
    findings
        The project's; labels may be of no other.
    reader
        Who says it.
    source
        How, e.g. ``"window"``, ``"import"``.

    Raises
    ------
    DataError
        No such finding, or a value that is not 1, 0, -1 or ``None``.
    """
    with database.transaction():
        _cases.set_labels(database, case, labels, findings)
        made = []
        for finding, value in labels.items():
            if not history(database, case.id, finding):
                held = case.labels.get(finding)
                made.append(_insert(database, case.id, finding, held, "", FIRST))
            made.append(_insert(database, case.id, finding, value, reader, source))
    return made


def undo(
    database: Database,
    case: Case,
    version: LabelVersion,
    findings: Sequence[str],
    *,
    actor: str,
) -> LabelVersion:
    """Take a label back: what was said before it counts again; return the new row.

    Parameters
    ----------
    database, case, findings
        The index, the case with the labels it has now, and the project's findings.
    version
        What is taken back.
    actor
        Reader who takes it back.
    """
    with database.transaction():
        row = database.row(
            f"SELECT value FROM labels WHERE case_id = ? AND finding = ? AND {_LIVING} "
            "AND id != ? ORDER BY id DESC LIMIT 1",
            *(version.case, version.finding, version.id),
        )
        value = None if row is None else row["value"]
        _cases.set_labels(database, case, {version.finding: value}, findings)
        return _insert(
            *(database, case.id, version.finding, value, actor, "undo"),
            undoes=version.id,
        )


def history(database: Database, case_id: str, finding: str) -> list[LabelVersion]:
    """Return what was said of a finding on a film and not taken back, oldest first.

    Parameters
    ----------
    database, case_id, finding
        The index, the case's 16 hexadecimal digits and the finding's name.
    """
    rows = database.rows(
        f"SELECT * FROM labels WHERE case_id = ? AND finding = ? AND {_LIVING} "
        "ORDER BY id",
        *(case_id, finding),
    )
    return [_version(row) for row in rows]


def own(database: Database, reader: str) -> dict[str, dict[str, int | None]]:
    """Return the newest label that a reader gave, by case id and finding."""
    rows = database.rows(
        "SELECT case_id, finding, value FROM labels WHERE id IN (SELECT max(id) FROM "
        f"labels WHERE reader = ? AND {_LIVING} GROUP BY case_id, finding)",
        reader,
    )
    found: dict[str, dict[str, int | None]] = {}
    for row in rows:
        found.setdefault(row["case_id"], {})[row["finding"]] = row["value"]
    return found


def _insert(
    database: Database,
    case_id: str,
    finding: str,
    value: int | None,
    reader: str,
    source: str,
    *,
    undoes: int | None = None,
) -> LabelVersion:
    created = _clock.now()
    row_id = database.run(
        "INSERT INTO labels (case_id, finding, value, reader, source, undoes, created) "
        "VALUES (?, ?, ?, ?, ?, ?, ?)",
        *(case_id, finding, value, reader, source, undoes, created),
    )
    return LabelVersion(
        row_id, case_id, finding, value, reader, source, created, undoes
    )


def _version(row: sqlite3.Row) -> LabelVersion:
    return LabelVersion(
        id=row["id"],
        case=row["case_id"],
        finding=row["finding"],
        value=row["value"],
        reader=row["reader"],
        source=row["source"],
        created=row["created"],
        undoes=row["undoes"],
    )

"""Rows of expert masks: every save is a new version, none is ever changed."""

from __future__ import annotations

import sqlite3

from napari_wsseg.io.index import clock as _clock
from napari_wsseg.io.index.database import Database
from napari_wsseg.schema import Annotation

_LIVING = "id NOT IN (SELECT annotation FROM withdrawn)"

MASKED = f"(SELECT case_id FROM annotations WHERE {_LIVING})"
"""The ids of the cases with an expert mask, as part of a query."""

#: The version that an adjudicator made final, or NULL.
_FINAL = (
    "SELECT annotation FROM finals WHERE finals.case_id = annotations.case_id "
    "AND finals.finding = annotations.finding ORDER BY finals.id DESC LIMIT 1"
)

#: The order in which versions of one finding on one case count, the first alone: an
#: adjudicated one before the newest. Everything that asks which mask holds, training,
#: evaluation, exports and the window, comes through here.
_COUNTS = f"ORDER BY id = ({_FINAL}) DESC, id DESC"


def history(
    database: Database, case_id: str, finding: str, reader: str | None
) -> list[Annotation]:
    """Return the versions of one finding on one case, oldest first.

    Parameters
    ----------
    database, case_id, finding
        The index, the case's 16 hexadecimal digits and the finding's name.
    reader
        Whose versions; ``None``: everybody's.
    """
    rows = database.rows(
        f"SELECT * FROM annotations WHERE case_id = ? AND finding = ? "
        f"AND (reader = ? OR ? IS NULL) AND {_LIVING} ORDER BY id",
        *(case_id, finding, reader, reader),
    )
    return [_annotation(row) for row in rows]


def latest(
    database: Database, case_id: str, finding: str, reader: str | None
) -> Annotation | None:
    """Return the newest version of one reader, or, of all, the one that counts.

    Parameters
    ----------
    database, case_id, finding
        The index, the case's 16 hexadecimal digits and the finding's name.
    reader
        Whose version; ``None``: an adjudicator's final one, else the newest.
    """
    order = _COUNTS if reader is None else "ORDER BY id DESC"
    row = database.row(
        f"SELECT * FROM annotations WHERE case_id = ? AND finding = ? "
        f"AND (reader = ? OR ? IS NULL) AND {_LIVING} {order} LIMIT 1",
        *(case_id, finding, reader, reader),
    )
    return None if row is None else _annotation(row)


def by_id(database: Database, annotation_id: int) -> Annotation | None:
    """Return one annotation by its row id."""
    row = database.row("SELECT * FROM annotations WHERE id = ?", annotation_id)
    return None if row is None else _annotation(row)


def latest_by_finding(
    database: Database, case_id: str, reader: str | None = None
) -> dict[str, Annotation]:
    """Return, by finding, what `latest` returns of a case.

    Parameters
    ----------
    database, case_id, reader
        As in `latest`.
    """
    rows = database.rows(
        "SELECT DISTINCT finding FROM annotations WHERE case_id = ? ORDER BY finding",
        case_id,
    )
    found = {
        r["finding"]: latest(database, case_id, r["finding"], reader) for r in rows
    }
    return {finding: version for finding, version in found.items() if version}


def findings_of_cases(
    database: Database, split: str | None, reader: str | None = None
) -> dict[str, set[str]]:
    """Return which findings have an expert mask, of a reader or any, by case id.

    Parameters
    ----------
    database
        The index.
    split, reader
        Of which cases and whose masks; ``None``: of all, whoever drew them.
    """
    rows = database.rows(
        "SELECT DISTINCT case_id, finding FROM annotations "
        "JOIN cases ON cases.id = annotations.case_id "
        "WHERE (cases.split = ? OR ? IS NULL) AND (reader = ? OR ? IS NULL) "
        f"AND annotations.{_LIVING}",
        *(split, split, reader, reader),
    )
    found: dict[str, set[str]] = {}
    for row in rows:
        found.setdefault(row["case_id"], set()).add(row["finding"])
    return found


def findings_of_case(database: Database, case_id: str, reader: str | None) -> set[str]:
    """Return which findings of one case have an expert mask, of a reader or any.

    Parameters
    ----------
    database, case_id, reader
        As in `latest`.
    """
    rows = database.rows(
        "SELECT DISTINCT finding FROM annotations WHERE case_id = ? "
        f"AND (reader = ? OR ? IS NULL) AND {_LIVING}",
        *(case_id, reader, reader),
    )
    return {row["finding"] for row in rows}


def everything(database: Database) -> list[Annotation]:
    """Return every living annotation, oldest first."""
    rows = database.rows(f"SELECT * FROM annotations WHERE {_LIVING} ORDER BY id")
    return [_annotation(row) for row in rows]


def pixels_sha(database: Database, annotation: Annotation) -> str:
    """Return the hash of the pixels that an annotation holds."""
    row = database.row("SELECT pixels_sha FROM annotations WHERE id = ?", annotation.id)
    return "" if row is None else str(row["pixels_sha"])


def insert(
    database: Database,
    *,
    case_id: str,
    finding: str,
    reader: str,
    tool: str,
    parent: int | None,
    source_run: str | None,
    mask_sha: str,
    pixels_sha: str,
    area_px: int,
) -> Annotation:
    """Enter the next version and return it.

    Parameters
    ----------
    database, case_id, finding, reader
        The index, and what the version is counted by: 1, 2, 3 … of each reader.
    tool
        How it was made, e.g. ``"brush"``, ``"import"``, ``"from irnet"``.
    parent
        Row id of the annotation it was made from, or ``None``.
    source_run
        Run whose draft it started from, or ``None``.
    mask_sha
        First 12 hexadecimal digits of the SHA-256 of the mask file, on disk already.
    pixels_sha
        SHA-256 of shape and pixels, see
        `napari_wsseg.io.project_folder.mask_store.pixels_sha`.
    area_px
        Pixels of the finding.
    """
    with database.transaction():
        count = database.row(
            "SELECT coalesce(max(version), 0) AS newest FROM annotations "
            "WHERE case_id = ? AND finding = ? AND reader = ?",
            *(case_id, finding, reader),
        )
        version = (count["newest"] if count else 0) + 1
        created = _clock.now()
        row_id = database.run(
            "INSERT INTO annotations (case_id, finding, reader, version, parent, "
            "mask_sha, pixels_sha, tool, source_run, area_px, created) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            *(case_id, finding, reader, version, parent),
            *(mask_sha, pixels_sha, tool, source_run, area_px, created),
        )
    return Annotation(
        id=row_id,
        case=case_id,
        finding=finding,
        reader=reader,
        version=version,
        parent=parent,
        mask_sha=mask_sha,
        tool=tool,
        source_run=source_run,
        area_px=area_px,
        created=created,
    )


def withdraw(database: Database, annotation_id: int, reason: str) -> None:
    """Take an annotation whose mask is lost out of use; its row stays.

    Parameters
    ----------
    database, annotation_id
        The index, and the row id; one that is withdrawn already stays as it is.
    reason
        In words, kept beside it.
    """
    database.run(
        "INSERT OR IGNORE INTO withdrawn (annotation, reason, created) "
        "VALUES (?, ?, ?)",
        *(annotation_id, reason, _clock.now()),
    )


def _annotation(row: sqlite3.Row) -> Annotation:
    return Annotation(
        id=row["id"],
        case=row["case_id"],
        finding=row["finding"],
        reader=row["reader"],
        version=row["version"],
        parent=row["parent"],
        mask_sha=row["mask_sha"],
        tool=row["tool"],
        source_run=row["source_run"],
        area_px=row["area_px"],
        created=row["created"],
    )

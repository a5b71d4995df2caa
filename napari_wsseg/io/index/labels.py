"""Rows of image-level labels: what who said of a film, each saying a new version.

``cases.labels`` holds what counts, which is the newest saying that was not taken back.
The first row of a finding on a film is what was there before anybody changed it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence

from napari_wsseg.io.index import audit as _audit
from napari_wsseg.io.index import cases as _cases
from napari_wsseg.io.index import clock as _clock
from napari_wsseg.io.index.database import Database
from napari_wsseg.schema import ORIGINAL_LABEL, LabelVersion

_LIVING = (
    "undoes IS NULL AND id NOT IN (SELECT undoes FROM labels WHERE undoes IS NOT NULL)"
)


class LabelStore:
    """The image-level labels of a project's films, and who gave them.

    Parameters
    ----------
    database, findings
        The index, and the names that labels may be of.
    """

    def __init__(self, database: Database, findings: Sequence[str]) -> None:
        self._database = database
        self._findings = tuple(findings)

    def put(
        self,
        case_id: str,
        labels: Mapping[str, int | None],
        *,
        reader: str = "",
        source: str = "",
    ) -> list[LabelVersion]:
        """Change the labels that are named; return the new versions.

        The newest counts, whoever gave it; what was there before is kept.

        Parameters
        ----------
        case_id, labels
            The case, and finding to 1 (present), 0 (absent), -1 (uncertain) or ``None``
            (unknown).
        reader, source
            Who says it, and how, e.g. ``"window"``, ``"import"``.

        Raises
        ------
        DataError
            No such case, finding or value.
        """
        case = _cases.one(self._database, self._findings, case_id)
        made = []
        with self._database.transaction():
            _cases.set_labels(self._database, case, labels, self._findings)
            for finding, value in labels.items():
                if not self.history(case.id, finding):
                    held = case.labels.get(finding)
                    made.append(
                        self._insert(case.id, finding, held, "", ORIGINAL_LABEL)
                    )
                made.append(self._insert(case.id, finding, value, reader, source))
            self._audit(reader, case_id, labels, made)
        return [one for one in made if one.source != ORIGINAL_LABEL]

    def undo(self, version: LabelVersion, *, actor: str) -> int | None:
        """Take a label back; return the one that counts again."""
        case = _cases.one(self._database, self._findings, version.case)
        with self._database.transaction():
            row = self._database.row(
                "SELECT value FROM labels WHERE case_id = ? AND finding = ? AND "
                f"{_LIVING} AND id != ? ORDER BY id DESC LIMIT 1",
                *(version.case, version.finding, version.id),
            )
            value = None if row is None else row["value"]
            labels = {version.finding: value}
            _cases.set_labels(self._database, case, labels, self._findings)
            made = self._insert(
                *(case.id, version.finding, value, actor, "undo"), undoes=version.id
            )
            self._audit(actor, case.id, labels, [made])
        return made.value

    def history(self, case_id: str, finding: str) -> list[LabelVersion]:
        """Return what was said of a finding on a film and not taken back, oldest first.

        The first is what the film came with; empty where nobody changed it.
        """
        rows = self._database.rows(
            f"SELECT * FROM labels WHERE case_id = ? AND finding = ? AND {_LIVING} "
            "ORDER BY id",
            *(case_id, finding),
        )
        return [_version(row) for row in rows]

    def own(self, reader: str) -> dict[str, dict[str, int | None]]:
        """Return the newest label that a reader gave, by case id and finding."""
        rows = self._database.rows(
            "SELECT case_id, finding, value FROM labels WHERE id IN (SELECT max(id) "
            f"FROM labels WHERE reader = ? AND {_LIVING} GROUP BY case_id, finding)",
            reader,
        )
        found: dict[str, dict[str, int | None]] = {}
        for row in rows:
            found.setdefault(row["case_id"], {})[row["finding"]] = row["value"]
        return found

    def _insert(
        self,
        case_id: str,
        finding: str,
        value: int | None,
        reader: str,
        source: str,
        *,
        undoes: int | None = None,
    ) -> LabelVersion:
        created = _clock.now()
        row_id = self._database.run(
            "INSERT INTO labels (case_id, finding, value, reader, source, undoes, "
            "created) VALUES (?, ?, ?, ?, ?, ?, ?)",
            *(case_id, finding, value, reader, source, undoes, created),
        )
        return LabelVersion(
            row_id, case_id, finding, value, reader, source, created, undoes
        )

    def _audit(
        self,
        actor: str,
        case_id: str,
        labels: Mapping[str, int | None],
        made: Sequence[LabelVersion],
    ) -> None:
        rows = [(v.id, v.finding, v.value, v.source, v.undoes) for v in made]
        entry = {"case": case_id, "labels": dict(labels), "rows": rows}
        _audit.append(self._database, actor, "labels", entry)


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

"""What several readers share: final masks, and who has seen which case."""

from __future__ import annotations

from napari_wsseg.io.index import audit as _audit
from napari_wsseg.io.index import clock as _clock
from napari_wsseg.io.index.database import Database
from napari_wsseg.schema import Annotation


class ReaderStore:
    """Which masks were made final, and what each reader has seen and drawn."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def settle(
        self, case_id: str, finding: str, version: Annotation | None, *, actor: str
    ) -> None:
        """Make a version of a finding's mask final; ``None`` lets the newest count.

        Parameters
        ----------
        case_id, finding
            The case's 16 hexadecimal digits and the finding's name.
        version
            Of this finding on this case, by any reader.
        actor
            Adjudicator who says so.
        """
        number = version.id if version else None
        entry = {"case": case_id, "finding": finding, "annotation": number}
        with self._database.transaction():
            self._database.run(
                "INSERT INTO finals (case_id, finding, annotation, actor, created) "
                "VALUES (?, ?, ?, ?, ?)",
                *(case_id, finding, number, actor, _clock.now()),
            )
            _audit.append(self._database, actor, "final", entry)

    def settled(self, case_id: str | None = None) -> dict[str, dict[str, str]]:
        """Return, by case id and finding, who made the mask final that counts."""
        one, values = ("WHERE case_id = ?", (case_id,)) if case_id else ("", ())
        rows = self._database.rows(
            "SELECT case_id, finding, actor FROM finals WHERE annotation IS NOT NULL "
            "AND annotation NOT IN (SELECT annotation FROM withdrawn) "
            f"AND id IN (SELECT max(id) FROM finals {one} GROUP BY case_id, finding)",
            *values,
        )
        found: dict[str, dict[str, str]] = {}
        for row in rows:
            found.setdefault(row["case_id"], {})[row["finding"]] = row["actor"]
        return found

    def see(self, case_id: str, reader: str) -> None:
        """Enter that a reader has been shown a case just now."""
        self._database.run(
            "INSERT OR REPLACE INTO seen (case_id, reader, at) VALUES (?, ?, ?)",
            *(case_id, reader, _clock.now()),
        )

    def seen(self, reader: str) -> dict[str, str]:
        """Return when a reader was last shown each case, UTC, by case id."""
        rows = self._database.rows(
            "SELECT case_id, at FROM seen WHERE reader = ?", reader
        )
        return {row["case_id"]: row["at"] for row in rows}

    def drawn_by(self) -> list[str]:
        """Return who has drawn or approved masks, by name."""
        rows = self._database.rows(
            "SELECT DISTINCT reader FROM annotations ORDER BY reader"
        )
        return [str(row["reader"]) for row in rows]

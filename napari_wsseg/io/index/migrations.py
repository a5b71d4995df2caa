"""The tables of a project's index, and how an older index becomes a newer one.

A migration is one function of the connection, run inside a transaction. Version n of
the index is what the first n of them make; a new one is appended, none is changed.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable

_TABLES = (
    """CREATE TABLE cases (
        id TEXT PRIMARY KEY,
        path TEXT NOT NULL UNIQUE,
        height INTEGER NOT NULL CHECK (height > 0),
        width INTEGER NOT NULL CHECK (width > 0),
        row_mm REAL,
        column_mm REAL,
        split TEXT NOT NULL CHECK (split IN ('train', 'val', 'test')),
        labels TEXT NOT NULL
    ) WITHOUT ROWID""",
    """CREATE TABLE annotations (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        case_id TEXT NOT NULL REFERENCES cases (id),
        finding TEXT NOT NULL,
        reader TEXT NOT NULL,
        version INTEGER NOT NULL,
        parent INTEGER REFERENCES annotations (id),
        mask_sha TEXT NOT NULL,
        pixels_sha TEXT NOT NULL,
        tool TEXT NOT NULL,
        source_run TEXT,
        area_px INTEGER NOT NULL,
        created TEXT NOT NULL,
        UNIQUE (case_id, finding, reader, version)
    )""",
    """CREATE TABLE withdrawn (
        annotation INTEGER PRIMARY KEY REFERENCES annotations (id),
        reason TEXT NOT NULL,
        created TEXT NOT NULL
    )""",
    """CREATE TABLE decisions (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        case_id TEXT NOT NULL REFERENCES cases (id),
        verdict TEXT NOT NULL,
        reader TEXT NOT NULL,
        confidence INTEGER,
        comment TEXT NOT NULL,
        seconds REAL,
        created TEXT NOT NULL
    )""",
    "CREATE INDEX decisions_by_case ON decisions (case_id, id)",
    """CREATE TABLE strokes (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        case_id TEXT NOT NULL REFERENCES cases (id),
        finding TEXT NOT NULL,
        reader TEXT NOT NULL,
        base INTEGER REFERENCES annotations (id),
        bridge INTEGER NOT NULL,
        y INTEGER NOT NULL,
        x INTEGER NOT NULL,
        height INTEGER NOT NULL,
        width INTEGER NOT NULL,
        flips BLOB NOT NULL,
        after_sha TEXT NOT NULL,
        created TEXT NOT NULL
    )""",
    "CREATE INDEX strokes_by_mask ON strokes (case_id, finding, reader, id)",
    """CREATE TABLE adoptions (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        stage TEXT NOT NULL,
        run TEXT NOT NULL,
        actor TEXT NOT NULL,
        created TEXT NOT NULL
    )""",
    """CREATE TABLE audit (
        seq INTEGER PRIMARY KEY AUTOINCREMENT,
        created TEXT NOT NULL,
        actor TEXT NOT NULL,
        action TEXT NOT NULL,
        payload TEXT NOT NULL,
        previous TEXT NOT NULL,
        hash TEXT NOT NULL
    )""",
)

_APPEND_ONLY = ("annotations", "decisions", "adoptions", "audit")


def _first_index(connection: sqlite3.Connection) -> None:
    for statement in _TABLES:
        connection.execute(statement)
    for table in _APPEND_ONLY:
        for verb in ("UPDATE", "DELETE"):
            connection.execute(
                f"CREATE TRIGGER {table}_no_{verb.lower()} BEFORE {verb} ON {table} "
                f"BEGIN SELECT RAISE(ABORT, '{table} only grows'); END"
            )


def _several_readers(connection: sqlite3.Connection) -> None:
    """Verdicts on single findings, masks that settle a film, and who saw what when."""
    connection.execute("ALTER TABLE decisions ADD COLUMN finding TEXT")
    connection.execute(
        """CREATE TABLE finals (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            case_id TEXT NOT NULL REFERENCES cases (id),
            finding TEXT NOT NULL,
            annotation INTEGER REFERENCES annotations (id),
            actor TEXT NOT NULL,
            created TEXT NOT NULL
        )"""
    )
    connection.execute("CREATE INDEX finals_by_mask ON finals (case_id, finding, id)")
    for verb in ("UPDATE", "DELETE"):
        connection.execute(
            f"CREATE TRIGGER finals_no_{verb.lower()} BEFORE {verb} ON finals "
            "BEGIN SELECT RAISE(ABORT, 'finals only grows'); END"
        )
    connection.execute(
        """CREATE TABLE seen (
            case_id TEXT NOT NULL REFERENCES cases (id),
            reader TEXT NOT NULL,
            at TEXT NOT NULL,
            PRIMARY KEY (case_id, reader)
        ) WITHOUT ROWID"""
    )


def _undone_decisions(connection: sqlite3.Connection) -> None:
    """Decisions taken back at once: what another reader decided before holds again."""
    connection.execute(
        """CREATE TABLE undone (
            decision INTEGER PRIMARY KEY REFERENCES decisions (id),
            actor TEXT NOT NULL,
            created TEXT NOT NULL
        )"""
    )


def _decisions_by_row(connection: sqlite3.Connection) -> None:
    """Keep the newest annotation at each decision: clocks go backwards, rows do not."""
    connection.execute("ALTER TABLE decisions ADD COLUMN after INTEGER")


def _label_versions(connection: sqlite3.Connection) -> None:
    """Image-level labels that readers gave, each a version; older ones stay."""
    connection.execute(
        """CREATE TABLE labels (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            case_id TEXT NOT NULL REFERENCES cases (id),
            finding TEXT NOT NULL,
            value INTEGER CHECK (value IN (1, 0, -1)),
            reader TEXT NOT NULL,
            source TEXT NOT NULL,
            undoes INTEGER REFERENCES labels (id),
            created TEXT NOT NULL
        )"""
    )
    connection.execute("CREATE INDEX labels_by_case ON labels (case_id, finding, id)")
    for verb in ("UPDATE", "DELETE"):
        connection.execute(
            f"CREATE TRIGGER labels_no_{verb.lower()} BEFORE {verb} ON labels "
            "BEGIN SELECT RAISE(ABORT, 'labels only grows'); END"
        )


def _work_of_readers(connection: sqlite3.Connection) -> None:
    """Active seconds and gestures by film and finding, and what became of drafts."""
    connection.execute(
        """CREATE TABLE work (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            case_id TEXT NOT NULL REFERENCES cases (id),
            finding TEXT,
            reader TEXT NOT NULL,
            arm TEXT NOT NULL,
            seconds REAL NOT NULL CHECK (seconds >= 0),
            gestures TEXT NOT NULL,
            earlier INTEGER NOT NULL,
            created TEXT NOT NULL
        )"""
    )
    connection.execute("CREATE INDEX work_by_case ON work (case_id, id)")
    connection.execute(
        """CREATE TABLE outcomes (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            decision INTEGER NOT NULL REFERENCES decisions (id),
            finding TEXT NOT NULL,
            start TEXT NOT NULL,
            source_run TEXT,
            offered_px INTEGER,
            added_px INTEGER NOT NULL,
            removed_px INTEGER NOT NULL,
            mask_px INTEGER NOT NULL,
            unedited INTEGER NOT NULL,
            UNIQUE (decision, finding)
        )"""
    )
    for table in ("work", "outcomes"):
        for verb in ("UPDATE", "DELETE"):
            connection.execute(
                f"CREATE TRIGGER {table}_no_{verb.lower()} BEFORE {verb} ON {table} "
                f"BEGIN SELECT RAISE(ABORT, '{table} only grows'); END"
            )


_PRESENT = (
    "coalesce((SELECT group_concat(key, ' ') FROM json_each(CASE WHEN "
    "json_valid({row}.labels) THEN {row}.labels ELSE '{{}}' END) WHERE value = 1), '')"
)
"""Names of the findings that a film is labelled to have; of damaged labels, none."""

_FORGET_WORDS = (
    "INSERT INTO film_words (film_words, rowid, place, part, present) SELECT 'delete', "
    f"number, old.path, old.split, {_PRESENT.format(row='old')} FROM film_numbers "
    "WHERE case_id = old.id"
)
_LEARN_WORDS = (
    "INSERT INTO film_words (rowid, place, part, present) SELECT number, new.path, "
    f"new.split, {_PRESENT.format(row='new')} FROM film_numbers WHERE case_id = new.id"
)


def _words_of_films(connection: sqlite3.Connection) -> None:
    """Let any part of a film's path, split and findings be found without a scan.

    Cases have no number of their own, which a full-text index wants. It keeps no text.
    ``cases_in_order`` has all that a list of ids needs.
    """
    connection.execute(
        """CREATE TABLE film_numbers (
            number INTEGER PRIMARY KEY,
            case_id TEXT NOT NULL UNIQUE REFERENCES cases (id)
        )"""
    )
    connection.execute(
        "CREATE VIRTUAL TABLE film_words USING fts5 (place, part, present, "
        "content = '', tokenize = 'trigram')"
    )
    for statement in FILL_WORDS:
        connection.execute(statement)
    connection.execute(
        "CREATE TRIGGER film_words_insert AFTER INSERT ON cases BEGIN "
        f"INSERT INTO film_numbers (case_id) VALUES (new.id); {_LEARN_WORDS}; END"
    )
    connection.execute(
        "CREATE TRIGGER film_words_update AFTER UPDATE OF path, split, labels ON cases "
        f"BEGIN {_FORGET_WORDS}; {_LEARN_WORDS}; END"
    )
    connection.execute(
        "CREATE TRIGGER film_words_delete BEFORE DELETE ON cases BEGIN "
        f"{_FORGET_WORDS}; DELETE FROM film_numbers WHERE case_id = old.id; END"
    )
    connection.execute("CREATE INDEX cases_in_order ON cases (path, id, split)")


FILL_WORDS = (
    "INSERT OR IGNORE INTO film_numbers (case_id) SELECT id FROM cases ORDER BY path",
    "INSERT INTO film_words (film_words) VALUES ('delete-all')",
    "INSERT INTO film_words (rowid, place, part, present) SELECT number, path, split, "
    f"{_PRESENT.format(row='cases')} FROM film_numbers JOIN cases ON id = case_id",
)
"""Statements that make the index of words anew from the cases."""

MIGRATIONS: list[Callable[[sqlite3.Connection], None]] = [
    _first_index,
    _several_readers,
    _undone_decisions,
    _decisions_by_row,
    _label_versions,
    _work_of_readers,
    _words_of_films,
]
"""In order; the index's version is the number of them that have been run."""


def migrate(connection: sqlite3.Connection, to: int | None = None) -> None:
    """Bring the index to the newest version, or to version `to`, all steps or none."""
    version = index_version(connection)
    to = len(MIGRATIONS) if to is None else to
    connection.execute("BEGIN IMMEDIATE")
    try:
        for step in MIGRATIONS[version:to]:
            step(connection)
        connection.execute(f"PRAGMA user_version = {to}")
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


def index_version(connection: sqlite3.Connection) -> int:
    """Return how many migrations the index has seen; 0 for a new file."""
    return int(connection.execute("PRAGMA user_version").fetchone()[0])

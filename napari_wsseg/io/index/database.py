"""The SQLite index of a project: opened defensively, its errors told in words."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

from napari_wsseg.io import project_files
from napari_wsseg.io.index import kinds as _kinds
from napari_wsseg.io.index import migrations as _migrations
from napari_wsseg.jobs import DataError

APPLICATION_ID = 0x77737367
"""``wssg``: tells our index from any other SQLite file."""

BUSY_SECONDS = 10.0

MAX_VALUE_BYTES = 2**26
"""Of one text or blob; a stroke over the largest film is a tenth of it."""


class Database:
    """One connection to the index, used from the thread that opened it.

    Parameters
    ----------
    path
        ``index.sqlite`` of the project.
    readonly
        Never changes a byte of the index; sees the rows a live writer commits.
    check
        Raises `DataError` where nothing may be written now; asked before a transaction
        and before it ends.
    frozen
        The file is a `copy_to`: nobody writes it, so that it is read without locks.
    """

    def __init__(
        self,
        path: Path,
        *,
        readonly: bool,
        check: Callable[[], None] = lambda: None,
        frozen: bool = False,
    ) -> None:
        self.path = path
        self._check = check
        self.readonly = readonly
        self._inside = False
        with self._errors_named():
            if frozen:
                self._connection = _connect(path, "mode=ro&immutable=1")
            else:
                self._connection = _reading(path) if readonly else _writing(path)

    def rows(self, sql: str, *values: object) -> list[sqlite3.Row]:
        """Return all rows of a query.

        Raises
        ------
        DataError
            The index is damaged, or a column holds a value of another kind.
        """
        with self._errors_named():
            cursor = self._connection.execute(sql, values)
            rows = cursor.fetchall()
        if not sql.startswith("PRAGMA"):
            _check_kinds(self.path, [c[0] for c in cursor.description or ()], rows)
        return rows

    def row(self, sql: str, *values: object) -> sqlite3.Row | None:
        """Return the first row of a query, or ``None``."""
        rows = self.rows(sql, *values)
        return rows[0] if rows else None

    def run(self, sql: str, *values: object) -> int:
        """Run a statement that writes; return the id of the row it made."""
        with self.transaction():
            return int(self._connection.execute(sql, values).lastrowid or 0)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All that is written inside lands together, or nothing; may be nested.

        Raises
        ------
        DataError
            The project was opened to read, the disk is full, the index is damaged.
        """
        if self.readonly:
            raise DataError(
                f"{self.path.parent}: opened read-only, so nothing can be changed; "
                "open it for writing"
            )
        with self._errors_named():
            if self._inside:
                self._check_unbroken()
                yield
                return
            self._check()
            self._connection.execute("BEGIN IMMEDIATE")
            self._inside = True
            try:
                yield
                self._check()
                # One that fails leaves its transaction open: what is written next
                # would seem to land and be gone with it.
                self._connection.execute("COMMIT")
            except BaseException:
                # A full disk makes SQLite roll back by itself.
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise
            finally:
                self._inside = False

    def wipe(self) -> None:
        """Leave nothing on disk of what rows held before they were changed."""
        with self.transaction():
            # An index of words keeps what was deleted until it is made anew.
            for statement in _migrations.FILL_WORDS:
                self._connection.execute(statement)
        with self._errors_named():
            self._connection.execute("VACUUM")
            self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def copy_to(self, path: Path) -> None:
        """Write a copy of the index that is read without locks, as a share wants it.

        Raises
        ------
        DataError
            The disk is full or gone.
        """
        growing = path.with_name(f"{path.name}.growing")
        with self._errors_named():
            project_files.make_folder(path.parent)
            project_files.remove(growing)
            with closing(sqlite3.connect(project_files.checked(growing))) as copy:
                self._connection.backup(copy)
                # With a log of its own it could not be read without writing.
                copy.execute("PRAGMA journal_mode = DELETE")
            os.replace(growing, path)

    def _check_unbroken(self) -> None:
        """Refuse to go on with what SQLite rolled back: it would land by itself."""
        if not self._connection.in_transaction:
            raise sqlite3.OperationalError("rolled back: the disk is full or failing")

    def close(self) -> None:
        """Close the connection; a second call does nothing."""
        self._connection.close()

    @contextmanager
    def _errors_named(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError, UnicodeDecodeError) as error:
            raise DataError(_message(self.path, error)) from error


def _check_kinds(
    path: Path, columns: Sequence[str], rows: Sequence[sqlite3.Row]
) -> None:
    flaw = _kinds.flaw(columns, rows)
    if flaw is not None:
        raise DataError(
            f"{path}: {flaw}, which wsseg never writes there; restore the index from "
            "a backup"
        )


def create(path: Path) -> None:
    """Make a new, empty index.

    Raises
    ------
    DataError
        The folder cannot be written to.
    """
    try:
        with closing(sqlite3.connect(path, isolation_level=None)) as connection:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            _migrations.migrate(connection)
    except (sqlite3.Error, OSError) as error:
        raise DataError(_message(path, error)) from error


def _connect(path: Path, query: str) -> sqlite3.Connection:
    _check_files(path)
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?{query}",
        uri=True,
        timeout=BUSY_SECONDS,
        isolation_level=None,
    )
    try:
        connection.row_factory = sqlite3.Row
        # Triggers and views of a foreign file must not call functions with effects.
        connection.execute("PRAGMA trusted_schema = OFF")
        connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, MAX_VALUE_BYTES)
        connection.execute("PRAGMA cell_size_check = ON")
        connection.execute("PRAGMA foreign_keys = ON")
        _check_ours(connection, path)
    except BaseException:
        connection.close()
        raise
    return connection


def _check_files(path: Path) -> None:
    """Refuse links, and a rollback journal: it names a file that SQLite deletes."""
    for ending in ("", "-wal", "-shm", "-journal"):
        project_files.checked(path.with_name(path.name + ending))
    journal = path.with_name(f"{path.name}-journal")
    if os.path.lexists(journal):
        raise DataError(
            f"{journal}: is of another program that wrote to the index and broke off; "
            "wsseg makes none; let that program finish, or restore the project from a "
            "backup"
        )


def _check_ours(connection: sqlite3.Connection, path: Path) -> None:
    if connection.execute("PRAGMA application_id").fetchone()[0] != APPLICATION_ID:
        raise DataError(f"{path}: not the index of a wsseg project")
    version = _migrations.index_version(connection)
    if version > len(_migrations.MIGRATIONS):
        raise DataError(
            f"{path.parent}: made by a newer napari-wsseg (index version {version}, "
            f"this one knows {len(_migrations.MIGRATIONS)}); update napari-wsseg"
        )
    _check_tables(connection, path, version)


def _check_tables(connection: sqlite3.Connection, path: Path, version: int) -> None:
    """Refuse what no version of ours makes: a foreign trigger would act for us."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as ours:
        _migrations.migrate(ours, version)
        own = _tables(ours)
    for kind, name, sql in _tables(connection) - own:
        raise DataError(
            f"{path}: has a {kind} {name!r} that wsseg did not make ({sql[:60]}…); "
            "restore the index from a backup"
        )


def _tables(connection: sqlite3.Connection) -> set[tuple[str, str, str]]:
    rows = connection.execute(
        "SELECT type, name, sql FROM sqlite_master WHERE sql IS NOT NULL"
    )
    return {(row[0], row[1], row[2]) for row in rows}


def _writing(path: Path) -> sqlite3.Connection:
    connection = _connect(path, "mode=rw")
    try:
        version = _migrations.index_version(connection)
        if version < len(_migrations.MIGRATIONS):
            _back_up(connection, path.with_name(f"{path.name}.v{version}.backup"))
            _migrations.migrate(connection)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        # Every trigger was seen to be ours; older SQLites let none write to FTS5 else.
        connection.execute("PRAGMA trusted_schema = ON")
        # A path that is changed must not stay in a corner of the page.
        connection.execute("PRAGMA secure_delete = ON")
        # A file that cannot be opened to write, SQLite opens to read without a word.
        connection.execute("BEGIN IMMEDIATE")
        connection.execute(f"PRAGMA user_version = {len(_migrations.MIGRATIONS)}")
        connection.execute("ROLLBACK")
    except BaseException:
        connection.close()
        raise
    return connection


def _reading(path: Path) -> sqlite3.Connection:
    try:
        connection = _connect(path, "mode=ro")
    except sqlite3.OperationalError:
        # A folder that nobody may write to, or a full disk, has no room for WAL's
        # shared memory; without a log the file alone is the whole and constant truth.
        log = path.with_name(f"{path.name}-wal")
        if log.exists() and log.stat().st_size:
            raise
        connection = _connect(path, "mode=ro&immutable=1")
    if _migrations.index_version(connection) == len(_migrations.MIGRATIONS):
        return connection
    return _migrated_copy(connection)


def _migrated_copy(connection: sqlite3.Connection) -> sqlite3.Connection:
    """Copy an older index into memory and bring that up to date: to read is free."""
    copy = sqlite3.connect(":memory:", isolation_level=None)
    with closing(connection):
        connection.backup(copy)
    copy.row_factory = sqlite3.Row
    _migrations.migrate(copy)
    return copy


def _back_up(connection: sqlite3.Connection, target: Path) -> None:
    growing = target.with_name(f"{target.name}.growing")
    project_files.remove(target)
    project_files.remove(growing)
    with closing(sqlite3.connect(project_files.checked(growing))) as copy:
        connection.backup(copy)
    os.replace(growing, target)


def _message(path: Path, error: sqlite3.Error | OSError | UnicodeDecodeError) -> str:
    text = str(error)
    if "full" in text or "No space left" in text:
        return f"{path.parent}: the disk is full; nothing was changed, free some space"
    if isinstance(error, OSError):
        return f"{path.parent}: could not be written ({error.strerror or text})"
    if "no such module" in text or "no such tokenizer" in text:
        return (
            f"{path}: needs an SQLite of 3.34 or newer with FTS5, and this Python's "
            f"({sqlite3.sqlite_version}) says: {text}; install a newer Python"
        )
    if "unable to open" in text or "readonly" in text:
        return f"{path}: cannot be opened ({text}); check that it is there and allowed"
    if "disk I/O" in text:
        return f"{path.parent}: the disk is full or failing; nothing was changed"
    if "locked" in text:
        return f"{path.parent}: is being written to by another process; try again"
    if isinstance(error, sqlite3.IntegrityError):
        return f"{path.parent}: refused by the project's rules ({text})"
    return f"{path}: damaged ({text}); keep a copy and run `wsseg fsck`"

"""Rows of cases."""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter

import numpy as np
from numpy.typing import NDArray

from napari_wsseg.io import film_names, values
from napari_wsseg.io.films.limits import check_shape
from napari_wsseg.io.index import annotations as _annotations
from napari_wsseg.io.index.database import Database
from napari_wsseg.jobs import DataError, naming
from napari_wsseg.schema import SPLITS, Case, Split

_DIGITS = 16
_ID = re.compile(rf"[0-9a-f]{{{_DIGITS}}}")

_ALLOWED = (1, 0, -1, None)

_ROWS = "SELECT id, path, height, width, row_mm, column_mm, split, labels FROM cases"

UNKNOWN = 2
"""A label in `columns` that is neither 1, 0 nor -1."""


def insert(database: Database, case: Case, findings: Sequence[str]) -> None:
    """Enter a new case.

    Parameters
    ----------
    database, case
        The index, and the case with its path relative to the image folder.
    findings
        The project's; labels may be of no other.

    Raises
    ------
    DataError
        Known already, or with a split, label or finding that does not exist.
    """
    if case.split not in SPLITS:
        raise DataError(f"{case.path}: split {case.split!r} is not train, val or test")
    labels = _to_json(case.path, case.labels, findings)
    twin = database.row(
        "SELECT path FROM cases WHERE id = ? OR path = ?", case.id, case.path
    )
    if twin is not None:
        raise DataError(f"{case.path}: already in the project, as {twin['path']}")
    row_mm, column_mm = case.spacing_mm or (None, None)
    database.run(
        "INSERT INTO cases (id, path, height, width, row_mm, column_mm, split, labels) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        *(case.id, case.path, *case.shape, row_mm, column_mm, case.split, labels),
    )


def select(
    database: Database, findings: Sequence[str], split: str | None = None
) -> list[Case]:
    """Return the cases of a split, or all, ordered by path.

    Parameters
    ----------
    database, findings
        The index, and the names that each case has a label of, ``None`` if unknown.
    split
        ``"train"``, ``"val"`` or ``"test"``; ``None``: all.
    """
    where, values = ("WHERE split = ?", (split,)) if split else ("", ())
    rows = database.rows(f"{_ROWS} {where}", *values)
    # Half the time that SQLite takes, which looks every row up by its path.
    rows.sort(key=itemgetter("path"))
    return list(map(_Cases(findings).case, rows))


def one(database: Database, findings: Sequence[str], case_id: str) -> Case:
    """Return one case.

    Parameters
    ----------
    database, findings
        The index, and the names that the case has a label of, ``None`` if unknown.
    case_id
        16 hexadecimal digits.

    Raises
    ------
    DataError
        There is no such case.
    """
    row = database.row(f"{_ROWS} WHERE id = ?", case_id)
    if row is None:
        raise DataError(f"{database.path.parent}: has no case {case_id!r}")
    return _Cases(findings).case(row)


def count(database: Database, split: str | None = None) -> int:
    """Count the cases of a split, or all."""
    where, values = ("WHERE split = ?", (split,)) if split else ("", ())
    row = database.row(f"SELECT count(*) AS cases FROM cases {where}", *values)
    return int(row["cases"]) if row else 0


def ids(database: Database, split: str | None = None) -> list[str]:
    """Return the ids of the cases of a split, or all, ordered by path."""
    where, values = ("WHERE split = ?", (split,)) if split else ("", ())
    sql = f"SELECT id FROM cases {where} ORDER BY path"
    row = database.row(
        f"SELECT group_concat(id, '') AS joined, count(*) AS cases, "
        f"total(typeof(id) = 'text' AND length(id) = {_DIGITS}) AS good FROM ({sql})",
        *values,
    )
    text = row["joined"] or "" if row else ""
    if row is None or row["good"] != row["cases"] or not _is_hexadecimal(text):
        return _one_by_one(database, sql, *values)
    return [text[at : at + _DIGITS] for at in range(0, len(text), _DIGITS)]


def numbers(database: Database, sql: str, *values: object) -> NDArray[np.uint64]:
    """Return the ids that a query selects as numbers of 64 bits, in its order."""
    row = database.row(f"SELECT group_concat(id, '') AS joined FROM ({sql})", *values)
    text = row["joined"] or "" if row else ""
    if len(text) % _DIGITS or not _is_hexadecimal(text):
        text = "".join(_one_by_one(database, sql, *values))
    return np.frombuffer(bytes.fromhex(text), ">u8").astype(np.uint64)


def _is_hexadecimal(text: str) -> bool:
    try:
        return bytes.fromhex(text).hex() == text
    except ValueError:
        return False


def _one_by_one(database: Database, sql: str, *values: object) -> list[str]:
    """Return ids of rows, which takes three times as long as all in one string."""
    found = [row[0] for row in database.rows(sql, *values)]
    for case_id in found:
        _check_id(case_id)
    return found


def some(
    database: Database, findings: Sequence[str], case_ids: Sequence[str]
) -> dict[str, Case]:
    """Return cases by id; ids that there are not are left out.

    Parameters
    ----------
    database, findings
        As in `select`.
    case_ids
        A few hundred at most: SQLite takes no more values at once than 32,766.
    """
    marks = ",".join("?" * len(case_ids))
    rows = database.rows(f"{_ROWS} WHERE id IN ({marks})", *case_ids)
    return {case.id: case for case in map(_Cases(findings).case, rows)}


def any_path_has(database: Database, word: str) -> bool:
    """Whether a path has a word, given in small letters, in whatever letters."""
    sql = "SELECT id FROM cases WHERE instr(lower(path), ?) LIMIT 1"
    return database.row(sql, word) is not None


@dataclass(frozen=True, slots=True, eq=False)
class CaseColumns:
    """What a list of all cases has to know, a column for each: a byte for a label.

    Parameters
    ----------
    ids, splits
        Of N cases, ordered by path.
    labels : (N, K) int8
        1, 0, -1 or `UNKNOWN` of each of the project's findings.
    """

    ids: list[str]
    splits: list[Split]
    labels: NDArray[np.int8]


def columns(database: Database, findings: Sequence[str]) -> CaseColumns:
    """Return what is known of all cases, ordered by path.

    Parameters
    ----------
    database, findings
        The index, and the K findings.
    """
    rows = database.rows("SELECT id, split, path, labels FROM cases")
    rows.sort(key=itemgetter("path"))
    table = np.full((len(rows), len(findings)), UNKNOWN, np.int8)
    known: dict[str, list[int]] = {}
    for place, (case_id, _, path, text) in enumerate(rows):
        _check_id(case_id)
        line = known.get(text)
        if line is None:
            found = _labels(path, text, findings).values()
            line = known[text] = [UNKNOWN if v is None else v for v in found]
        table[place] = line
    return CaseColumns([row[0] for row in rows], [row[1] for row in rows], table)


@dataclass(frozen=True, slots=True)
class CaseKind:
    """How many cases are alike in their split, their labels and having a mask."""

    split: Split
    labels: Mapping[str, int | None]
    masked: bool
    count: int


def kinds(database: Database, findings: Sequence[str]) -> list[CaseKind]:
    """Count the cases by split, labels and whether they have an expert mask.

    Parameters
    ----------
    database, findings
        The index, and the names that each case has a label of, ``None`` if unknown.
    """
    rows = database.rows(
        f"SELECT split, labels, id IN {_annotations.MASKED} AS masked, "
        "min(path) AS path, count(*) AS cases FROM cases GROUP BY 1, 2, 3"
    )
    return [
        CaseKind(
            row["split"],
            _labels(row["path"], row["labels"], findings),
            bool(row["masked"]),
            row["cases"],
        )
        for row in rows
    ]


def set_labels(
    database: Database,
    case: Case,
    labels: Mapping[str, int | None],
    findings: Sequence[str],
) -> None:
    """Change the labels that are named in `labels`; the others stay.

    Parameters
    ----------
    database, case
        The index, and the case with the labels it has now.
    labels
        Finding to 1 (present), 0 (absent), -1 (uncertain) or ``None`` (unknown).
    findings
        The project's; labels may be of no other.

    Raises
    ------
    DataError
        No such finding, or no such value.
    """
    text = _to_json(case.path, {**case.labels, **labels}, findings)
    database.run("UPDATE cases SET labels = ? WHERE id = ?", text, case.id)


def set_paths(database: Database, paths: Mapping[str, str]) -> None:
    """Give cases other paths, by case id; two may swap theirs."""
    with database.transaction():
        for tag, path_of_case in (("?", str), ("", paths.__getitem__)):
            for case_id in paths:
                database.run(
                    "UPDATE cases SET path = ? WHERE id = ?",
                    tag + path_of_case(case_id),
                    case_id,
                )


def _to_json(
    path: str, labels: Mapping[str, int | None], findings: Sequence[str]
) -> str:
    for finding, value in labels.items():
        if finding not in findings:
            known = ", ".join(findings)
            raise DataError(f"{path}: no finding {finding!r}; there are: {known}")
        if value not in _ALLOWED:
            raise DataError(
                f"{path}: label {value!r} of {finding!r} is not 1 (present), "
                "0 (absent), -1 (uncertain) or blank (unknown)"
            )
    return json.dumps({f: v for f, v in labels.items() if v is not None})


class _Cases:
    """Makes cases of rows; films with the same labels share one object of them.

    Of 224,000 films some thousands of combinations of labels are different.
    """

    def __init__(self, findings: Sequence[str]) -> None:
        self._findings = findings
        self._known: dict[str, Mapping[str, int | None]] = {}

    def case(self, row: sqlite3.Row) -> Case:
        """Return a row's case; `DataError` where it holds what no case has."""
        case_id, path, height, width, row_mm, column_mm, split, labels = row
        _check_id(case_id)
        try:
            check_shape(height, width)
        except DataError:
            with naming(path):
                raise
        known = self._known.get(labels)
        if known is None:
            known = self._known[labels] = _labels(path, labels, self._findings)
        spacing = None if row_mm is None or column_mm is None else (row_mm, column_mm)
        return Case(
            case_id, film_names.inside(path), (height, width), spacing, split, known
        )


def _check_id(case_id: object) -> None:
    if not isinstance(case_id, str) or not _ID.fullmatch(case_id):
        # It names folders and files.
        raise DataError(f"case id {case_id!r} is not 16 digits 0-9 a-f; refused")


def _labels(path: str, text: str, findings: Sequence[str]) -> dict[str, int | None]:
    try:
        known = dict(values.parse(text))
        odd = [name for name, value in known.items() if value not in _ALLOWED[:3]]
        if odd:
            raise ValueError(f"{odd[0]!r} is neither 1, 0 nor -1")
    except (ValueError, TypeError, RecursionError) as error:
        raise DataError(
            f"{path}: its labels are damaged ({error}); restore the index"
        ) from error
    return {finding: known.get(finding) for finding in findings}

"""Rows of cases."""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Mapping, Sequence

from napari_wsseg.io import film_names, values
from napari_wsseg.io.films.limits import check_shape
from napari_wsseg.io.index.database import Database
from napari_wsseg.jobs import DataError, naming
from napari_wsseg.schema import SPLITS, Case

_ID = re.compile(r"[0-9a-f]{16}")

_ALLOWED = (1, 0, -1, None)


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
    rows = database.rows(f"SELECT * FROM cases {where} ORDER BY path", *values)
    return [_case(row, findings) for row in rows]


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
    row = database.row("SELECT * FROM cases WHERE id = ?", case_id)
    if row is None:
        raise DataError(f"{database.path.parent}: has no case {case_id!r}")
    return _case(row, findings)


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
        for tag, of in (("?", str), ("", paths.__getitem__)):
            for case_id in paths:
                database.run(
                    "UPDATE cases SET path = ? WHERE id = ?", tag + of(case_id), case_id
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


def _case(row: sqlite3.Row, findings: Sequence[str]) -> Case:
    if not _ID.fullmatch(row["id"]):
        # It names folders and files.
        raise DataError(f"case id {row['id']!r} is not 16 digits 0-9 a-f; refused")
    with naming(row["path"]):
        check_shape(row["height"], row["width"])
    try:
        known = dict(values.parse(row["labels"]))
        odd = [name for name, value in known.items() if value not in _ALLOWED[:3]]
        if odd:
            raise ValueError(f"{odd[0]!r} is neither 1, 0 nor -1")
    except (ValueError, TypeError, RecursionError) as error:
        raise DataError(
            f"{row['path']}: its labels are damaged ({error}); restore the index"
        ) from error
    spacing = (row["row_mm"], row["column_mm"])
    return Case(
        id=row["id"],
        path=film_names.inside(row["path"]),
        shape=(row["height"], row["width"]),
        spacing_mm=None if None in spacing else spacing,
        split=row["split"],
        labels={finding: known.get(finding) for finding in findings},
    )

"""Labels whose table names a film by what its DICOM header says, not by its file."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from napari_wsseg.datasets.importing import guarded as _guarded
from napari_wsseg.datasets.importing.labels_csv import LabelRow, LabelTable
from napari_wsseg.datasets.importing.report import Rejected
from napari_wsseg.jobs import DataError, Progress


def rows_of_films(
    table: LabelTable, images: Path, paths: Sequence[str], labels: Path
) -> Generator[Progress, None, tuple[LabelTable, list[Rejected]]]:
    """Yield progress; return the table by path, and the lines that mean no film.

    A line may mean several films: those of one study.

    Parameters
    ----------
    table
        With rows by an element of the header, see `LabelTable.key`.
    images
        Folder or archive of the films.
    paths
        Of the films, relative to it.
    labels
        What the messages call the table.

    Returns
    -------
    table : LabelTable
        With rows by the film's path.
    rejected : list
        Lines that mean no film that is there.

    Raises
    ------
    DataError
        No line means a film that is there.
    """
    named: dict[str, str] = {}
    values = _guarded.elements([images / path for path in paths], table.key)
    for step, (path, value) in enumerate(zip(paths, values, strict=True), start=1):
        if value:
            named[path] = value
        yield Progress(step, len(paths), "matching labels")
    rows = {
        path: table.rows[value] for path, value in named.items() if value in table.rows
    }
    if table.rows and paths and not rows:
        raise DataError(
            f"{labels}: none of its {len(table.rows)} lines names the {table.key} of a "
            "film that is there; nothing was made"
        )
    return replace(table, rows=rows), _without_film(table, named, labels)


def _without_film(
    table: LabelTable, named: Mapping[str, str], labels: Path
) -> list[Rejected]:
    there = set(named.values())
    return [
        Rejected(name, _reason(table.key, row, labels))
        for name, row in table.rows.items()
        if name not in there
    ]


def _reason(key: str, row: LabelRow, labels: Path) -> str:
    return f"no film has this {key}; line {row.line} of {labels} lists it"

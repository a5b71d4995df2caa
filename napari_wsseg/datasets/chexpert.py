"""CheXpert: JPEG films and a table for each split, uncertain labels kept as such."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from pathlib import Path

from napari_wsseg.datasets import datasets
from napari_wsseg.datasets.importing import build as _build
from napari_wsseg.datasets.importing import chexlocalize_masks as _chexlocalize_masks
from napari_wsseg.datasets.importing import chexpert_tables as _chexpert_tables
from napari_wsseg.datasets.importing import film_files as _film_files
from napari_wsseg.datasets.importing.chexpert_tables import ChexpertRow
from napari_wsseg.datasets.importing.report import ImportReport
from napari_wsseg.jobs import Progress

Masks = Mapping[str, Mapping[str, _build.MaskSource]]


@datasets.register("chexpert")
def steps(
    folder: Path,
    *,
    images: Path,
    labels: Path | None = None,
    masks: Path | None = None,
    lateral: bool = False,
    blanks_absent: bool = False,
) -> Generator[Progress, None, ImportReport]:
    """Yield progress while a project is made of CheXpert; return the report.

    Splits are the source's: train, valid as val, test. ``No Finding`` is no finding of
    the project; where it is 1 the row's blanks are absent.

    Parameters
    ----------
    folder, images
        Of the new project; and the folder ``CheXpert`` of the download.
    labels
        A table, or the folder of several; default, those in or beside `images`.
    masks
        CheXlocalize's JSON file or their folder, see `chexlocalize`; default, none.
    lateral
        Import lateral films as well.
    blanks_absent
        Take every blank for absent rather than unknown.

    Raises
    ------
    DataError
        A table is missing, lacks a column or has a cell that is off, or no film can be
        read.
    """
    images = _film_files.folder(images)
    _build.check_free(Path(folder).absolute())
    findings = _chexpert_tables.FINDINGS
    with _chexlocalize_masks.opened(masks) as drawn:
        tables = _chexpert_tables.tables(labels, images)
        rows = _chexpert_tables.read(tables, findings, blanks_absent=blanks_absent)
        return (
            yield from build(
                Path(folder), images, rows, drawn, findings=findings, lateral=lateral
            )
        )


def build(
    folder: Path,
    images: Path,
    rows: Mapping[str, ChexpertRow],
    drawn: Masks,
    *,
    findings: Sequence[str],
    lateral: bool,
) -> Generator[Progress, None, ImportReport]:
    """Yield progress while a project is made of the rows whose films are there.

    Parameters
    ----------
    folder
        A new folder, for the project.
    images
        Folder of the films.
    rows
        What the tables say, by film: ``patient/study/view``.
    drawn
        Mask sources by finding, by film: ``patient_study_view``; empty if there are
        none.
    findings
        Names, in the project's order.
    lateral
        Take lateral films, too.

    Raises
    ------
    DataError
        As `napari_wsseg.datasets.importing.build.build`.
    """
    films, left_out = _film_files.by_key(
        _film_files.paths(images, without=(folder,)), _chexpert_tables.key
    )
    wanted = {name: row for name, row in rows.items() if lateral or row.frontal}
    remarks = []
    if len(wanted) < len(rows):
        remarks.append(
            f"{len(rows) - len(wanted)} lateral films left out; --set lateral=yes "
            "imports them"
        )
    missing = []
    for table in dict.fromkeys(row.table for row in wanted.values()):
        lines = {name: row.line for name, row in wanted.items() if row.table == table}
        gone, warnings = _film_files.missing(lines, films, table, one_of_several=True)
        missing += gone
        remarks += warnings
    strays = sum(name not in rows for name in films)
    if strays:
        remarks.append(f"{strays} films have no row in the tables: left out")
    taken = {name: path for name, path in films.items() if name in wanted}
    remarks += _without_film(drawn, rows, taken)
    return (
        yield from _build.build(
            folder,
            images=images,
            findings=findings,
            films=[
                _build.Film(
                    path,
                    row.labels,
                    row.split,
                    _masks(name, row, drawn),
                    taken=_taken(name),
                )
                for name, path in taken.items()
                for row in (wanted[name],)
            ],
            rejected=[*missing, *left_out],
            warnings=[
                *remarks,
                *_film_files.empty_splits(wanted[name].split for name in taken),
            ],
        )
    )


def _taken(name: str) -> tuple[str, str]:
    """Return patient and number of the study: ``patient00001/study02/…``."""
    patient, _, rest = name.partition("/")
    study = rest.partition("/")[0].removeprefix("study")
    return patient, study.zfill(4)


def _masks(
    name: str, row: ChexpertRow, drawn: Masks
) -> Mapping[str, _build.MaskSource]:
    """Return a film's masks.

    Where masks were drawn, on val and test, radiologists have labelled, so that the
    findings which they say are absent are known to be absent by pixel.
    """
    own = drawn.get(name.replace("/", "_"))
    if own is not None:
        return own
    if not drawn or row.split == "train":
        return {}
    return {
        finding: None
        for finding in _chexlocalize_masks.FINDINGS
        if row.labels.get(finding) == 0
    }


def _without_film(
    drawn: Masks, rows: Mapping[str, ChexpertRow], taken: Mapping[str, str]
) -> list[str]:
    known = {name.replace("/", "_"): name for name in rows}
    lost = [
        name
        for name in drawn
        if name not in known or (rows[known[name]].frontal and known[name] not in taken)
    ]
    if not lost:
        return []
    return [f"{len(lost)} films with masks are not there, {lost[0]} and others"]

"""A folder of films, with ``labels.csv`` and masks beside it: the plain data set.

``labels.csv`` has the header ``image,<finding>…[,split]``; masks lie in
``<finding>/<image stem>.png``, or in the image's own sub-folders under ``<finding>/``.
"""

from __future__ import annotations

from collections.abc import Collection, Generator, Mapping, Sequence
from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path
from typing import Literal, TypeAlias

from napari_wsseg import jobs
from napari_wsseg.datasets import datasets
from napari_wsseg.datasets.importing import build as _build
from napari_wsseg.datasets.importing import discover as _discover
from napari_wsseg.datasets.importing import guarded as _guarded
from napari_wsseg.datasets.importing import header_labels as _header_labels
from napari_wsseg.datasets.importing import labels_csv as _labels_csv
from napari_wsseg.datasets.importing import mask_files as _mask_files
from napari_wsseg.datasets.importing import patients as _patients
from napari_wsseg.datasets.importing import splits as _splits
from napari_wsseg.datasets.importing.labels_csv import LabelRow, LabelTable
from napari_wsseg.datasets.importing.patients import Patients
from napari_wsseg.datasets.importing.report import ImportReport, Rejected
from napari_wsseg.io import folder_files as _folder_files
from napari_wsseg.io.external import film_matching as _film_matching
from napari_wsseg.io.external import mask_values
from napari_wsseg.jobs import DataError, Progress, counted
from napari_wsseg.schema import Split

_SHOWN = 5
"""Files that a remark names one by one."""

Names: TypeAlias = Literal["auto", "keep", "hide"]


def import_folder(
    project_folder: Path,
    images: Path,
    labels: Path | None = None,
    masks: Path | None = None,
    *,
    names: Names = "auto",
) -> ImportReport:
    """Make a project and return the report; see `steps` for the rules.

    Parameters
    ----------
    project_folder, images, labels, masks, names
        As in `steps`, where the project's folder is `folder`.

    Raises
    ------
    DataError
        As `steps`.
    """
    return jobs.finish(
        steps(project_folder, images=images, labels=labels, masks=masks, names=names)  # type: ignore[call-arg]
    )


@datasets.register("folder")
def steps(
    folder: Path,
    *,
    images: Path,
    labels: Path | None = None,
    masks: Path | None = None,
    colour: bool = False,
    lateral: bool = False,
    cut: float | None = None,
    names: Names = "auto",
    only: Collection[str] | None = None,
) -> Generator[Progress, None, ImportReport]:
    """Yield progress while a project is made of a folder; return the report.

    Findings are the columns of `labels`, else the folders in `masks`. A film that
    `labels` does not list is imported with unknown labels. Where no split is given, it
    is dealt out, all films of a DICOM patient together. A film labelled without a
    finding that has no mask file gets an empty expert mask, if there is a mask folder
    for the finding: absence is known by pixel.

    Parameters
    ----------
    folder
        A new folder, for the project.
    images
        A folder, a zip archive or a DICOMDIR; archives and DICOMDIRs in the folder are
        looked into.
    labels
        ``image,<finding>…[,split]``; its first column may be an element of DICOM
        headers instead, see `napari_wsseg.datasets.importing.labels_csv`.
    masks
        Folder with a folder for each finding.
    colour
        Networks see the red, green and blue of pictures.
    lateral
        Take DICOM films that say they are lateral views; without it they are left out.
    cut
        In masks of more than two values, what is above is the finding; in the unit of
        those values.
    names
        File names may tell who a patient is. ``"hide"`` keeps them out of the project,
        ``"keep"`` takes them over; ``"auto"`` hides those of a folder that has a DICOM
        film whose Patient Identity Removed is not YES, or a name with a ^ as DICOM
        writes those of persons.
    only
        Paths in `images`: no other files are looked at; all of them without.

    Raises
    ------
    DataError
        No film can be read, a label is off, or no finding is named; nothing is made.
    """
    images = _discover.root(images)
    masks = _existing(masks, "mask folder") if masks else None
    _build.check_free(Path(folder).absolute())
    table = _guarded.labels(Path(labels)) if labels else LabelTable((), {})
    findings = table.findings or _folders(masks)
    if not findings:
        if not _discover.find_films(images).paths:
            raise DataError(f"{images}: holds no film (PNG, JPEG, TIFF or DICOM)")
        raise DataError(
            f"{labels or images}: no finding is named; give labels with a column for "
            "each, or masks with a folder for each"
        )
    without = {Path(p).absolute() for p in (folder, labels, masks) if p}
    found = _discover.find_films(images, without=without)
    if only is not None:
        found = replace(found, paths=[path for path in found.paths if path in only])
    if labels and table.key != _labels_csv.IMAGE:
        table, missing = yield from _header_labels.rows_of_films(
            table, images, found.paths, labels
        )
    else:
        table, missing = _rows_of_films(table, found.paths, labels)
    # Listed films come first, so that of two with the same pixels the listed one stays.
    paths = sorted(found.paths, key=lambda path: path not in table.rows)
    of_finding = _masks_of(masks, findings)
    of_film, strays = _mask_files.matched(of_finding, paths)
    if not _mask_files.name_channels(strays, paths):
        _check_masks(masks, of_film, strays, findings)
    patients = yield from _patients.read(images, paths)
    splits = _split(paths, table, patients)
    films = [
        _film(
            path,
            table.rows.get(path),
            findings,
            splits[path],
            of_film[path],
            of_finding,
            patients.times.get(path, ("", "")),
        )
        for path in paths
    ]
    return (
        yield from _build.build(
            Path(folder),
            images=images,
            findings=findings,
            films=films,
            rejected=[*found.left_out, *missing, *strays],
            warnings=[
                *found.remarks,
                *_oddities(paths, table, masks, findings),
                *_odd_patients(patients, splits, given=_are_given(table)),
            ],
            colour=colour,
            lateral=lateral,
            choice=mask_values.Choice(cut=cut),
            hide=names == "hide" or (names == "auto" and patients.personal),
            how_split=_how_split(table, patients),
        )
    )


def _existing(folder: Path, what: str) -> Path:
    folder = Path(folder).absolute()
    if not folder.is_dir():
        raise DataError(f"{folder}: no such {what}")
    return folder


def _folders(masks: Path | None) -> tuple[str, ...]:
    if masks is None:
        return ()
    names = (path.name for path in masks.iterdir() if path.is_dir())
    return tuple(sorted(name for name in names if not _folder_files.is_litter(name)))


def _masks_of(
    masks: Path | None, findings: Sequence[str]
) -> dict[str, _mask_files.MaskFiles]:
    if masks is None:
        return {}
    of_finding: dict[str, list[Path]] = {}
    for name in _folders(masks):
        finding = _finding_of(name, findings)
        if finding is not None:
            of_finding.setdefault(finding, []).append(masks / name)
    return {
        finding: _mask_files.MaskFiles.in_folders(*of_finding[finding])
        for finding in findings
        if finding in of_finding
    }


def _finding_of(folder: str, findings: Sequence[str]) -> str | None:
    """Return the finding that a folder is called, or the one that differs in case."""
    if folder in findings:
        return folder
    folded = _film_matching.plain(folder).casefold()
    alike = [one for one in findings if _film_matching.plain(one).casefold() == folded]
    return alike[0] if len(alike) == 1 else None


def _check_masks(
    masks: Path | None,
    of_film: Mapping[str, Mapping[str, object]],
    strays: Sequence[Rejected],
    findings: Sequence[str],
) -> None:
    """Refuse a mask folder that has files, and not one that is a film's.

    Raises
    ------
    DataError
    """
    if masks is None or any(of_film.values()):
        return
    there = _folder_files.files(masks)
    if there:
        why = "; ".join(f"{one.path}: {one.reason}" for one in strays[:3])
        unknown = [n for n in _folders(masks) if _finding_of(n, findings) is None]
        meant = [f"{name!r}: {_meant(name, findings)}" for name in unknown]
        why = why or "; ".join(each for each in meant if not each.endswith(": "))
        why = why or "masks lie in folders that are called as the findings"
        raise DataError(
            f"{masks}: none of its {len(there)} files is the mask of a finding on a "
            f"film that is there ({why}); nothing was made"
        )


def _rows_of_films(
    table: LabelTable, found: Sequence[str], labels: Path | None
) -> tuple[LabelTable, list[Rejected]]:
    """Return rows by the films that they mean, and those that mean none.

    Raises
    ------
    DataError
        None of them means a film.
    """
    films = _film_matching.FilmNames((path, path) for path in found)
    matched, reasons = _film_matching.match(table.rows, films)
    missing = [
        Rejected(
            name,
            f"{_no_file(reason)}; line {table.rows[name].line} of {labels} lists it",
        )
        for name, reason in reasons.items()
    ]
    if table.rows and found and not matched:
        first = missing[0]
        raise DataError(
            f"{labels}: none of its {len(table.rows)} lines names a film that is there "
            f"({first.path}: {first.reason}); nothing was made"
        )
    rows: dict[str, LabelRow] = {}
    for name, path in matched.items():
        row = table.rows[name]
        before = rows.setdefault(path, row)
        if (before.labels, before.split) != (row.labels, row.split):
            raise DataError(
                f"{labels}: lines {before.line} and {row.line} are both of {path}, and "
                "differ; remove one"
            )
    return replace(table, rows=rows), missing


def _no_file(reason: str) -> str:
    return "no such file" if reason.startswith("no film is called") else reason


def _are_given(table: LabelTable) -> bool:
    return any(row.split for row in table.rows.values())


def _split(
    paths: Sequence[str], table: LabelTable, patients: Patients
) -> Mapping[str, Split]:
    """Take the table's splits; deal out all others, strangers of it go to train."""
    rows = table.rows
    if not _are_given(table):
        unknown: Mapping[str, int | None] = {}
        labels = {
            path: rows[path].labels if path in rows else unknown for path in paths
        }
        return _splits.assign(labels, patients.groups)
    return {
        path: (row.split if (row := rows.get(path)) else None) or "train"
        for path in paths
    }


def _how_split(table: LabelTable, patients: Patients) -> str:
    if _are_given(table):
        return "as the labels say"
    together = ", all films of a patient together" if patients.any_known else ""
    return f"dealt out 70 : 15 : 15, alike in findings{together}"


def _odd_patients(
    patients: Patients, splits: Mapping[str, Split], *, given: bool
) -> list[str]:
    if not given:
        return [*patients.remarks, *_patients.empty_splits(patients, splits.values())]
    if parted := patients.parted(splits):
        return [
            f"films of {counted(parted, 'patient')} lie in several splits, "
            "as the labels have it: what is measured there is too good"
        ]
    return []


def _film(
    path: str,
    row: LabelRow | None,
    findings: Sequence[str],
    split: Split,
    masks: Mapping[str, Sequence[Path]],
    of_finding: Mapping[str, object],
    taken: tuple[str, str],
) -> _build.Film:
    labels = row.labels if row else dict.fromkeys(findings)
    absent = [f for f in of_finding if labels.get(f) == 0 and f not in masks]
    drawn = {**masks, **dict.fromkeys(absent)}
    return _build.Film(path, labels, split, drawn, taken=taken)


def _oddities(
    paths: Sequence[str],
    table: LabelTable,
    masks: Path | None,
    findings: Sequence[str],
) -> list[str]:
    odd: list[str] = []
    unlisted = [path for path in paths if path not in table.rows]
    if table.rows and unlisted:
        odd.append(
            f"no line in the labels for {counted(len(unlisted), 'file')}, "
            "theirs are unknown: " + _some(unlisted)
        )
    splits = [row.split for row in table.rows.values()]
    if any(splits) and not all(splits):
        odd.append(f"no split on {counted(splits.count(None), 'line')}: put into train")
    for name in _folders(masks):
        if _finding_of(name, findings) is None:
            odd.append(
                f"mask folder {name!r} is no finding: left out; "
                + (_meant(name, findings) or f"findings are {', '.join(findings)}")
            )
    return odd


def _meant(name: str, findings: Sequence[str]) -> str:
    """Ask for the finding that a folder's name was meant to be, if one is near."""
    plain = {_film_matching.plain(finding).casefold(): finding for finding in findings}
    near = get_close_matches(_film_matching.plain(name).casefold(), plain, 1)
    return f"did you mean {plain[near[0]]}?" if near else ""


def _some(paths: Sequence[str]) -> str:
    shown = ", ".join(paths[:_SHOWN])
    more = len(paths) - _SHOWN
    return f"{shown} and {more} more" if more > 0 else shown

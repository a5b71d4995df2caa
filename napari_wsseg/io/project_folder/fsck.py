"""What is wrong with a project, in words, and what can be mended without loss."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import chain, count
from pathlib import Path

import safetensors

from napari_wsseg.io import atomic, project_files, runs, stages
from napari_wsseg.io.files import map_shards
from napari_wsseg.io.film_names import VARIABLE, Names, key_file
from napari_wsseg.io.films import archive as _archive
from napari_wsseg.io.index import annotations as _annotations
from napari_wsseg.io.index import audit as _audit
from napari_wsseg.io.index.database import Database
from napari_wsseg.io.project_folder import mask_store as _mask_store
from napari_wsseg.io.project_folder import rescue as _rescue
from napari_wsseg.io.project_folder import strokes
from napari_wsseg.jobs import DataError, counted, one_line
from napari_wsseg.schema import Case

TRASH = ".trash"


def problems(
    database: Database,
    folder: Path,
    films: Names,
    cases: Sequence[Case],
    *,
    repair: bool,
) -> list[str]:
    """Look at index, masks, strokes, images, maps, runs and audit trail.

    Parameters
    ----------
    database, folder, cases
        The index, the project's folder and all of its cases.
    films
        Where the films lie.
    repair
        A version whose mask is lost is withdrawn, so that the one before holds again;
        strokes that were painted on it become versions of their own; files that no row
        knows go to ``.trash``, files half written go. Nothing that holds anybody's work
        is deleted.

    Returns
    -------
    list of str
        One line for each thing that is wrong, those that were repaired too.
    """
    found = list(_index(database))
    found += _links(folder)
    found += _masks_of_rows(database, folder, repair=repair)
    found += _strokes(database, folder, cases, repair=repair)
    found += _files_without_row(database, folder, repair=repair)
    found += _images(database, films)
    found += _packed_maps(folder, repair=repair)
    found += _runs(folder)
    return found


def _index(database: Database) -> Iterator[str]:
    for row in database.rows("PRAGMA quick_check"):
        if row[0] != "ok":
            yield f"{database.path.name}: {row[0]}"
    for row in database.rows("PRAGMA foreign_key_check"):
        yield f"{database.path.name}: row {row[1]} of {row[0]} points at nothing"
    try:
        _audit.verify(database)
    except DataError as error:
        yield str(error)


def _links(folder: Path) -> Iterator[str]:
    for link in project_files.links(folder):
        yield (
            f"{link.relative_to(folder).as_posix()}: is a link, and nothing in a "
            "project is; put the file or folder itself in its place"
        )


def _masks_of_rows(database: Database, folder: Path, *, repair: bool) -> Iterator[str]:
    for annotation in _annotations.everything(database):
        name, sha = annotation.finding, annotation.mask_sha
        try:
            _mask_store.read(folder, annotation.case, name, sha)
        except DataError as error:
            yield str(error)
            if repair:
                _annotations.withdraw(database, annotation.id, str(error))
                _discard(folder, _mask_store.place(folder, annotation.case, name, sha))


def _strokes(
    database: Database, folder: Path, cases: Sequence[Case], *, repair: bool
) -> Iterator[str]:
    """Look for open strokes that cannot be folded into a mask."""
    known = {case.id: case for case in cases}
    for case_id, finding, reader, number in strokes.pending(database):
        key, case = strokes.StrokeKey(case_id, finding, reader), known.get(case_id)
        if case is None:
            yield (
                f"of film {case_id}, which the index does not have: "
                f"{counted(number, 'stroke')} of {reader} on {finding!r}; kept as found"
            )
            continue
        try:
            strokes.recover(database, folder, key, case.shape)
        except DataError as error:
            yield (
                f"no mask to lie on for {counted(number, 'stroke')} of {reader} on "
                f"{finding!r} of case {case_id}: {error}"
            )
            if repair:
                _rescue.rescue(database, folder, case, key)


def _files_without_row(
    database: Database, folder: Path, *, repair: bool
) -> Iterator[str]:
    known = {
        _mask_store.place(folder, row["case_id"], row["finding"], row["mask_sha"])
        for row in database.rows("SELECT case_id, finding, mask_sha FROM annotations")
    }
    for path in sorted((folder / "masks").rglob("*")):
        if path.is_symlink() or path.is_dir() or path in known:
            continue
        half_written = path.suffix == atomic.TEMPORARY
        reason = "half written" if half_written else "a file that no row knows"
        yield f"{path.relative_to(folder).as_posix()}: {reason}"
        if repair and half_written:
            project_files.remove(path)
        elif repair:
            _discard(folder, path)


def _packed_maps(folder: Path, *, repair: bool) -> Iterator[str]:
    """Look at files of many films' maps; one that is damaged is set aside."""
    for place in stages.places(folder):
        for path, why in map_shards.flaws(place):
            yield (
                f"{path.relative_to(folder).as_posix()}: maps are damaged ({why}); "
                "`wsseg infer` makes them again once --repair has set them aside"
            )
            if repair:
                _discard(folder, path)


def _runs(folder: Path) -> Iterator[str]:
    """Look at run folders; nothing can make a run's own files again."""
    for name, why in runs.readable(folder)[1].items():
        if not project_files.links(folder / "runs" / name):  # `_links` says those
            yield f"run {name} is left out: {why}"
    for weights in sorted(folder.glob("runs/*/best.safetensors")):
        if why := _weights_flaw(weights):
            place = weights.relative_to(folder).as_posix()
            yield (
                f"{place}: weights are damaged ({why}); maps that are there can be "
                "shown, but the run draws no others and teaches none; restore the "
                "file from a backup, or train again"
            )
    for state in sorted(folder.glob("runs/*/last.pt")):
        if why := _state_flaw(state):
            yield (
                f"{state.relative_to(folder).as_posix()}: what a training goes on from "
                f"is damaged ({why}); the run cannot be resumed, its weights are not "
                "touched by that"
            )


def _weights_flaw(path: Path) -> str:
    """Return why a file of weights is none; its numbers are not looked at."""
    try:
        checked = project_files.checked(path)
        if not checked.is_file():
            return ""
        with safetensors.safe_open(checked, framework="numpy") as file:
            known = "wsseg" in (file.metadata() or {})
            return "" if known else "nothing in it says which network they are of"
    except DataError:
        return ""  # a link, which `_links` says
    except (OSError, safetensors.SafetensorError) as error:
        return one_line(error)


def _state_flaw(path: Path) -> str:
    """Return which part of a saved training is not what was written."""
    try:
        checked = project_files.checked(path)
        if not checked.is_file():
            return ""
        with zipfile.ZipFile(checked) as saved:
            if any(part.compress_type for part in saved.infolist()):
                return "it is packed, as no training writes it"
            part = saved.testzip()
            return f"its part {part} is not what was written" if part else ""
    except DataError:
        return ""
    except (OSError, zipfile.BadZipFile, EOFError, ValueError) as error:
        return one_line(error)


def _discard(folder: Path, path: Path) -> None:
    if path.is_file():
        target = folder / TRASH / path.relative_to(folder)
        project_files.move(path, _free(target))


def _free(path: Path) -> Path:
    """Return `path`, or the first of ``path.1``, ``path.2`` … that is not there."""
    numbered = (path.with_name(f"{path.name}.{n}") for n in count(1))
    return next(p for p in chain([path], numbered) if not os.path.lexists(p))


def _is_there(path: Path) -> bool:
    if path.is_file():
        return True
    inside = _archive.split_archive_path(path)
    return inside is not None and inside[1] in _members(inside[0])


@lru_cache(maxsize=4)
def _members(archive: Path) -> frozenset[str]:
    return frozenset(_archive.listing(archive).names)


def _images(database: Database, films: Names) -> Iterator[str]:
    if not films.found:
        yield (
            f"the key file {key_file(films.key)} is not here, so no radiograph can be "
            f"found; copy it there, or name its folder in {VARIABLE}"
        )
        return
    for row in database.rows("SELECT path FROM cases ORDER BY path"):
        try:
            missing = not _is_there(films.place(row["path"]))
        except DataError as error:
            yield str(error)
            continue
        if missing:
            yield f"{films.shown_path(row['path'])}: radiograph is missing; put it back"

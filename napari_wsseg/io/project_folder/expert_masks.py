"""Saving an expert mask: the file first, then the row, then the trail."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from napari_wsseg.io.index import annotations as _annotations
from napari_wsseg.io.index import audit as _audit
from napari_wsseg.io.index.database import Database
from napari_wsseg.io.project_folder import mask_store as _mask_store
from napari_wsseg.jobs import DataError
from napari_wsseg.schema import Annotation, Case, Mask


def check(
    case: Case, findings: Sequence[str], finding: str, reader: str, mask: Mask
) -> None:
    """Refuse a mask that does not fit its case.

    Parameters
    ----------
    case, mask
        The film's case, and what should be a bool mask of the film's rows and columns.
    findings, finding
        The project's findings, and the one that the mask is of.
    reader
        Must not be blank.

    Raises
    ------
    DataError
        Another shape than the film's, an unknown finding, no reader.
    """
    if finding not in findings:
        raise DataError(f"no finding {finding!r}; there are: {', '.join(findings)}")
    if not reader.strip():
        raise DataError("an expert mask needs its reader's name; give one")
    if mask.dtype != np.bool_ or mask.shape != case.shape:
        raise DataError(
            f"{case.path}: a mask of {finding!r} is {mask.dtype} {mask.shape}, "
            f"the film is {case.shape}; give a bool mask of the film's shape"
        )


def check_kept(folder: Path, version: Annotation, mask: Mask) -> None:
    """Read a version back: what it holds must be `mask`.

    Parameters
    ----------
    folder, version
        The project's folder, and the version that was saved just now.
    mask : (H, W) bool
        What was meant to be saved.

    Raises
    ------
    DataError
        The file is not there, damaged, or of other pixels.
    """
    kept = _mask_store.read(folder, version.case, version.finding, version.mask_sha)
    if not np.array_equal(kept, mask):
        raise DataError(
            f"{folder}: a mask of {version.finding!r} does not read back as it was "
            "written; the disk may be failing"
        )


def save(
    database: Database,
    folder: Path,
    case: Case,
    finding: str,
    mask: Mask,
    *,
    reader: str,
    tool: str,
    parent: int | None,
    source_run: str | None,
) -> Annotation:
    """Save a checked mask; the same pixels as the newest version make no new one.

    A file of the newest version that is lost or damaged is mended by its own pixels.

    Parameters
    ----------
    database, folder
        The index, and the project's folder.
    case, finding, reader
        Whose mask, of what, on which film.
    mask : (H, W) bool
        Passed `check`.
    tool
        How it was made, e.g. ``"brush"``, ``"import"``, ``"from irnet"``.
    parent
        Row id of the annotation it was made from, or ``None``.
    source_run
        Run whose draft it started from, or ``None``.

    Returns
    -------
    Annotation
        The new version, or the newest where the pixels are the same.

    Raises
    ------
    DataError
        The disk is full or the folder cannot be written to; nothing is harmed.
    """
    sha = _mask_store.pixels_sha(mask)
    newest = _annotations.latest(database, case.id, finding, reader)
    same = newest is not None and _annotations.pixels_sha(database, newest) == sha
    if (
        newest
        and same
        and _mask_store.is_whole(folder, case.id, finding, newest.mask_sha)
    ):
        return newest
    with database.transaction():
        file_sha = _mask_store.write(folder, case.id, finding, mask)
        if newest and same and file_sha == newest.mask_sha:
            return newest
        annotation = _annotations.insert(
            database,
            case_id=case.id,
            finding=finding,
            reader=reader,
            tool=tool,
            parent=parent,
            source_run=source_run,
            mask_sha=file_sha,
            pixels_sha=sha,
            area_px=int(np.count_nonzero(mask)),
        )
        entry = {
            "annotation": annotation.id,
            "case": case.id,
            "finding": finding,
            "mask": file_sha,
            "version": annotation.version,
            "tool": tool,
        }
        _audit.append(database, reader, "mask", entry)
    return annotation

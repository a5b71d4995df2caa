"""Whose film it is: what a DICOM header says, to be forgotten again, never kept."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO, NamedTuple

from napari_wsseg.io import images
from napari_wsseg.io.films import source as _source
from napari_wsseg.jobs import DataError

_TAGS = (
    *("PatientIdentityRemoved", "PatientID", "StudyInstanceUID"),
    *("StudyDate", "StudyTime"),
)


class FilmOwner(NamedTuple):
    """What a film says of the person on it.

    Parameters
    ----------
    nameless
        Patient Identity Removed is YES (PS3.3 C.7.1.1).
    patient
        Patient ID, empty if it has none.
    study
        Study Instance UID, empty if it has none.
    when
        Study Date and Study Time, as DICOM writes them: later sorts after earlier.
    """

    nameless: bool = False
    patient: str = ""
    study: str = ""
    when: str = ""


def read_owner(path: Path) -> FilmOwner | None:
    """Read whose film it is; ``None`` if it is not DICOM. Never raises.

    A damaged header says nothing, so that nobody vouches for its name.
    """
    try:
        with _source.opened(path) as file:
            return (
                _read_header(file)
                if images.begins_dicom(path, file.read(132))
                else None
            )
    except DataError:
        return None


def _read_header(file: BinaryIO) -> FilmOwner:
    from pydicom import dcmread

    from napari_wsseg.io.dicom import guard

    try:
        guard.check(file)
        found = dcmread(
            file, stop_before_pixels=True, force=True, specific_tags=[*_TAGS]
        )
        removed, patient, study, date, time = (
            str(found.get(tag) or "").strip().strip("\0") for tag in _TAGS
        )
    except Exception:  # damaged elements make pydicom raise nearly anything
        return FilmOwner()
    # A time without its day says nothing of what came before.
    when = f"{date} {time}".strip() if date else ""
    return FilmOwner(removed.upper() == "YES", patient, study, when)


def element(path: Path, keyword: str) -> str:
    """Return an element of a DICOM header as text; empty if there is none.

    Never raises.
    """
    from pydicom import dcmread

    from napari_wsseg.io.dicom import guard

    try:
        with _source.opened(path) as file:
            if not images.begins_dicom(path, file.read(132)):
                return ""
            guard.check(file)
            found = dcmread(
                file, stop_before_pixels=True, force=True, specific_tags=[keyword]
            )
            return str(found.get(keyword) or "").strip().strip("\0")
    except Exception:  # damaged elements make pydicom raise nearly anything
        return ""

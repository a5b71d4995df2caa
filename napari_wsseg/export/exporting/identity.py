"""What a person has to look at before masks and films are passed on."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from napari_wsseg.export.exporting.items import Note
from napari_wsseg.io import images
from napari_wsseg.io.films import source as _source
from napari_wsseg.io.project import Project
from napari_wsseg.jobs import DataError
from napari_wsseg.schema import Case

_TAGS = ("SOPClassUID", "SOPInstanceUID", "BurnedInAnnotation", "ConversionType")
_SECONDARY = "1.2.840.10008.5.1.4.1.1.7"
"""Secondary Capture Image Storage and, by its beginning, the multi-frame ones."""

_NAMED = 5


def warnings(project: Project, cases: Iterable[Case]) -> list[Note]:
    """Warn of DICOM films that may have a name burned into their pixels.

    That is every film whose Burned In Annotation is not NO, absent included, and every
    secondary capture (PS3.3 C.7.6.1.1, PS3.15 E.3.1).
    """
    suspects = [case.name for case in cases if _suspect(project, case)]
    if not suspects:
        return []
    more = f" and {len(suspects) - _NAMED} more" if len(suspects) > _NAMED else ""
    return [
        Note(
            "warning",
            f"{len(suspects)} films may have writing burned into their pixels (Burned "
            "In Annotation is not NO, or a secondary capture): look at them before "
            f"they go anywhere with these files: {', '.join(suspects[:_NAMED])}{more}",
        )
    ]


def header(path: Path, tags: Iterable[str] = _TAGS) -> Any | None:
    """Return some elements of a DICOM file, or ``None`` if it is not one."""
    from pydicom import dcmread

    from napari_wsseg.io.dicom import guard

    try:
        if not images.is_dicom(path):
            return None
        with _source.opened(path) as file:
            guard.check(file)
            return dcmread(
                file, stop_before_pixels=True, force=True, specific_tags=[*tags]
            )
    except Exception:  # a film that is gone or damaged is told where it is needed
        return None


def _suspect(project: Project, case: Case) -> bool:
    try:
        path = project.image_path(case)
    except DataError:
        return False
    found = header(path)
    if found is None:
        return False
    secondary = str(found.get("SOPClassUID", "")).startswith(_SECONDARY)
    secondary |= "ConversionType" in found
    return secondary or str(found.get("BurnedInAnnotation", "")).upper() != "NO"


def sop_uid(project: Project, case: Case) -> str:
    """Return the SOP Instance UID of a film; empty if it is not DICOM or has none."""
    try:
        found = header(project.image_path(case))
    except DataError:
        found = None
    return str((found or {}).get("SOPInstanceUID") or "")


def replaced_uid(project: Project, case: Case) -> str:
    """Return the SOP Instance UID of a film where nobody may know whose it is."""
    return made_uid(project.secret, "film", case.id)


def made_uid(secret: str, *parts: str) -> str:
    """Return the UID that comes of a project's secret and parts, always the same."""
    from pydicom.uid import generate_uid

    return str(generate_uid(entropy_srcs=[secret, *parts]))

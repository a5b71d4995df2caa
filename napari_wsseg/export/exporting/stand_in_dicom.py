"""What stands in for a film in DICOM: its UIDs and size, nobody's identity.

By PS3.15's basic profile with the Retain UIDs option: a segmentation is of use only if
it names the image that it belongs to, so the UIDs of study, series and image stay.
Names, dates and every other description do not. The patient is called by the case's id.
Spacing is the film's to say, which is referred to.
"""

from __future__ import annotations

import io
from typing import Any

import numpy as np

from napari_wsseg.export.exporting import identity as _identity
from napari_wsseg.io.project import Project
from napari_wsseg.jobs import DataError
from napari_wsseg.schema import Case

_NEEDED = (
    *("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID"),
    *("Rows", "Columns"),
)

MANUFACTURER = "napari-wsseg"


def of(project: Project, case: Case) -> Any | None:
    """Return a data set with the film's UIDs and size, ``None`` if it is not DICOM.

    Raises
    ------
    DataError
        It is DICOM, but lacks what a segmentation has to refer to.
    """
    from pydicom.dataset import Dataset

    found = _identity.header(project.image_path(case), _NEEDED)
    if found is None:
        return None
    lacking = [word for word in _NEEDED if not found.get(word)]
    if lacking or (found.Rows, found.Columns) != case.shape:
        what = ", ".join(lacking) or "its own size"
        raise DataError(
            f"{case.name}: its DICOM file lacks {what}, so no segmentation can refer "
            "to it"
        )
    bare = Dataset()
    for word in _NEEDED:
        setattr(bare, word, found.get(word))
    return anonymous(bare, case)


def anonymous(dataset: Any, case: Case) -> Any:
    """Blank out who and when; the patient gets the case's id."""
    for word in ("PatientName", "PatientBirthDate", "PatientSex", "StudyDate"):
        setattr(dataset, word, "")
    for word in ("StudyTime", "AccessionNumber", "StudyID", "ReferringPhysicianName"):
        setattr(dataset, word, "")
    dataset.PatientID = case.id
    return dataset


def mark(dataset: Any) -> None:
    """Say by which profile identity was taken out (PS3.3 C.12.1.4, PS3.15 E.3)."""
    from pydicom.dataset import Dataset
    from pydicom.sr.codedict import codes

    dataset.PatientIdentityRemoved = "YES"
    dataset.LongitudinalTemporalInformationModified = "REMOVED"
    items = []
    for code in (
        codes.DCM.BasicApplicationConfidentialityProfile,
        codes.DCM.RetainUidsOption,
    ):
        item = Dataset()
        item.CodeValue = code.value
        item.CodingSchemeDesignator = code.scheme_designator
        item.CodeMeaning = code.meaning
        items.append(item)
    dataset.DeidentificationMethodCodeSequence = items


def capture(project: Project, case: Case) -> Any:
    """Return a secondary capture of a film that is not DICOM.

    Its UIDs are made of the pixels, the same every time.
    """
    import highdicom

    film = project.radiograph(case)
    bits = 8 if film.bits <= 8 else 16
    levels = np.rint(film.pixels * np.float32(2**bits - 1))
    made = highdicom.sc.SCImage(
        levels.astype(np.uint8 if bits == 8 else np.uint16),
        photometric_interpretation="MONOCHROME2",
        bits_allocated=bits,
        coordinate_system="PATIENT",
        study_instance_uid=_identity.made_uid(case, "study"),
        series_instance_uid=_identity.made_uid(case, "series"),
        series_number=1,
        sop_instance_uid=_identity.made_uid(case, "film"),
        instance_number=1,
        manufacturer=MANUFACTURER,
        pixel_spacing=case.spacing_mm,
        patient_orientation=("L", "F"),
        patient_id=case.id,
    )
    anonymous(made, case)
    made.ConversionType = "WSD"
    made.PatientOrientation = None  # a picture does not say it
    mark(made)
    return made


def encoded(dataset: Any) -> bytes:
    """Return a data set as the bytes of a DICOM file."""
    file = io.BytesIO()
    dataset.save_as(file, enforce_file_format=True)
    return file.getvalue()

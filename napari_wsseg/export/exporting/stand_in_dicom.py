"""What stands for a film in DICOM: whose it is, or nobody's; never a mix of the two.

A study whose instances name two patients is damaged: archives list it twice, or answer
no question about it any more (one Patient per Study, PS3.3 A.1.2). So an export either
keeps all that says whose a film is, or replaces all of it, UIDs included.
"""

from __future__ import annotations

import hashlib
import io
from typing import Any

import numpy as np

from napari_wsseg.export.exporting import identity as _identity
from napari_wsseg.export.exporting.selection import Selection
from napari_wsseg.io.archives.replies import Instance
from napari_wsseg.io.project import Project
from napari_wsseg.jobs import DataError
from napari_wsseg.schema import Case

_NEEDED = (
    *("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID"),
    *("Rows", "Columns"),
)

_PATIENT = (
    *("PatientName", "PatientID", "IssuerOfPatientID", "TypeOfPatientID"),
    *("IssuerOfPatientIDQualifiersSequence", "OtherPatientIDsSequence"),
    *("PatientBirthDate", "PatientBirthTime", "PatientSex", "QualityControlSubject"),
    *("PatientIdentityRemoved", "DeidentificationMethod"),
    *("DeidentificationMethodCodeSequence", "ClinicalTrialSponsorName"),
    *("ClinicalTrialProtocolID", "ClinicalTrialSubjectID"),
)
_STUDY = (
    *("StudyInstanceUID", "StudyID", "StudyDate", "StudyTime", "StudyDescription"),
    *("AccessionNumber", "IssuerOfAccessionNumberSequence", "PatientAge"),
    *("ReferringPhysicianName", "ProcedureCodeSequence", "PatientSize"),
    *("PatientWeight", "AdmissionID", "LongitudinalTemporalInformationModified"),
)
"""Patient, General Study and Patient Study module (PS3.3 C.7.1.1, C.7.2.1, C.7.2.2)."""

_PLACE = ("FrameOfReferenceUID", "PositionReferenceIndicator")
_SPACING = ("PixelSpacing", "ImagerPixelSpacing", "NominalScannedPixelSpacing")

_LOOK = (
    *("Modality", "SamplesPerPixel", "PhotometricInterpretation", "BitsStored"),
    *("WindowCenter", "WindowWidth", "VOILUTFunction", "VOILUTSequence"),
    *("RescaleSlope", "RescaleIntercept", "RescaleType", "ModalityLUTSequence"),
)
"""What a presentation state repeats of a film, so that it looks the same."""

MANUFACTURER = "napari-wsseg"


def of_same_patient(chosen: Selection, case: Case) -> Any:
    """Return the film's header, with its own patient, study and UIDs.

    Towards an archive they are those that the archive has for the film: a patient may
    have got another number or name there since the film was fetched.

    Raises
    ------
    DataError
        The film is not DICOM, lacks what a segmentation has to refer to, or is not in
        the archive that is stored to.
    """
    keywords = [
        *_NEEDED,
        *_PATIENT,
        *_STUDY,
        *_PLACE,
        *_SPACING,
        *_LOOK,
        "SpecificCharacterSet",
    ]
    found = _identity.header(chosen.project.image_path(case), keywords)
    if found is None:
        raise DataError(
            f"{case.name}: is not DICOM, so there is no patient and no study that its "
            "masks could join; export it de-identified"
        )
    missing = [word for word in _NEEDED if not found.get(word)]
    if missing or (found.Rows, found.Columns) != case.shape:
        what = ", ".join(missing) or "its own size"
        raise DataError(
            f"{case.name}: its DICOM file lacks {what}, so no segmentation can refer "
            "to it"
        )
    try:
        found.decode()
    except Exception as error:  # damaged text makes pydicom raise nearly anything
        raise DataError(
            f"{case.name}: its patient and study cannot be read in the character set "
            "that it names, so no segmentation can join it"
        ) from error
    return found if chosen.archive is None else _as_archived(chosen, case, found)


def _as_archived(chosen: Selection, case: Case, film: Any) -> Any:
    assert chosen.archive is not None
    one = Instance(
        str(film.StudyInstanceUID),
        str(film.SeriesInstanceUID),
        str(film.SOPInstanceUID),
    )
    found = chosen.archive.header(one)
    if found is None or str(found.get("SOPInstanceUID", "")) != one.uid:
        raise DataError(
            f"{case.name}: is not in that archive, so nothing of its patient is stored "
            "there"
        )
    if (found.get("Rows"), found.get("Columns")) != (film.Rows, film.Columns):
        raise DataError(f"{case.name}: has another size in that archive")
    if "SpecificCharacterSet" not in found:
        found.SpecificCharacterSet = "ISO_IR 192"  # as DICOM JSON is
    return found


def bare(film: Any) -> Any:
    """Return what objects refer to, UIDs, size and look, its patient left blank."""
    from pydicom.dataset import Dataset

    made = Dataset()
    for word in _NEEDED:
        setattr(made, word, film.get(word))
    for word in _LOOK:
        if word in film:
            made[word] = film[word]
    return _blank(made, "")


def join(dataset: Any, film: Any) -> None:
    """Make a data set the same patient's and study's as a film, word for word.

    An attribute that the film has not, the data set has not either, or empty.
    """
    for word in (*_PATIENT, *_STUDY):
        if word in film:
            dataset[word] = film[word]


def capture(project: Project, case: Case) -> Any:
    """Return a secondary capture of a film that says nothing of whose it is.

    Its UIDs and its Patient ID are made anew: of the film's own, where it has some, so
    that the films of one study stay together, and of a number that only the project
    holds, so that nobody who has the archive can make them, too. They are the same at
    every export.

    Raises
    ------
    DataError
        The film cannot be read.
    """
    import highdicom

    film = project.radiograph(case)
    bits = 8 if film.bits <= 8 else 16
    levels = np.rint(film.pixels * np.float32(2**bits - 1))
    own = _Replaced(project, case)
    made = highdicom.sc.SCImage(
        levels.astype(np.uint8 if bits == 8 else np.uint16),
        photometric_interpretation="MONOCHROME2",
        bits_allocated=bits,
        coordinate_system="PATIENT",
        study_instance_uid=own.study,
        series_instance_uid=own.series,
        series_number=1,
        sop_instance_uid=own.film,
        instance_number=1,
        manufacturer=MANUFACTURER,
        pixel_spacing=case.spacing_mm,
        patient_orientation=("L", "F"),
        patient_id=own.patient,
    )
    _blank(made, own.patient)
    made.ConversionType = "WSD"
    # Neither is known of a picture, both may be asked for (type 2C).
    made.PatientOrientation = made.Laterality = None
    mark(made)
    return made


class _Replaced:
    """What a film is called where nobody may know whose it is."""

    def __init__(self, project: Project, case: Case) -> None:
        keywords = ("PatientID", "StudyInstanceUID", "SeriesInstanceUID")
        found = _identity.header(project.image_path(case), keywords) or {}
        study = str(found.get("StudyInstanceUID") or "")
        series = str(found.get("SeriesInstanceUID") or "")
        # A study has one patient, whatever the patient's id: it goes first.
        patient = str(found.get("PatientID") or "").strip() or study or case.id
        secret = project.secret
        self.film = _identity.replaced_uid(project, case)
        self.study = _identity.made_uid(secret, "study", study or case.id)
        self.series = _identity.made_uid(secret, "series", series or case.id)
        digest = hashlib.sha256(f"{secret} patient {patient}".encode()).hexdigest()
        self.patient = digest[:16].upper()


def mark(dataset: Any) -> None:
    """Say by which profile identity was taken out (PS3.3 C.12.1.4, PS3.15 E.3)."""
    from pydicom.dataset import Dataset
    from pydicom.sr.codedict import codes

    dataset.PatientIdentityRemoved = "YES"
    dataset.LongitudinalTemporalInformationModified = "REMOVED"
    code = codes.DCM.BasicApplicationConfidentialityProfile
    item = Dataset()
    item.CodeValue = code.value
    item.CodingSchemeDesignator = code.scheme_designator
    item.CodeMeaning = code.meaning
    dataset.DeidentificationMethodCodeSequence = [item]


def encoded(dataset: Any) -> bytes:
    """Return a data set as the bytes of a DICOM file."""
    file = io.BytesIO()
    dataset.save_as(file, enforce_file_format=True)
    return file.getvalue()


def _blank(dataset: Any, patient: str) -> Any:
    """Blank out who and when."""
    for word in ("PatientName", "PatientBirthDate", "PatientSex", "StudyDate"):
        setattr(dataset, word, "")
    for word in ("StudyTime", "AccessionNumber", "StudyID", "ReferringPhysicianName"):
        setattr(dataset, word, "")
    dataset.PatientID = patient
    return dataset

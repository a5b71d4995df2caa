"""A phantom as a file: DICOM DX, 16-bit PNG, 1-bit mask. All marked synthetic."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from napari_wsseg.phantom.film import Phantom
from napari_wsseg.schema import Mask

if TYPE_CHECKING:
    from pydicom.dataset import FileDataset
    from pydicom.uid import UID

COMMENT = "SYNTHETIC - computed, not a patient; not for clinical use"
_DIGITAL_X_RAY = "1.2.840.10008.5.1.4.1.1.1.1"  # for presentation


def write_png(path: Path, phantom: Phantom) -> None:
    """Write the pixels as 16-bit greyscale PNG, 0 to 4095, with its provenance."""
    from PIL import Image
    from PIL.PngImagePlugin import PngInfo

    about = PngInfo()
    about.add_text("Title", phantom.description)
    about.add_text("Comment", COMMENT)
    about.add_text("Source", f"napari_wsseg.phantom, seed {phantom.seed}")
    per_metre = round(1000 / phantom.spacing_mm[1])
    Image.fromarray(phantom.pixels).save(
        path, pnginfo=about, dpi=(per_metre * 0.0254, per_metre * 0.0254)
    )


def write_mask(path: Path, mask: Mask) -> None:
    """Write a mask as 1-bit PNG."""
    from PIL import Image

    Image.fromarray(mask).save(path, bits=1, optimize=True)


def write_dicom(path: Path, phantom: Phantom) -> None:
    """Write a Digital X-Ray image of a patient called SYNTHETIC, 12 bits in 16.

    Equal phantoms make equal files: identifiers are derived from the seed, and there
    are no dates.
    """
    from pydicom.dataset import FileDataset, FileMetaDataset
    from pydicom.uid import UID, ExplicitVRLittleEndian

    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = UID(_DIGITAL_X_RAY)
    meta.MediaStorageSOPInstanceUID = _uid(phantom, "image")
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    file = FileDataset(str(path), {}, file_meta=meta, preamble=b"\0" * 128)
    _describe_patient(file, phantom)
    _describe_image(file, phantom)
    file.save_as(path, enforce_file_format=True)


def _uid(phantom: Phantom, what: str) -> UID:
    from pydicom.uid import generate_uid

    entropy = ["napari-wsseg phantom", what, str(phantom.seed), *_shape(phantom)]
    entropy += [name for name, there in phantom.labels.items() if there]
    # 2.25 is the root for identifiers made from nothing but a number.
    return generate_uid(prefix="2.25.", entropy_srcs=entropy)


def _shape(phantom: Phantom) -> list[str]:
    return [str(side) for side in phantom.pixels.shape]


def _describe_patient(file: FileDataset, phantom: Phantom) -> None:
    file.SOPClassUID = file.file_meta.MediaStorageSOPClassUID
    file.SOPInstanceUID = file.file_meta.MediaStorageSOPInstanceUID
    file.StudyInstanceUID = _uid(phantom, "study")
    file.SeriesInstanceUID = _uid(phantom, "series")
    file.PatientName = f"SYNTHETIC^{phantom.seed}"
    file.PatientID = f"SYNTHETIC-{phantom.seed}"
    file.PatientBirthDate = ""
    file.PatientSex = "O"
    file.PatientIdentityRemoved = "YES"
    file.DeidentificationMethod = "Computed; there is no patient"
    file.StudyDate = file.StudyTime = file.AccessionNumber = file.StudyID = ""
    file.ReferringPhysicianName = ""
    file.StudyDescription = "SYNTHETIC chest radiograph"
    file.SeriesDescription = "SYNTHETIC chest radiograph"
    file.SeriesNumber = file.InstanceNumber = 1
    file.Modality = "DX"
    file.Manufacturer = "napari-wsseg phantom"
    file.BodyPartExamined = "CHEST"
    file.PresentationIntentType = "FOR PRESENTATION"


def _describe_image(file: FileDataset, phantom: Phantom) -> None:
    rows, columns = phantom.pixels.shape
    spacing = [f"{side:.6g}" for side in phantom.spacing_mm]
    file.ImageType = ["DERIVED", "PRIMARY"]
    file.ImageComments = COMMENT
    file.DerivationDescription = "Synthetic: napari_wsseg.phantom"
    file.ViewPosition = "PA"
    file.PatientOrientation = ["L", "F"]
    file.ImageLaterality = "U"
    file.BurnedInAnnotation = "YES"  # the word SYNTHETIC
    file.LossyImageCompression = "00"
    file.ImagerPixelSpacing = spacing
    file.PixelSpacing = spacing
    file.PixelSpacingCalibrationType = "GEOMETRY"
    file.PixelSpacingCalibrationDescription = "Synthetic parallel beam"
    file.SamplesPerPixel = 1
    file.PhotometricInterpretation = "MONOCHROME2"
    file.PresentationLUTShape = "IDENTITY"
    file.PixelIntensityRelationship = "LOG"
    file.PixelIntensityRelationshipSign = -1
    file.Rows, file.Columns = rows, columns
    file.BitsAllocated, file.BitsStored, file.HighBit = 16, 12, 11
    file.PixelRepresentation = 0
    file.RescaleIntercept, file.RescaleSlope, file.RescaleType = 0, 1, "US"
    file.WindowCenter, file.WindowWidth = 2048, 4096
    file.PixelData = phantom.pixels.astype("<u2").tobytes()

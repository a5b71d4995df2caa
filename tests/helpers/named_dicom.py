"""A DX film full of names."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

ROWS, COLUMNS = 20, 13
CANARY = "CANARY"


def film(path: Path, seed: int, **attributes: object) -> str:
    """Write a DX film full of names, and these; return its SOP Instance UID."""
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.1.1"
    meta.MediaStorageSOPInstanceUID = generate_uid()
    made = Dataset()
    made.file_meta = meta
    made.SOPClassUID = meta.MediaStorageSOPClassUID
    made.SOPInstanceUID = meta.MediaStorageSOPInstanceUID
    made.StudyInstanceUID, made.SeriesInstanceUID = generate_uid(), generate_uid()
    made.Modality, made.PixelSpacing = "DX", [0.2, 0.3]
    made.PatientName = made.PatientID = made.AccessionNumber = f"{CANARY}^ANN"
    made.StudyID = made.StudyDescription = made.InstitutionName = CANARY
    made.ReferringPhysicianName = made.OperatorsName = CANARY
    made.StationName = made.DeviceSerialNumber = made.Manufacturer = CANARY
    made.StudyDate = made.PatientBirthDate = "19620304"
    block = made.private_block(0x0011, CANARY, create=True)
    block.add_new(1, "LO", CANARY)
    made.Rows, made.Columns, made.SamplesPerPixel = ROWS, COLUMNS, 1
    made.BitsAllocated, made.BitsStored, made.HighBit = 8, 8, 7
    made.PixelRepresentation, made.PhotometricInterpretation = 0, "MONOCHROME2"
    rng = np.random.default_rng(seed)
    made.PixelData = rng.integers(0, 256, (ROWS, COLUMNS), np.uint8).tobytes()
    for keyword, value in attributes.items():
        setattr(made, keyword, value)
    made.save_as(path, enforce_file_format=True)
    return str(made.SOPInstanceUID)

"""Projects, masks and DICOM films for the tests of everything that meets the disk."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from numpy.typing import NDArray
from PIL import Image
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

from napari_wsseg.io.project import Project
from napari_wsseg.schema import Case

CASE = "0123456789abcdef"
SHAPE = (40, 30)


def new_project(tmp_path: Path) -> Project:
    """Make a writable project with one case of 40 × 30 and two findings."""
    images = tmp_path / "images"
    images.mkdir()
    project = Project.create(
        tmp_path / "project", findings=["nodule", "effusion"], images=images
    )
    project.add_case(
        Case(CASE, "a/film.png", SHAPE, (0.2, 0.1), "train", {"nodule": 1})
    )
    return project


def blot(
    top: int = 5, left: int = 4, height: int = 6, width: int = 7
) -> NDArray[np.bool_]:
    """Make a mask with one rectangle of the finding."""
    mask = np.zeros(SHAPE, bool)
    mask[top : top + height, left : left + width] = True
    return mask


def write_png(path: Path, pixels: NDArray[Any]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return path


def grey(seed: int, shape: tuple[int, int] = SHAPE) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


def dicom_film(stored: NDArray[Any], **elements: Any) -> Dataset:
    """Make a DX data set around stored values; keywords set elements."""
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.SOPClassUID = "1.2.840.10008.5.1.4.1.1.1.1"
    dataset.SOPInstanceUID = generate_uid()
    dataset.Modality = "DX"
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.SamplesPerPixel = 1
    dataset.Rows, dataset.Columns = stored.shape
    dataset.BitsAllocated = 8 * stored.dtype.itemsize
    dataset.BitsStored = elements.pop("BitsStored", dataset.BitsAllocated)
    dataset.HighBit = dataset.BitsStored - 1
    dataset.PixelRepresentation = int(stored.dtype.kind == "i")
    dataset.PixelData = stored.tobytes()
    dataset["PixelData"].VR = "OB" if stored.dtype.itemsize == 1 else "OW"
    for keyword, value in elements.items():
        setattr(dataset, keyword, value)
    return dataset


def save_dicom(dataset: Dataset, path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pydicom.dcmwrite(path, dataset, enforce_file_format=True)
    return path


def forge(index: sqlite3.Connection, statement: str) -> None:
    """Change what only grows, as a forger would: its triggers off, and on again."""
    sql = "SELECT name, sql FROM sqlite_master WHERE type = 'trigger'"
    triggers = index.execute(sql).fetchall()
    for name, _ in triggers:
        index.execute(f"DROP TRIGGER {name}")
    index.execute(statement)
    for _, trigger in triggers:
        index.execute(trigger)
    index.commit()

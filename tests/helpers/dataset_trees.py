"""Small trees in exactly the layouts in which data sets are published; all is drawn."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

from helpers.small_project import grey
from napari_wsseg.cli import main
from napari_wsseg.datasets import datasets
from napari_wsseg.datasets.importing.report import ImportReport
from napari_wsseg.io.project import Project
from napari_wsseg.jobs import finish
from napari_wsseg.schema import Case


def picture(path: Path, seed: int, shape: tuple[int, ...] = (24, 20)) -> Path:
    """Write a film of noise; the file's ending says which kind."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, shape, np.uint8)
    Image.fromarray(pixels).save(path)
    return path


def text(path: Path, *lines: str, end: str = "\n") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + end)
    return path


def dicom(path: Path, seed: int, shape: tuple[int, int] = (24, 20)) -> Path:
    """Write an 8-bit film as SIIM-ACR has them."""
    path.parent.mkdir(parents=True, exist_ok=True)
    film = Dataset()
    film.file_meta = FileMetaDataset()
    film.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    film.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.7"
    film.SOPClassUID = "1.2.840.10008.5.1.4.1.1.7"
    film.SOPInstanceUID = film.file_meta.MediaStorageSOPInstanceUID = path.stem
    film.Modality, film.BodyPartExamined, film.ViewPosition = "CR", "CHEST", "PA"
    film.Rows, film.Columns = shape
    film.SamplesPerPixel, film.PhotometricInterpretation = 1, "MONOCHROME2"
    film.BitsAllocated = film.BitsStored = 8
    film.HighBit, film.PixelRepresentation = 7, 0
    film.PixelSpacing = [0.168, 0.168]
    film.PixelData = grey(seed, shape).tobytes()
    film.save_as(path, enforce_file_format=True)
    return path


def run(name: str, folder: Path, **given: Any) -> ImportReport:
    """Import a tree into ``folder/project``."""
    return finish(datasets[name](folder / "project", **given))


def initialised(name: str, folder: Path, images: Path, *arguments: str) -> int:
    """Import with `wsseg init`; return the number of cases."""
    project = folder / "project"
    given = ["init", project, "--images", images, "--dataset", name, *arguments]
    assert main([str(word) for word in given]) == 0
    with Project.open(project) as made:
        return len(made.cases())


def cases(report: ImportReport) -> dict[str, Case]:
    """Return the cases by name."""
    with Project.open(report.project) as project:
        return {case.name: case for case in project.cases()}


def by_path(report: ImportReport) -> dict[str, Case]:
    with Project.open(report.project) as project:
        return {case.path: case for case in project.cases()}


def masks(report: ImportReport, case: Case) -> dict[str, NDArray[np.bool_]]:
    with Project.open(report.project) as project:
        assert project.fsck() == []
        return project.expert_masks(case.id)


def box(shape: tuple[int, int], rows: slice, columns: slice) -> NDArray[np.bool_]:
    mask = np.zeros(shape, bool)
    mask[rows, columns] = True
    return mask

"""An archive that tests of one file share."""

from __future__ import annotations

from collections.abc import Iterator

import pydicom
import pytest

from helpers.archive import Archive, running
from helpers.named_dicom import film

FILMS = 6


@pytest.fixture(scope="module")
def orthanc(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Archive]:
    """An archive with six films: five chests, one of them old, and a hand."""
    folder = tmp_path_factory.mktemp("archive")
    with running(folder) as found:
        for number in range(FILMS):
            path = folder / f"{number}.dcm"
            film(path, number)
            header = pydicom.dcmread(path)
            header.PatientID, header.PatientName = f"P{number}", f"Somebody^{number}"
            header.AccessionNumber = f"00{number}"
            header.Modality = "CR" if number == 1 else "DX"
            header.StudyDate = "20200101" if number == 0 else f"202601{number:02}"
            header.BodyPartExamined = "HAND" if number == FILMS - 1 else "CHEST"
            header.save_as(path)
            found.store(path)
        yield found

"""Segmentations in a real archive, on loopback: they join a study and harm none."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

import numpy as np
import pydicom
import pytest

from helpers.archive import Archive, running
from helpers.dicom_project import add_film
from helpers.named_dicom import COLUMNS, ROWS, film
from napari_wsseg.export import IDENTITIES, Identity, writing
from napari_wsseg.io.project import Project

pytestmark = pytest.mark.programs

FILMS = 3


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[Archive]:
    """Start an archive that holds nothing, and end it."""
    with running(tmp_path) as found:
        yield found


@pytest.fixture
def clinic(tmp_path: Path) -> Iterator[Project]:
    """Make a project of films of three patients, each with a mask."""
    films = tmp_path / "films"
    films.mkdir()
    with Project.create(tmp_path / "p", findings=["heart"], images=films) as made:
        for number in range(FILMS):
            path = films / f"{number}.dcm"
            film(path, number, PatientID=f"patient {number}")
            case_id = add_film(made, path).id
            mask = np.zeros((ROWS, COLUMNS), bool)
            mask[number : number + 5, 2:11] = True
            made.put_mask(case_id, "heart", mask, reader="ann", tool="brush")
        yield made


def _patients(instances: list[Any]) -> set[str]:
    return {one["00100020"]["Value"][0] for one in instances}


def _modalities(instances: list[Any]) -> list[str]:
    return sorted(one["00080060"]["Value"][0] for one in instances)


def test_of_the_same_patient_masks_join_their_study_and_can_be_read_there(
    archive: Archive, clinic: Project, tmp_path: Path
) -> None:
    films = sorted(clinic.images.glob("*.dcm"))
    for path in films:
        archive.store(path)
    identity: Identity = "same-patient"
    found = writing.export(clinic, "dicom_seg", tmp_path / "out", identity=identity)
    for path in found.files:
        archive.store(path)
    assert len(archive.studies()) == FILMS
    for number, path in enumerate(films):
        instances = archive.metadata(pydicom.dcmread(path).StudyInstanceUID)
        assert _patients(instances) == {f"patient {number}"}
        assert _modalities(instances) == ["DX", "SEG"]


def test_the_same_mask_is_not_stored_twice(
    archive: Archive, clinic: Project, tmp_path: Path
) -> None:
    for out in ("a", "b"):
        found = writing.export(
            clinic, "dicom_seg", tmp_path / out, identity="same-patient"
        )
        answers = [
            archive.ask("/instances", path.read_bytes())["Status"]
            for path in found.files
        ]
    assert answers == ["AlreadyStored"] * FILMS


def test_de_identified_masks_leave_the_studies_of_the_archive_alone(
    archive: Archive, clinic: Project, tmp_path: Path
) -> None:
    films = sorted(clinic.images.glob("*.dcm"))
    for path in films:
        archive.store(path)
    uids = [pydicom.dcmread(path).StudyInstanceUID for path in films]
    before = [archive.metadata(uid) for uid in uids]
    for path in writing.export(clinic, "dicom_seg", tmp_path / "out").files:
        archive.store(path)
    assert [archive.metadata(uid) for uid in uids] == before
    assert len(archive.studies()) == 2 * FILMS
    for study in archive.studies():
        uid = study["0020000D"]["Value"][0]
        if uid not in uids:
            assert _modalities(archive.metadata(uid)) == ["OT", "SEG"]


def test_a_study_of_two_patients_is_what_an_archive_cannot_answer_for(
    archive: Archive, clinic: Project, tmp_path: Path
) -> None:
    """Why there is no identity between the two: it is shown that the harm is real."""
    path = clinic.images / "0.dcm"
    archive.store(path)
    found = writing.export(
        clinic, "dicom_seg", tmp_path / "out", identity="same-patient"
    )
    mixed = pydicom.dcmread(found.files[0])
    mixed.PatientID = "pseudonym"
    mixed.save_as(tmp_path / "mixed.dcm")
    archive.store(tmp_path / "mixed.dcm")
    with pytest.raises(HTTPError, match="404"):
        archive.metadata(mixed.StudyInstanceUID)


@pytest.mark.parametrize("identity", IDENTITIES)
def test_the_validator_finds_no_error(
    clinic: Project, tmp_path: Path, identity: Identity
) -> None:
    program = shutil.which("dciodvfy")
    assert program, "dciodvfy is not installed: apt-get install dicom3tools"
    found = writing.export(clinic, "dicom_seg", tmp_path / "out", identity=identity)
    for path in found.files:
        result = subprocess.run(
            [program, "-new", str(path)], capture_output=True, text=True, check=False
        ).stderr
        assert "Segmentation" in result or "SCImage" in result, result
        assert not [line for line in result.splitlines() if line.startswith("Error")]

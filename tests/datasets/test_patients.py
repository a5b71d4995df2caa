"""No patient is learnt and tested, and nobody's number is kept."""

from __future__ import annotations

from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
import pytest
from pydicom.uid import DeflatedExplicitVRLittleEndian, generate_uid

from helpers.noise_dicom import film
from helpers.small_project import save_dicom
from napari_wsseg.datasets.folder import import_folder
from napari_wsseg.datasets.importing import splits as _splits
from napari_wsseg.datasets.importing.report import ImportReport
from napari_wsseg.io import film_identity
from napari_wsseg.io.films import limits as _limits
from napari_wsseg.io.project import Project


def ward(place: Path, owners: list[tuple[str, str]]) -> Path:
    """Make a study folder a film; an owner is the patient's ID and the study's UID."""
    for number, (patient, study) in enumerate(owners):
        elements = {"PatientID": patient, "StudyInstanceUID": study}
        save_dicom(film(number, **elements), place / f"study{number:03d}" / "IM0001")
    return place


def imported(place: Path, labels: str = "") -> ImportReport:
    (place / "masks" / "nodule").mkdir(parents=True)
    table = place / "labels.csv" if labels else None
    if table is not None:
        table.write_text(labels)
    films, masks = place / "films", place / "masks"
    return import_folder(place / "p", films, table, masks, names="keep")


def split_of(report: ImportReport) -> dict[int, str]:
    """Return splits by the number of the study folder."""
    with Project.open(report.project) as project:
        return {int(case.path[5:8]): case.split for case in project.cases()}


def parted(splits: dict[int, str], owners: list[str]) -> int:
    """Count owners with films in more than one split."""
    of_owner = defaultdict(set)
    for number, split in splits.items():
        of_owner[owners[number]].add(split)
    return sum(len(found) > 1 for found in of_owner.values())


def test_films_of_a_patient_share_a_split_and_the_id_is_nowhere(tmp_path: Path) -> None:
    patients = [f"MRN-{number % 20:05d}" for number in range(60)]
    ward(tmp_path / "films", [(patient, generate_uid()) for patient in patients])
    report = imported(tmp_path)
    splits = split_of(report)
    assert (len(splits), report.warnings) == (60, ())
    assert parted(splits, patients) == 0
    assert Counter(splits.values()) == {"train": 42, "val": 9, "test": 9}
    kept = [path for path in report.project.rglob("*") if path.is_file()]
    assert kept
    assert not [path for path in kept if b"MRN-0" in path.read_bytes()]


def test_films_without_an_id_share_the_split_of_their_study(tmp_path: Path) -> None:
    studies = [generate_uid() for _ in range(10)] * 3
    ward(tmp_path / "films", [("", study) for study in studies])
    splits = split_of(imported(tmp_path))
    assert parted(splits, studies) == 0
    assert set(splits.values()) == {"train", "val", "test"}


def test_an_id_that_most_films_share_is_nobodys(tmp_path: Path) -> None:
    studies = [generate_uid() for _ in range(10)] * 2
    ward(tmp_path / "films", [("ANON", study) for study in studies])
    report = imported(tmp_path)
    [warning] = report.warnings
    assert warning.startswith("20 of 20 DICOM films have the same patient ID")
    assert "ANON" not in warning
    splits = split_of(report)
    assert parted(splits, studies) == 0
    assert set(splits.values()) == {"train", "val", "test"}


def test_splits_of_the_labels_stand_and_a_parted_patient_is_told(
    tmp_path: Path,
) -> None:
    ward(tmp_path / "films", [(f"P{number % 3}", "") for number in range(6)])
    given = ["train", "val", "test", "test", "val", "test"]
    lines = [f"study{n:03d}/IM0001,1,{split}" for n, split in enumerate(given)]
    report = imported(tmp_path, "\n".join(["image,nodule,split", *lines]))
    assert list(split_of(report).values()) == given
    [parted] = [warning for warning in report.warnings if "several splits" in warning]
    assert parted.startswith("films of 1 patient lie in several splits")


def test_too_few_patients_are_told(tmp_path: Path) -> None:
    ward(tmp_path / "films", [(f"P{number % 2}", "") for number in range(8)])
    report = imported(tmp_path)
    assert set(split_of(report).values()) == {"train"}
    [warning] = report.warnings
    assert warning.startswith("too few patients (2) to give val and test a film")


def test_a_patient_is_dealt_by_all_findings_of_hers() -> None:
    patients = [(f"{n}a", f"{n}b") for n in range(100)]
    labels = {
        image: {"nodule": int(n % 4 == 0 and image.endswith("b"))}
        for n, pair in enumerate(patients)
        for image in pair
    }
    splits = _splits.assign(labels, patients)
    sick = Counter(splits[f"{n}a"] for n in range(0, 100, 4))
    assert abs(sick["val"] - 3.75) <= 1.5
    assert abs(sick["test"] - 3.75) <= 1.5
    assert all(splits[one] == splits[other] for one, other in patients)


def test_whose_film_it_is_is_read_and_damage_says_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = {"PatientID": " P1 ", "PatientIdentityRemoved": "YES"}
    dataset = film(1, StudyInstanceUID="1.2.3", **known)
    path = save_dicom(dataset, tmp_path / "film.dcm")
    assert film_identity.read_owner(path)[:3] == (True, "P1", "1.2.3")
    path.write_bytes(path.read_bytes()[:200])
    assert film_identity.read_owner(path) == film_identity.FilmOwner()
    assert film_identity.read_owner(tmp_path / "nowhere.dcm") is None
    (tmp_path / "film.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    assert film_identity.read_owner(tmp_path / "film.png") is None
    dataset.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    dataset.PixelData = np.zeros(10_000, np.uint16).tobytes()
    bomb = save_dicom(dataset, tmp_path / "bomb.dcm")
    assert film_identity.read_owner(bomb)[:3] == (True, "P1", "1.2.3")
    monkeypatch.setattr(_limits, "MAX_FILE_BYTES", 10_000)
    assert film_identity.read_owner(bomb) == film_identity.FilmOwner(), (
        "nothing is inflated beyond the cap"
    )

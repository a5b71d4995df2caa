"""File names that may name a patient stay in a key file outside the project."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import numpy as np
import pytest

from helpers.small_project import dicom_film, grey, save_dicom, write_png
from napari_wsseg import cli
from napari_wsseg.datasets.folder import import_folder
from napari_wsseg.io import film_names
from napari_wsseg.io.project import Project
from napari_wsseg.jobs import DataError

PATIENTS = ("DOE^JANE_1962/CANARY one.dcm", "SMITH.JOHN", "z/MILLER^ANN.DCM")


@pytest.fixture
def clinic(tmp_path: Path, keys: Path) -> Path:
    images = tmp_path / "CANARY WARD"
    for seed, patient in enumerate(PATIENTS):
        path = images / patient
        path.parent.mkdir(parents=True, exist_ok=True)
        save_dicom(dicom_film(grey(seed, (80, 70))), path)
    lines = [f"{patient},{n % 2}" for n, patient in enumerate(PATIENTS)]
    labels = tmp_path / "labels.csv"
    labels.write_text("\n".join(["image,nodule", *lines]))
    return images


def bytes_of(folder: Path) -> bytes:
    return b"".join(p.read_bytes() for p in folder.rglob("*") if p.is_file())


def made(clinic: Path, **more: str) -> Path:
    folder = clinic.parent / "project"
    report = import_folder(folder, clinic, clinic.parent / "labels.csv", **more)  # type: ignore[arg-type]
    assert report.imported == 3
    return folder


def told_nothing(data: bytes) -> None:
    for word in (b"DOE", b"SMITH", b"MILLER", b"CANARY"):
        assert word not in data, word


def test_a_project_of_dicom_films_has_no_file_name_in_it(clinic: Path) -> None:
    folder = made(clinic)
    told_nothing(bytes_of(folder))
    with Project.open(folder) as project:
        shown = sorted(case.path for case in project.cases())
        assert shown[0].startswith("film_000")
        films = [project.radiograph(case) for case in project.cases()]
        assert [film.uid[:16] for film in films] == [c.id for c in project.cases()]
        by_file = {project.films.films[c.path]: c.labels for c in project.cases()}
        assert by_file[PATIENTS[1]] == {"nodule": 1}, "labels join by the file's name"


def test_the_key_file_is_its_owners_alone_and_outside(clinic: Path, keys: Path) -> None:
    made(clinic)
    (key,) = keys.iterdir()
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert set(json.loads(key.read_text())["films"].values()) == set(PATIENTS)


def test_pictures_keep_their_names_unless_told_otherwise(
    tmp_path: Path, keys: Path
) -> None:
    write_png(tmp_path / "films" / "a.png", grey(1))
    (tmp_path / "labels.csv").write_text("image,nodule\na.png,1")
    kept = import_folder(tmp_path / "kept", tmp_path / "films", tmp_path / "labels.csv")
    hidden = import_folder(
        tmp_path / "hidden", tmp_path / "films", tmp_path / "labels.csv", names="hide"
    )
    with Project.open(kept.project) as project:
        assert [case.path for case in project.cases()] == ["a.png"]
    with Project.open(hidden.project) as project:
        assert [case.path for case in project.cases()] == ["film_0001.png"]


@pytest.mark.parametrize(
    ("stated", "kept"), [("YES", True), ("NO", False), ("", False)]
)
def test_dicom_films_that_say_nobody_is_named_keep_their_names(
    tmp_path: Path, stated: str, kept: bool
) -> None:
    film = dicom_film(grey(1, (80, 70)), PatientIdentityRemoved=stated)
    (tmp_path / "films").mkdir()
    save_dicom(film, tmp_path / "films" / "a.dcm")
    (tmp_path / "labels.csv").write_text("image,nodule\na.dcm,1")
    report = import_folder(tmp_path / "p", tmp_path / "films", tmp_path / "labels.csv")
    with Project.open(report.project) as project:
        (case,) = project.cases()
        assert (case.path == "a.dcm") is kept


def test_an_import_that_fails_leaves_no_key_file(tmp_path: Path, keys: Path) -> None:
    (tmp_path / "films").mkdir()
    (tmp_path / "films" / "DOE^JANE.dcm").write_bytes(b"no film")
    (tmp_path / "labels.csv").write_text("image,nodule\nDOE^JANE.dcm,1")
    with pytest.raises(DataError, match="no film could be imported"):
        import_folder(tmp_path / "p", tmp_path / "films", tmp_path / "labels.csv")
    assert list(keys.iterdir()) == []


def test_without_its_key_a_project_opens_and_says_what_to_do(
    clinic: Path, keys: Path
) -> None:
    folder = made(clinic)
    (key,) = keys.iterdir()
    key.unlink()
    with Project.open(folder) as project:
        case = project.cases()[0]
        with pytest.raises(DataError, match=r"key file .* is not here"):
            project.radiograph(case)
        assert len(project.fsck()) == 1


def test_a_lost_key_is_made_again_from_the_pixels(clinic: Path, keys: Path) -> None:
    folder = made(clinic)
    (key,) = keys.iterdir()
    before = json.loads(key.read_text())
    key.unlink()
    assert cli.main(["names", "-p", str(folder), "--images", str(clinic)]) == 0
    assert json.loads(key.read_text()) == before


def test_films_that_were_moved_are_found_by_their_pixels(
    clinic: Path, tmp_path: Path
) -> None:
    folder = made(clinic, names="keep")
    moved = tmp_path / "elsewhere"
    clinic.rename(moved)
    (moved / "SMITH.JOHN").rename(moved / "renamed.dcm")
    with (
        Project.open(folder) as project,
        pytest.raises(DataError, match="if the films were moved: wsseg names --images"),
    ):
        project.radiograph(project.cases()[0])
    assert cli.main(["names", "-p", str(folder), "--images", str(moved)]) == 0
    with Project.open(folder) as project:
        assert project.fsck() == []
        assert "renamed.dcm" in {case.path for case in project.cases()}


def test_an_older_project_can_hide_its_names(clinic: Path) -> None:
    folder = made(clinic, names="keep")
    assert b"SMITH.JOHN" in bytes_of(folder)
    assert cli.main(["names", "-p", str(folder), "--hide"]) == 0
    told_nothing(bytes_of(folder))
    with Project.open(folder) as project:
        assert project.fsck() == []
        assert all(project.radiograph(case).pixels.any() for case in project.cases())


def test_a_film_whose_pixels_changed_is_told_by_its_other_name(
    clinic: Path,
) -> None:
    folder = made(clinic)
    save_dicom(dicom_film(grey(9, (80, 70))), clinic / PATIENTS[1])
    (clinic / PATIENTS[2]).write_bytes(b"broken")
    (clinic / PATIENTS[0]).unlink()
    with Project.open(folder) as project:
        for case in project.cases():
            with pytest.raises(DataError) as raised:
                project.radiograph(case)
            told_nothing(str(raised.value).encode())
            assert case.path in str(raised.value)
        told_nothing("".join(project.fsck()).encode())


def test_masks_are_taken_by_either_name(clinic: Path, tmp_path: Path) -> None:
    folder = made(clinic)
    mask = np.zeros((80, 70), np.uint8)
    mask[5:9] = 255
    write_png(tmp_path / "masks" / "nodule" / "SMITH.JOHN.png", mask)
    with Project.open(folder) as project:
        other = next(c for c in project.cases() if "DOE" in project.films.films[c.path])
    write_png(tmp_path / "masks" / "nodule" / f"{other.name}.png", mask)
    arguments = ["import", "png", str(tmp_path / "masks"), "-p", str(folder)]
    assert cli.main([*arguments, "--reader", "ann"]) == 0
    with Project.open(folder) as project:
        assert len(project.annotated()) == 2


@pytest.mark.parametrize("key", ["../../etc/passwd", "A" * 16, "0" * 15])
def test_a_project_cannot_name_any_file_as_its_key(clinic: Path, key: str) -> None:
    folder = made(clinic)
    toml = folder / "wsseg.toml"
    with Project.open(folder) as project:
        toml.write_text(toml.read_text().replace(project.films.key, key))
    with pytest.raises(DataError, match="16 digits"):
        Project.open(folder)


@pytest.mark.parametrize("path", ["../x.png", "/etc/x.png", "a/../../x", "C:\\x", ""])
def test_a_film_outside_the_image_folder_is_refused(path: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="leads out"):
        film_names.Names(tmp_path).place(path)

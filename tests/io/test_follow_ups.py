"""Which films are one patient's is kept by their ids; nobody's number or date is."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image
from pydicom.uid import generate_uid

from helpers.noise_dicom import film
from helpers.small_project import save_dicom
from napari_wsseg.datasets import nih14
from napari_wsseg.datasets.chexpert import _taken
from napari_wsseg.datasets.folder import import_folder
from napari_wsseg.io.project import Project
from napari_wsseg.io.project_folder import follow_ups
from napari_wsseg.jobs import DataError

TAKEN = (
    ("MRN-77001", "20240301"),
    ("MRN-77001", "20231105"),
    ("MRN-88002", "20240101"),
    ("MRN-77001", "20240302"),
    ("MRN-88002", ""),
    ("", "20240101"),
)


def test_an_import_keeps_the_order_of_a_patients_films_and_no_id_or_date(
    tmp_path: Path,
) -> None:
    for number, (patient, date) in enumerate(TAKEN):
        elements = {"PatientID": patient, "StudyDate": date}
        one = film(number, StudyInstanceUID=generate_uid(), **elements)
        save_dicom(one, tmp_path / "films" / f"film{number}.dcm")
    (tmp_path / "masks" / "nodule").mkdir(parents=True)
    report = import_folder(
        tmp_path / "p", tmp_path / "films", masks=tmp_path / "masks", names="keep"
    )
    with Project.open(report.project) as project:
        ids = {case.name: case.id for case in project.cases()}
    series = follow_ups.read(report.project)
    order = [[ids["film1"]], [ids["film0"]], [ids["film3"]]]
    assert series == [order]
    assert follow_ups.earlier(series, ids["film3"]) == (ids["film0"], ids["film1"])
    assert follow_ups.earlier(series, ids["film1"]) == ()
    assert follow_ups.earlier(series, ids["film2"]) == ()
    text = (report.project / follow_ups.FILE).read_text()
    assert not any(word in text for word in ("MRN", "77001", "2024", "2023"))


def test_films_of_one_moment_are_not_earlier_than_each_other(tmp_path: Path) -> None:
    films = [("a", "p", "1"), ("b", "p", "2"), ("c", "p", "2"), ("d", "q", "1")]
    follow_ups.write(tmp_path, films)
    series = follow_ups.read(tmp_path)
    assert follow_ups.earlier(series, "c") == ("a",)
    assert follow_ups.earlier(series, "b") == ("a",)


def test_where_nobody_came_twice_nothing_is_kept(tmp_path: Path) -> None:
    follow_ups.write(tmp_path, [("a", "p", "1"), ("b", "p", "1"), ("c", "", "2")])
    assert list(tmp_path.iterdir()) == []
    assert follow_ups.read(tmp_path) == []


def test_a_damaged_file_is_told(tmp_path: Path) -> None:
    (tmp_path / follow_ups.FILE).write_text('{"a": 1}')
    with pytest.raises(DataError, match="damaged"):
        follow_ups.read(tmp_path)


def test_the_names_of_nih_and_chexpert_films_tell_what_came_before(
    tmp_path: Path,
) -> None:
    assert _taken("patient00001/study12/view1_frontal") == ("patient00001", "0012")
    assert _taken("patient00001/study2/view1_frontal")[1] < "0012"
    (tmp_path / "images").mkdir()
    rows = ["Image Index,Finding Labels,Follow-up #,Patient ID"]
    for number, name in enumerate(("00000001_000", "00000001_001", "00000002_000")):
        grey = Image.new("L", (40, 40), 40 * number + 20)
        grey.putpixel((3, 3), 255)
        grey.save(tmp_path / "images" / f"{name}.png")
        rows.append(f"{name}.png,No Finding,0,1")
    (tmp_path / "Data_Entry_2017.csv").write_text("\n".join(rows) + "\n")
    for _ in nih14.steps(
        tmp_path / "p",
        images=tmp_path / "images",
        labels=tmp_path / "Data_Entry_2017.csv",
    ):
        pass
    assert [len(times) for times in follow_ups.read(tmp_path / "p")] == [2]

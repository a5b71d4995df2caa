"""Names in files of others: each is one film's, or told."""

from __future__ import annotations

from pathlib import Path

import pytest

from helpers.export_project import INDEXED_SHAPE as SHAPE
from helpers.foreign_masks import (
    BY_NAME,
    Write,
    coco,
    cvat,
    drawn,
    every_format,
    labelme,
    only,
    siim_rle,
    take,
)
from napari_wsseg.export.exporting import identity
from napari_wsseg.io.project import Project
from napari_wsseg.jobs import DataError
from napari_wsseg.schema import Case


@every_format
def test_a_name_with_dots_is_that_film_or_none(
    name: str, project: Project, place: Path
) -> None:
    project.add_case(Case("9" * 16, "1.2.3.4.5.png", SHAPE, None, "train", {}))
    path = BY_NAME[name](place, "1.2.3.4.5.555")
    with pytest.raises(DataError, match=r"no film is called 1\.2\.3\.4\.5\.555"):
        take(project, name, path)
    take(project, name, BY_NAME[name](place, "1.2.3.4.5.101"))
    assert only(project, "1.2.3.4.5.101.png")


@every_format
def test_the_form_of_a_name_does_not_matter(
    name: str, project: Project, place: Path
) -> None:
    project.add_case(Case("9" * 16, "Thorax Müller.png", SHAPE, None, "train", {}))
    take(project, name, BY_NAME[name](place, "thorax mu\u0308ller"))
    assert only(project, "Thorax Müller.png")


@every_format
def test_the_first_channel_of_nnunet_is_the_film(
    name: str, project: Project, place: Path
) -> None:
    take(project, name, BY_NAME[name](place, "scan"))
    assert only(project, "scan_0000.png")
    project.add_case(Case("9" * 16, "scan.png", SHAPE, None, "train", {}))
    take(project, name, BY_NAME[name](place, "scan"))
    assert ("scan.png", "nodule") in drawn(project), "the film of that name comes first"


@pytest.mark.parametrize("name", ["coco", "labelme", "cvat", "siim_rle"])
@pytest.mark.parametrize(
    "film",
    [
        "/data/local-files/?d=films/c%20d.png",
        "s3://bucket/films/c%20d.png",
        "../../media/upload/1/3f2a1b4c-c%20d.png",
        "images/c d_png.rf.0123456789abcdef0123456789abcdef.jpg",
        "C:\\films\\C D.PNG",
        "\ufeffc d.png",
    ],
)
def test_names_as_services_write_them(
    name: str, film: str, project: Project, place: Path
) -> None:
    take(project, name, BY_NAME[name](place, film))
    assert only(project, "c d.png")


@pytest.mark.parametrize("name", ["png", "nifti"])
def test_masks_that_lie_in_the_folder_itself_are_of_what_it_is_called(
    name: str, project: Project, place: Path
) -> None:
    BY_NAME[name](place, "a")
    take(project, name, place / "nodule")
    assert only(project, "a.png")
    (place / "nodule").rename(place / "other")
    with pytest.raises(DataError, match="--finding"):
        take(project, name, place / "other")
    take(project, name, place / "other", finding="mass")
    assert set(drawn(project)) == {("a.png", "nodule"), ("a.png", "mass")}


@pytest.mark.parametrize("name", ["png", "nifti"])
def test_two_files_that_could_mean_one_film_are_of_neither(
    name: str, project: Project, place: Path
) -> None:
    """Two names that differ, one film: nothing says which is somebody else's."""
    BY_NAME[name](place, "a")
    BY_NAME[name](place, "A.dcm")
    with pytest.raises(DataError, match="the same film as"):
        take(project, name, place)


@pytest.mark.parametrize("write", [coco, labelme, cvat])
def test_a_name_without_end_makes_no_message_without_end(
    write: Write, project: Project, place: Path
) -> None:
    path = write(place, "a.png")
    path.write_text(path.read_text().replace("nodule", "n" * 100_000))
    with pytest.raises(DataError, match="none of this project's") as told:
        take(project, write.__name__, path)
    assert len(str(told.value)) < 2000


def test_a_film_of_several_with_one_uid_is_not_guessed(
    project: Project, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    uid = "1.2.840.10008.1.2.3.4"
    monkeypatch.setattr(identity, "sop_uid", lambda project, case: uid)
    with pytest.raises(DataError, match="several films have its SOP Instance UID"):
        take(project, "siim_rle", siim_rle(place, uid))

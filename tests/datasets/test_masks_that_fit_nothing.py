"""Masks, tables and names at `wsseg init` that fit no film, or more than one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from helpers.small_project import grey, write_png
from napari_wsseg.datasets.folder import import_folder
from napari_wsseg.datasets.importing.report import ImportReport
from napari_wsseg.export import reading_back
from napari_wsseg.io.project import Project
from napari_wsseg.io.project_folder import settings
from napari_wsseg.jobs import DataError, finish
from napari_wsseg.schema import Case

SHAPE = (40, 30)


def made(tmp_path: Path, table: str = "image,nodule\na.png,1\n") -> ImportReport:
    for number, name in enumerate(("a.png", "b.png")):
        write_png(tmp_path / "images" / name, grey(number, SHAPE))
    (tmp_path / "labels.csv").write_text(table, encoding="utf-8")
    masks = tmp_path / "masks"
    return import_folder(
        tmp_path / "project",
        tmp_path / "images",
        tmp_path / "labels.csv",
        masks if masks.exists() else None,
    )


def mask(path: Path) -> Path:
    return write_png(path, np.pad(np.full((5, 5), 255, np.uint8), ((9, 26), (9, 16))))


@pytest.mark.parametrize(
    ("place", "message"),
    [
        ("nodule/strange.png", "no film is called strange"),
        ("a.png", "folders that are called as the findings"),
        ("other/a.png", "folders that are called as the findings"),
        ("nodule/a.gif", "not a PNG or TIFF mask"),
    ],
)
def test_a_mask_folder_of_which_nothing_fits_is_refused(
    place: str, message: str, tmp_path: Path
) -> None:
    mask(tmp_path / "masks" / place)
    with pytest.raises(DataError, match=message):
        made(tmp_path)
    assert not (tmp_path / "project").exists()


def test_one_mask_that_fits_is_enough_and_the_others_are_told(tmp_path: Path) -> None:
    mask(tmp_path / "masks" / "nodule" / "a.png")
    mask(tmp_path / "masks" / "nodule" / "strange.png")
    report = made(tmp_path)
    assert [one.path for one in report.rejected] == ["nodule/strange.png"]


def test_masks_as_nnunet_calls_them_are_named_with_the_command(tmp_path: Path) -> None:
    write_png(tmp_path / "images" / "c_0000.png", grey(3, SHAPE))
    mask(tmp_path / "masks" / "nodule" / "c.png")
    report = made(tmp_path)
    (left_out,) = report.rejected
    assert left_out.path == "nodule/c.png"
    assert "c_0000's, and `wsseg import png`" in left_out.reason
    with Project.open(report.project, write=True) as project:
        files = tmp_path / "masks" / "nodule" / "c.png"
        taken = finish(
            reading_back.steps(project, "png", files, reader="a", finding="nodule")
        )
    assert taken.masks == 1


def test_an_empty_mask_folder_is_no_fault(tmp_path: Path) -> None:
    (tmp_path / "masks" / "nodule").mkdir(parents=True)
    assert made(tmp_path).imported == 2


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("image,nodule\na.png,1\n./a.png,0\n", "was in line 2 already"),
        ("image,nodule\nü.png,1\nu\u0308.png,0\n", "lines 2 and 3 are both of"),
        ("image,nodule\na.png,1\nA.PNG,0\n", "A.PNG"),
        ("image,nodule,\na.png,1,\n", "column 3 has no name"),
        ("image,nodule,Nodule\na.png,1,0\n", "are the same; rename one"),
        ("image,nodule\nc.png,1\n", "none of its 1 lines names a film"),
    ],
)
def test_lines_that_contradict_each_other_are_never_taken_in_silence(
    table: str, message: str, tmp_path: Path
) -> None:
    write_png(tmp_path / "images" / "ü.png", grey(7, SHAPE))
    if message == "A.PNG":
        assert [one.path for one in made(tmp_path, table).rejected] == [message]
        return
    with pytest.raises(DataError, match=message):
        made(tmp_path, table)


def test_two_lines_that_agree_are_one(tmp_path: Path) -> None:
    write_png(tmp_path / "images" / "ü.png", grey(7, SHAPE))
    made(tmp_path, "image,nodule\nü.png,1\nu\u0308.png,1\n")
    with Project.open(tmp_path / "project") as project:
        labels = {case.path: case.labels["nodule"] for case in project.cases()}
    assert labels["ü.png"] == 1


def test_the_masks_of_a_film_that_is_another_again_are_told(tmp_path: Path) -> None:
    write_png(tmp_path / "images" / "twin.png", grey(0, SHAPE))
    mask(tmp_path / "masks" / "nodule" / "a.png")
    mask(tmp_path / "masks" / "nodule" / "twin.png")
    (reason,) = made(tmp_path).rejected
    assert reason.path == "twin.png"
    assert "its masks of nodule were not taken" in reason.reason


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("a/film.png", "film"),
        ("1.2.826.0.1.555", "1.2.826.0.1.555"),
        ("x/CR.1.dcm", "CR.1"),
        ("x.nii.gz", "x"),
        (".png", ".png"),
    ],
)
def test_a_film_is_called_without_the_ending_of_an_image_alone(
    path: str, name: str
) -> None:
    assert Case("0" * 16, path, SHAPE, None, "train", {}).name == name


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("defaults = 3", "write a table"),
        ("[defaults]\nseen_second = 1", "has no 'seen_second'"),
        ("[defaults]\nseen_seconds = 'long'", "a number of seconds"),
        ("[defaults]\nseen_seconds = true", "a number of seconds"),
        ("[defaults]\nseen_seconds = nan", "a number of seconds"),
    ],
)
def test_a_setting_that_is_off_is_told(line: str, message: str, tmp_path: Path) -> None:
    made(tmp_path)
    toml = tmp_path / "project" / settings.NAME
    text = toml.read_text()
    begin = text.index("[defaults]")
    rest = text[begin + len("[defaults]") :]
    toml.write_text(
        f"{text[:begin]}{rest}\n{line}\n"
        if "[" in line
        else f"{line}\n{text.replace('[defaults]', '')}"
    )
    with pytest.raises(DataError, match=message):
        settings.read(toml.parent)


def test_settings_may_begin_with_the_mark_of_an_editor(tmp_path: Path) -> None:
    made(tmp_path)
    toml = tmp_path / "project" / settings.NAME
    toml.write_text("\ufeff" + toml.read_text(), encoding="utf-8")
    assert settings.read(toml.parent).findings[0].name == "nodule"

"""CheXpert: uncertain and blank labels, views, editions; CheXlocalize's two forms."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from helpers.dataset_trees import (
    box,
    by_path,
    cases,
    initialised,
    masks,
    picture,
    run,
    text,
)
from napari_wsseg.datasets.importing.chexlocalize_masks import FINDINGS as DRAWN
from napari_wsseg.datasets.importing.chexpert_tables import FINDINGS
from napari_wsseg.io.project import Project
from napari_wsseg.jobs import DataError
from napari_wsseg.ops import run_lengths

HEADER = (
    "Path,Sex,Age,Frontal/Lateral,AP/PA,No Finding,Enlarged Cardiomediastinum,"
    "Cardiomegaly,Lung Opacity,Lung Lesion,Edema,Consolidation,Pneumonia,Atelectasis,"
    "Pneumothorax,Pleural Effusion,Pleural Other,Fracture,Support Devices"
)
#: As in the public table: a row with -1.0, one with No Finding, blanks between.
ROWS = {
    "train/patient00001/study1/view1_frontal.jpg": (
        "Female,68,Frontal,AP,1.0,,,,,,,,,0.0,,,,1.0"
    ),
    "train/patient00002/study2/view1_frontal.jpg": (
        "Female,87,Frontal,AP,,,-1.0,1.0,,-1.0,-1.0,,-1.0,,-1.0,,1.0,"
    ),
    "train/patient00002/study1/view2_lateral.jpg": (
        "Male,83,Lateral,,,,,1.0,,,-1.0,,,,,,1.0,"
    ),
}
VALID = {
    "valid/patient64541/study1/view1_frontal.jpg": (
        "Male,73,Frontal,AP,0.0,1.0,1.0,1.0,0.0,0.0,0.0,0.0,0.0,0.0,0.0,0.0,0.0,0.0"
    ),
    "valid/patient64542/study1/view1_frontal.jpg": (
        "Male,70,Frontal,PA,0.0,0.0,0.0,0.0,0.0,0.0,0.0,0.0,0.0,0.0,0.0,0.0,0.0,1.0"
    ),
    "valid/patient64542/study1/view2_lateral.jpg": (
        "Male,70,Lateral,,0.0,0.0,0.0,0.0,0.0,0.0,0.0,0.0,0.0,0.0,0.0,0.0,0.0,1.0"
    ),
}
SHAPE = (40, 32)
HEART = box(SHAPE, slice(10, 30), slice(8, 20))


def table(path: Path, edition: str, rows: dict[str, str]) -> Path:
    lines = (f"{edition}/{name},{rest}" for name, rest in rows.items())
    return text(path, HEADER, *lines)


@pytest.fixture
def chexpert(tmp_path: Path) -> Path:
    root = tmp_path / "CheXpert-v1.0-small"
    for number, name in enumerate((*ROWS, *VALID)):
        picture(root / name, number, SHAPE)
    table(root / "train.csv", root.name, ROWS)
    table(root / "valid.csv", root.name, VALID)
    return root


def short(report) -> dict:  # type: ignore[no-untyped-def, type-arg]
    return {"/".join(p.split("/")[-3:])[7:12]: c for p, c in by_path(report).items()}


def test_labels_are_the_tables_uncertain_and_unknown_kept(
    chexpert: Path, tmp_path: Path
) -> None:
    report = run("chexpert", tmp_path, images=chexpert)
    assert (report.imported, report.rejected) == (4, ())
    labels = short(report)["00002"].labels
    expected: dict[str, int | None] = dict.fromkeys(FINDINGS)
    expected |= dict.fromkeys(
        ("Cardiomegaly", "Edema", "Consolidation", "Atelectasis", "Pleural Effusion"),
        -1,
    )
    expected |= {"Lung Opacity": 1, "Fracture": 1}
    assert labels == expected


def test_no_finding_makes_blanks_absent_but_not_those_of_devices(
    chexpert: Path, tmp_path: Path
) -> None:
    labels = short(run("chexpert", tmp_path, images=chexpert))["00001"].labels
    assert labels == {**dict.fromkeys(FINDINGS, 0), "Support Devices": 1}
    csv = chexpert / "train.csv"
    csv.write_text(csv.read_text().replace(",0.0,,,,1.0", ",0.0,,,,"))
    labels = short(run("chexpert", tmp_path / "b", images=chexpert))["00001"].labels
    assert labels["Support Devices"] is None


def test_blanks_are_absent_if_asked_for(chexpert: Path, tmp_path: Path) -> None:
    report = run("chexpert", tmp_path, images=chexpert, blanks_absent=True)
    labels = short(report)["00002"].labels
    assert None not in labels.values()
    assert labels["Lung Lesion"] == 0
    assert labels["Edema"] == -1


def test_lateral_films_come_only_if_asked_for(chexpert: Path, tmp_path: Path) -> None:
    report = run("chexpert", tmp_path, images=chexpert)
    assert not any("lateral" in case.path for case in cases(report).values())
    assert any("2 lateral films left out" in line for line in report.warnings)
    both = run("chexpert", tmp_path / "both", images=chexpert, lateral=True)
    assert both.imported == 6


def test_splits_are_the_sources_and_gaps_are_told(
    chexpert: Path, tmp_path: Path
) -> None:
    report = run("chexpert", tmp_path, images=chexpert)
    split = {case.path.split("/")[0]: case.split for case in by_path(report).values()}
    assert split == {"train": "train", "valid": "val"}
    assert "no film is in test, as in the source" in report.warnings


def test_the_large_editions_batches_are_found(tmp_path: Path) -> None:
    root = tmp_path / "chexpert"
    for number, name in enumerate(ROWS):
        inside = name.removeprefix("train/")
        picture(root / "CheXpert-v1.0 batch 2 (train 1)" / inside, number, SHAPE)
    head = root / "CheXpert-v1.0 batch 1 (validate & csv)"
    for number, name in enumerate(VALID, start=9):
        picture(head / name, number, SHAPE)
    table(head / "train.csv", "CheXpert-v1.0", ROWS)
    table(head / "valid.csv", "CheXpert-v1.0", VALID)
    report = run("chexpert", tmp_path, images=root)
    assert (report.imported, report.rejected) == (4, ())


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("Edema", "Oedema", "no column 'Edema'"),
        ("-1.0,1.0", "maybe,1.0", "line 3, column 'Cardiomegaly': 'maybe'"),
        ("small/train", "small/more", "none of train, valid and test"),
        ("patient00002/study2", "patient00001/study1", "was in line 2"),
    ],
)
def test_what_is_off_is_told_and_nothing_is_made(
    chexpert: Path, tmp_path: Path, old: str, new: str, message: str
) -> None:
    csv = chexpert / "train.csv"
    csv.write_text(csv.read_text().replace(old, new, 1))
    with pytest.raises(DataError, match=message):
        run("chexpert", tmp_path, images=chexpert)
    assert [path.name for path in tmp_path.iterdir()] == [chexpert.name]


def test_missing_films_are_told_once(chexpert: Path, tmp_path: Path) -> None:
    csv = chexpert / "train.csv"
    rest = ROWS["train/patient00001/study1/view1_frontal.jpg"]
    more = "".join(
        f"{chexpert.name}/train/patient{n:05}/study1/view1_frontal.jpg,{rest}\n"
        for n in range(100, 130)
    )
    csv.write_text(csv.read_text() + more)
    report = run("chexpert", tmp_path, images=chexpert)
    assert (report.imported, report.rejected) == (4, ())
    assert any("30 of the 32 films" in warning for warning in report.warnings)


# CheXlocalize ----------------------------------------------------------------------

FIRST, SECOND = "patient64541_study1_view1_frontal", "patient64741_study1_view1_frontal"
CONTOUR = [[8.2, 10.4], [19.5, 10.0], [19.5, 29.7], [8.2, 29.7]]


@pytest.fixture
def localised(tmp_path: Path) -> Path:
    """Make the download: CheXpert with its val and test, CheXlocalize beside it."""
    films = tmp_path / "CheXpert"
    for number, name in enumerate(VALID):
        picture(films / name.replace("valid", "val"), number, SHAPE)
    picture(films / "test/patient64741/study1/view1_frontal.jpg", 9, SHAPE)
    table(films / "val_labels.csv", "CheXpert-v1.0", VALID)
    # The test's table has neither view nor patient, and another order.
    text(
        films / "test_labels.csv",
        "Path," + ",".join(reversed(FINDINGS)) + ",No Finding",
        "test/patient64741/study1/view1_frontal.jpg,"
        + ",".join("1.0" if f == "Pneumothorax" else "0.0" for f in reversed(FINDINGS))
        + ",0.0",
    )
    names = [{"Lung Opacity": "Airspace Opacity"}.get(f, f) for f in DRAWN]
    empty = np.zeros(SHAPE, bool)

    def entry(mask: np.ndarray) -> dict:  # type: ignore[type-arg]
        return {"size": list(SHAPE), "counts": run_lengths.coco_encode(mask)}

    def film(**drawn: np.ndarray) -> dict:  # type: ignore[type-arg]
        return {name: entry(drawn.get(name.split()[0], empty)) for name in names}

    folder = tmp_path / "CheXlocalize"
    folder.mkdir()
    val = {FIRST: film(Cardiomegaly=HEART, Enlarged=HEART, Airspace=HEART)}
    test = {SECOND: film(Pneumothorax=HEART)}
    (folder / "gt_segmentations_val.json").write_text(json.dumps(val))
    (folder / "gt_segmentations_test.json").write_text(json.dumps(test))
    contours = {FIRST: {"img_size": [*SHAPE], "Cardiomegaly": [CONTOUR, CONTOUR[:3]]}}
    (folder / "gt_annotations_val.json").write_text(json.dumps(contours))
    return films


def test_run_lengths_labels_and_splits_arrive(localised: Path, tmp_path: Path) -> None:
    report = run("chexlocalize", tmp_path, images=localised)
    assert (report.imported, report.rejected) == (3, ())
    found = short(report)
    assert {key: case.split for key, case in found.items()} == {
        "64541": "val",
        "64542": "val",
        "64741": "test",
    }
    drawn = masks(report, found["64541"])
    assert tuple(drawn) == DRAWN
    filled = {name for name, mask in drawn.items() if mask.any()}
    assert filled == {"Cardiomegaly", "Enlarged Cardiomediastinum", "Lung Opacity"}
    np.testing.assert_array_equal(drawn["Cardiomegaly"], HEART)
    assert found["64541"].labels["Lung Opacity"] == 1
    assert found["64741"].labels["Pneumothorax"] == 1


def test_a_film_without_masks_is_empty_where_radiologists_say_absent(
    localised: Path, tmp_path: Path
) -> None:
    report = run("chexlocalize", tmp_path, images=localised)
    drawn = masks(report, short(report)["64542"])
    assert set(drawn) == set(DRAWN) - {"Support Devices"}
    assert not any(mask.any() for mask in drawn.values())


def test_contours_are_filled_as_the_publishers_fill_them(
    localised: Path, tmp_path: Path
) -> None:
    report = run(
        "chexlocalize",
        tmp_path,
        images=localised,
        masks=tmp_path / "CheXlocalize" / "gt_annotations_val.json",
    )
    canvas = Image.new("1", SHAPE[::-1])
    for contour in (CONTOUR, CONTOUR[:3]):
        corners = [(x, y) for x, y in contour]
        ImageDraw.Draw(canvas).polygon(corners, outline=1, fill=1)
    drawn = masks(report, short(report)["64541"])
    np.testing.assert_array_equal(drawn["Cardiomegaly"], np.array(canvas, bool))
    assert not drawn["Edema"].any()


def test_chexpert_takes_the_same_masks_and_train_gets_none(
    chexpert: Path, localised: Path, tmp_path: Path
) -> None:
    report = run(
        "chexpert",
        tmp_path,
        images=chexpert,
        masks=tmp_path / "CheXlocalize" / "gt_segmentations_val.json",
    )
    found = short(report)
    assert masks(report, found["00001"]) == {}
    np.testing.assert_array_equal(masks(report, found["64541"])["Cardiomegaly"], HEART)
    with Project.open(report.project) as project:
        assert [each.name for each in project.findings] == list(FINDINGS)


def test_masks_of_full_size_films_do_not_fit_small_ones(
    localised: Path, tmp_path: Path
) -> None:
    name = "patient64541/study1/view1_frontal.jpg"
    picture(localised / "val" / name, 7, (20, 16))
    report = run("chexlocalize", tmp_path, images=localised)
    assert report.imported == 3
    assert any(
        "the mask is 40 × 32, its film 20 × 16" in entry.reason
        for entry in report.rejected
    )


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ("{", "not a JSON file"),
        ("[]", "not masks by film"),
        ('{"p": []}', "'p' has no findings"),
        ('{"p": {"Gout": {"size": [1, 1], "counts": "1"}}}', "none of the ten"),
        ('{"p": {"Edema": [[[1, 2]]]}}', "neither run lengths"),
        ('{"p": {"Edema": {"size": [1, 1]}}}', "neither run lengths"),
    ],
)
def test_a_json_file_that_is_off_is_refused(
    localised: Path, tmp_path: Path, document: str, message: str
) -> None:
    path = tmp_path / "CheXlocalize" / "gt_segmentations_val.json"
    path.write_text(document)
    with pytest.raises(DataError, match=message):
        run("chexlocalize", tmp_path, images=localised)
    assert not (tmp_path / "project").exists()


def test_masks_and_tables_that_are_not_there_are_told(
    localised: Path, tmp_path: Path
) -> None:
    with pytest.raises(DataError, match=r"nowhere\.json: cannot be read"):
        run("chexlocalize", tmp_path, images=localised, masks=tmp_path / "nowhere.json")
    (localised / "val_labels.csv").unlink()
    (localised / "test_labels.csv").unlink()
    with pytest.raises(DataError, match="name the table with --labels"):
        run("chexlocalize", tmp_path, images=localised)


def test_one_command_imports_chexpert(chexpert: Path, tmp_path: Path) -> None:
    assert initialised("chexpert", tmp_path, chexpert, "--set", "lateral=yes") == 6


def test_one_command_imports_chexlocalize(localised: Path, tmp_path: Path) -> None:
    assert initialised("chexlocalize", tmp_path, localised) == 3

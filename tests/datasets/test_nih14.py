"""NIH ChestX-ray14: findings split by a bar, boxes, and the official lists."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from helpers.dataset_trees import box, cases, initialised, masks, picture, run, text
from napari_wsseg.datasets.importing.report import ImportReport
from napari_wsseg.datasets.nih14 import FINDINGS
from napari_wsseg.jobs import DataError

HEADER = (
    "Image Index,Finding Labels,Follow-up #,Patient ID,Patient Age,Patient Gender,"
    "View Position,OriginalImage[Width,Height],OriginalImagePixelSpacing[x,y],"
)
REST = "0,1,058Y,M,PA,2682,2749,0.143,0.143,"
LABELS = {
    "00000001_000.png": "Cardiomegaly|Effusion",
    "00000001_001.png": "No Finding",
    "00000002_000.png": "Infiltration",
    "00000003_000.png": "Pleural_Thickening|Hernia|Mass",
    "00000004_000.png": "No Finding",
}
BOXES = "Image Index,Finding Label,Bbox [x,y,w,h],,,"


@pytest.fixture
def nih(tmp_path: Path) -> Path:
    """Make five films in two of the twelve folders, with the table and the lists."""
    root = tmp_path / "nih"
    for number, name in enumerate(LABELS):
        part = f"images_{1 + number // 3:03}/images"
        picture(root / part / name, number, (64, 64))
    text(
        root / "Data_Entry_2017.csv",
        HEADER,
        *(f"{name},{labels},{REST}" for name, labels in LABELS.items()),
    )
    text(root / "test_list.txt", "00000002_000.png", end="")
    text(
        root / "train_val_list.txt",
        *(name for name in LABELS if name != "00000002_000.png"),
        end="",
    )
    text(
        root / "BBox_List_2017.csv",
        BOXES,
        "00000002_000.png,Infiltrate,10.4,20.6,8.2,12.1,,,",
        "00000002_000.png,Infiltrate,40,2,5,6,,,",
    )
    return root


def test_labels_are_the_tables(nih: Path, tmp_path: Path) -> None:
    report = run("nih14", tmp_path, images=nih)
    assert (report.imported, report.rejected) == (5, ())
    for case in cases(report).values():
        labels = LABELS[f"{case.name}.png"].split("|")
        assert case.labels == {name: int(name in labels) for name in FINDINGS}


def test_the_official_test_is_test_and_val_is_of_whole_patients(
    nih: Path, tmp_path: Path
) -> None:
    split = {name: case.split for name, case in cases_of(nih, tmp_path).items()}
    assert split["00000002_000"] == "test"
    assert split["00000001_000"] == split["00000001_001"]
    assert [*split.values()].count("test") == 1
    assert "val" in split.values()


def cases_of(nih: Path, tmp_path: Path) -> dict:  # type: ignore[type-arg]
    return cases(run("nih14", tmp_path, images=nih))


def test_without_lists_patients_are_still_on_one_side(
    nih: Path, tmp_path: Path
) -> None:
    (nih / "test_list.txt").unlink()
    split = {name: case.split for name, case in cases_of(nih, tmp_path).items()}
    assert split["00000001_000"] == split["00000001_001"]
    assert set(split.values()) == {"train", "val", "test"}


def test_boxes_become_masks_only_if_asked_for(nih: Path, tmp_path: Path) -> None:
    plain = run("nih14", tmp_path / "plain", images=nih)
    assert not any(masks(plain, case) for case in cases(plain).values())
    report = run("nih14", tmp_path, images=nih, masks=nih / "BBox_List_2017.csv")
    case = cases(report)["00000002_000"]
    expected = box((64, 64), slice(21, 33), slice(10, 19))
    expected |= box((64, 64), slice(2, 8), slice(40, 45))
    drawn = masks(report, case)
    assert list(drawn) == ["Infiltration"]
    np.testing.assert_array_equal(drawn["Infiltration"], expected)
    assert any("a box holds more" in warning for warning in report.warnings)


def test_a_box_outside_its_film_is_rejected(nih: Path, tmp_path: Path) -> None:
    table = nih / "BBox_List_2017.csv"
    table.write_text(table.read_text() + "00000003_000.png,Mass,900,5,9,9,,,\n")
    report = run("nih14", tmp_path, images=nih, masks=table)
    assert len(report.rejected) == 1
    assert "boxes are for 1024 × 1024" in report.rejected[0].reason


def copies(tmp_path: Path, shape: tuple[int, int], *boxes: str) -> ImportReport:
    """Import one film, a copy in another size, with boxes for 1024 × 1024."""
    root = tmp_path / "copies"
    picture(root / "00000001_000.png", 1, shape)
    text(root / "Data_Entry_2017.csv", HEADER, f"00000001_000.png,Mass,{REST}")
    text(root / "boxes.csv", BOXES, *(f"00000001_000.png,Mass,{box}" for box in boxes))
    return run("nih14", tmp_path, images=root, masks=root / "boxes.csv")


@pytest.mark.parametrize("side", [128, 256, 512, 2048])
def test_boxes_on_copies_of_other_sizes_are_scaled_and_that_is_said(
    tmp_path: Path, side: int
) -> None:
    report = copies(tmp_path, (side, side), "256,128,256,64", "512,512,128,256")
    expected = box((1024, 1024), slice(128, 192), slice(256, 512))
    expected |= box((1024, 1024), slice(512, 768), slice(512, 640))
    drawn = masks(report, cases(report)["00000001_000"])["Mass"]
    step = max(1, 1024 // side)
    wide = expected[::step, ::step].repeat(max(1, side // 1024), 0)
    np.testing.assert_array_equal(drawn, wide.repeat(max(1, side // 1024), 1))
    assert any(
        f"1024 × 1024, scaled to this one's {side} × {side}" in warning
        for warning in report.warnings
    )


@pytest.mark.parametrize(
    ("shape", "box", "message"),
    [
        ((512, 400), "100,100,50,50", "is no copy"),
        ((256, 256), "100,100,1,1", "smaller than a pixel"),
        ((1024, 1024), "100,100,0.2,40", "no mask"),
        ((1024, 1024), "1000,1000,40,40", "its box ends at"),
    ],
)
def test_a_box_that_says_nothing_of_the_film_is_rejected(
    tmp_path: Path, shape: tuple[int, int], box: str, message: str
) -> None:
    report = copies(tmp_path, shape, box)
    assert report.imported == 1
    assert message in report.rejected[0].reason
    assert masks(report, cases(report)["00000001_000"]) == {}


def test_boxes_at_a_size_of_their_own_are_told(nih: Path, tmp_path: Path) -> None:
    report = run("nih14", tmp_path, images=nih, masks=nih / "BBox_List_2017.csv")
    assert any("this film's own 64 × 64" in warning for warning in report.warnings)


def test_part_of_the_set_is_imported_with_one_remark(nih: Path, tmp_path: Path) -> None:
    table = nih / "Data_Entry_2017.csv"
    more = (f"{n:08}_000.png,No Finding,{REST}" for n in range(100, 150))
    table.write_text(table.read_text() + "\n".join(more) + "\n")
    report = run("nih14", tmp_path, images=nih)
    assert (report.imported, report.rejected) == (5, ())
    assert any("50 of the 55 films" in warning for warning in report.warnings)


@pytest.mark.parametrize(
    ("file", "old", "new", "message"),
    [
        ("Data_Entry_2017.csv", "Finding Labels", "Labels", "no column 'Finding Lab"),
        ("Data_Entry_2017.csv", "Infiltration", "Gout", "line 4: 'Gout' is no finding"),
        ("Data_Entry_2017.csv", "00000001_001", "00000001_000", "was in line 2"),
        ("BBox_List_2017.csv", "Infiltrate,10.4", "Gout,1", "line 2: 'Gout' is no"),
        ("BBox_List_2017.csv", "20.6", "high", "line 2: its box is not"),
        ("BBox_List_2017.csv", "20.6", "nan", "line 2: its box is not"),
        ("BBox_List_2017.csv", "20.6", "1e999", "line 2: its box is not"),
        ("BBox_List_2017.csv", "Finding Label", "Label", "no column 'Finding Label'"),
        ("test_list.txt", "00000002", "00000001", "is in both of|is in neither of"),
    ],
)
def test_what_is_off_is_one_clear_message_and_nothing_is_made(
    nih: Path, tmp_path: Path, file: str, old: str, new: str, message: str
) -> None:
    path = nih / file
    path.write_text(path.read_text().replace(old, new, 1))
    with pytest.raises(DataError, match=message):
        run("nih14", tmp_path, images=nih, masks=nih / "BBox_List_2017.csv")
    assert sorted(each.name for each in tmp_path.iterdir()) == ["nih"]


def test_no_such_table_is_told(nih: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"nowhere\.csv: no such file"):
        run("nih14", tmp_path, images=nih, labels=nih / "nowhere.csv")


def test_one_command_imports_nih14(nih: Path, tmp_path: Path) -> None:
    assert initialised("nih14", tmp_path, nih) == 5

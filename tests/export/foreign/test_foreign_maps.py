"""Label maps and greys of others that mean something else than they seem to."""

from __future__ import annotations

import json
from pathlib import Path

import nibabel
import nrrd
import numpy as np
import pytest
from PIL import Image

from helpers.export_project import INDEXED_SHAPE as SHAPE
from helpers.foreign_masks import (
    BOX,
    Write,
    coco,
    drawn,
    labelme,
    nifti,
    nnunet,
    only,
    png,
    seg_nrrd,
    siim_rle,
    take,
    yolo_seg,
)
from napari_wsseg.export.nifti import encode as nifti_encode
from napari_wsseg.io.external.stated_size import scaled
from napari_wsseg.io.project import Project
from napari_wsseg.jobs import DataError

FOLDERS: dict[str, tuple[Write, str]] = {
    "labelme": (labelme, "more.json"),
    "seg_nrrd": (seg_nrrd, "more.nrrd"),
    "siim_rle": (siim_rle, "more.csv"),
    "coco": (coco, "more.json"),
    "png": (png, "nodule/more.png"),
    "nifti": (nifti, "nodule/more.nii.gz"),
    "yolo_seg": (yolo_seg, "more.txt"),
}


@pytest.mark.parametrize("name", FOLDERS)
def test_a_file_of_a_folder_that_is_off_costs_that_one(
    name: str, project: Project, place: Path
) -> None:
    write, other = FOLDERS[name]
    write(place, "a")
    (place / other).write_bytes(b"\xff\xfe{junk")
    taken = take(project, name, place)
    assert only(project, "a.png")
    assert any("more" in word for word in taken.rejected)
    if name not in ("png", "nifti"):
        with pytest.raises(DataError, match="more"):
            take(project, name, place / other)


def test_labels_of_a_map_that_nothing_names_are_told(
    project: Project, place: Path
) -> None:
    values = BOX.astype(np.uint8)
    values[40:50, 30:40] = 3
    taken = take(project, "nnunet", nnunet(place, "a", values))
    assert only(project, "a.png")
    assert any("left out: 3" in word for word in taken.warnings)
    paletted = Image.fromarray(values).convert("P")
    paletted.putpalette([0, 0, 0, 255, 0, 0, 0, 0, 255, 0, 255, 0])
    paletted.save(place / "a.png")
    (place / "findings.csv").write_text("\ufeffindex,finding\n1,nodule\n")
    taken = take(project, "indexed_png", place / "a.png")
    assert only(project, "a.png")
    assert any("left out: 3" in word for word in taken.warnings)


def test_of_a_nifti_label_map_one_label_is_taken_and_that_is_said(
    project: Project, place: Path
) -> None:
    values = BOX.astype(np.uint8)
    values[40:50, 30:40] = 2
    path = place / "nodule" / "a.nii.gz"
    path.parent.mkdir()
    path.write_bytes(nifti_encode(values, None))
    taken = take(project, "nifti", path)
    assert only(project, "a.png")
    assert any("several labels, 1, 2" in word for word in taken.warnings)
    values[values == 1] = 3  # nothing says that the first is 2
    path.write_bytes(nifti_encode(values, None))
    with pytest.raises(DataError, match="0, 2, 3, not two"):
        take(project, "nifti", path)


ITK_SNAP = """# ITK-SnAP Label Description File
    0     0    0    0        0  0  0    "Clear Label"
    1   255    0    0        1  1  1    "Mass"
    2     0  255    0        1  1  1    "nodule"
    4     0    0  255        1  1  1    "Label 4"
"""


@pytest.mark.parametrize(
    ("table", "text"),
    [
        ("a.label", ITK_SNAP),
        ("a.txt", "0 Background 0 0 0 0\n1 mass 255 0 0 255\n2 nodule 0 255 0 255\n"),
        (
            "dseg.tsv",
            "\ufeffindex\tname\tcolor\r\n1\tmass\t#f00\r\n2\tnodule\t#0f0\r\n",
        ),
        ("findings.csv", "index,finding\n1,mass\n2,nodule\n"),
    ],
)
def test_a_nifti_label_map_is_split_by_the_table_that_names_its_labels(
    project: Project, place: Path, table: str, text: str
) -> None:
    values = BOX.astype(np.uint8) * 2
    values[40:50, 30:40] = 1
    values[0, 0] = 4
    (place / "a.nii.gz").write_bytes(nifti_encode(values, None))
    (place / table).write_text(text, encoding="utf-8", newline="")
    taken = take(project, "nifti", place, finding="nodule")
    assert taken.rejected == (
        f"a.nii.gz: labels that {table} does not name were left out: 4",
    )
    assert set(drawn(project)) == {("a.png", "nodule"), ("a.png", "mass")}
    np.testing.assert_array_equal(drawn(project)["a.png", "nodule"], BOX)
    assert drawn(project)["a.png", "mass"].sum() == 100


def test_a_table_that_says_two_things_of_a_label_is_refused(
    project: Project, place: Path
) -> None:
    (place / "a.nii.gz").write_bytes(nifti_encode(BOX.astype(np.uint8), None))
    (place / "a.tsv").write_text("index\tname\n1\tmass\n1\tnodule\n")
    with pytest.raises(DataError, match=r"a\.tsv: label 1 has two names"):
        take(project, "nifti", place / "a.nii.gz")
    (place / "a.tsv").write_bytes(b"\xff\xfe: a report of the film, no table")
    (place / "a.txt").write_text("1 10 20 30 40 50\nseen twice\n")  # a box, perhaps
    take(project, "nifti", place / "a.nii.gz", finding="nodule")
    assert only(project, "a.png")


def test_a_label_map_of_reals_has_the_numbers_that_it_means(
    project: Project, place: Path
) -> None:
    nnunet(place, "a", file_ending=".nii.gz")
    (place / "labelsTr" / "a.png").unlink()
    affine = np.diag([-1.0, -1.0, 1.0, 1.0])
    for factor in (0.99999, 0.4):
        values = BOX.T[..., None].astype(np.float32) * factor
        nibabel.save(nibabel.Nifti1Image(values, affine), place / "labelsTr/a.nii.gz")
        if factor > 0.9:
            take(project, "nnunet", place)
            assert only(project, "a.png")
        else:
            with pytest.raises(DataError, match="not the whole numbers"):
                take(project, "nnunet", place)


def test_a_set_of_maps_in_another_format_is_refused(
    project: Project, place: Path
) -> None:
    with pytest.raises(DataError, match=r"\.mha are not read"):
        take(project, "nnunet", nnunet(place, "a", file_ending=".mha"))


def test_a_class_is_a_whole_number(project: Project, place: Path) -> None:
    path = yolo_seg(place, "a")
    path.write_text(path.read_text() + "\n" + "0.7" + path.read_text()[1:])
    taken = take(project, "yolo_seg", path)
    assert only(project, "a.png")
    assert taken.rejected == ("a, line 2: no class and shares of YOLO",)


def test_a_grey_picture_whose_white_is_transparent_shows_nothing(
    project: Project, place: Path
) -> None:
    path = png(place, "a") / "nodule" / "a.png"
    values = np.where(BOX, 200, 0).astype(np.uint8)
    values[40:50] = 255
    Image.fromarray(values).save(path, transparency=255)
    take(project, "png", place)
    assert only(project, "a.png")


def test_an_empty_mask_of_a_present_finding_is_told(
    project: Project, place: Path
) -> None:
    png(place, "a")
    Image.fromarray(BOX & False).save(place / "nodule" / "a.png")
    taken = take(project, "png", place)
    assert any("labelled present, but its mask is empty" in w for w in taken.warnings)


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        ("classes.txt", {0: "nodule", 2: "mass"}),
        ("data.yaml", {0: "nodule", 2: "mass"}),
    ],
)
def test_classes_keep_the_numbers_of_their_lines(
    table: str, expected: dict[int, str], project: Project, place: Path
) -> None:
    path = yolo_seg(place, "a")
    (place / "data.yaml").unlink()
    text = (
        "nodule\n\nmass\n" if table == "classes.txt" else "names: {0: nodule, 2: mass}"
    )
    (place / table).write_text("\ufeff" + text)
    path.write_text("2" + path.read_text()[1:])
    take(project, "yolo_seg", path)
    assert only(project, "a.png", expected[2])


def test_one_word_is_no_list_of_classes(project: Project, place: Path) -> None:
    path = yolo_seg(place, "a")
    (place / "data.yaml").write_text("names: nodule\n")
    with pytest.raises(DataError, match="names no classes"):
        take(project, "yolo_seg", path)


def test_one_number_of_two_labels_is_of_neither(project: Project, place: Path) -> None:
    labels = {"background": 0, "nodule": 1, "mass": 1}
    with pytest.raises(DataError, match="two labels have one number"):
        take(project, "nnunet", nnunet(place, "a", labels=labels))
    values = Image.fromarray(BOX.astype(np.uint8)).convert("P")
    values.save(place / "a.png")
    (place / "findings.csv").write_text("index,finding\n1,nodule\n1,mass\n")
    with pytest.raises(DataError, match="one index has two findings"):
        take(project, "indexed_png", place / "a.png")


def test_a_label_map_of_another_table_denies_no_finding(
    project: Project, place: Path
) -> None:
    white = BOX.astype(np.uint8) * 255
    with pytest.raises(DataError, match=r"dataset\.json names none of its values, 255"):
        take(project, "nnunet", nnunet(place, "a", white))
    for labels in ({"nodule": 0, "mass": 1}, {"Background": 0, "nodule": 1.5}):
        with pytest.raises(DataError, match=r"label 0 is 'nodule'|no whole number"):
            take(project, "nnunet", nnunet(place, "a", labels=labels))
    header = {"Segment0_Name": "nodule", "Segment0_LabelValue": "1"}
    nrrd.write(str(place / "a.seg.nrrd"), white.T, header)
    with pytest.raises(DataError, match="the header names none of its values, 255"):
        take(project, "seg_nrrd", place / "a.seg.nrrd")
    paletted = Image.fromarray(white).convert("P")
    paletted.save(place / "a.png")
    (place / "findings.csv").write_text("index,finding\n1,nodule\n")
    with pytest.raises(DataError, match="table of findings names none of its values"):
        take(project, "indexed_png", place / "a.png")
    assert drawn(project) == {}


def test_masks_of_chexlocalize_come_from_its_two_files_and_no_other(
    project: Project, place: Path
) -> None:
    square = [[5, 10], [24, 10], [24, 19], [5, 19]]
    size = [*SHAPE]
    drawings = {"a.png": {"img_size": size, "nodule": [square]}, "b.dcm": 3}
    (place / "gt_annotations_val.json").write_text(json.dumps(drawings))
    (place / "package.json").write_text('{"name": "of no film"}')
    taken = take(project, "chexlocalize", place)
    assert only(project, "a.png")
    assert len(taken.rejected) == 1
    assert "'b.dcm' has no findings" in taken.rejected[0]


def test_an_indexed_png_among_others_is_read_and_one_of_another_size_is_not(
    project: Project, place: Path
) -> None:
    (place / "findings.csv").write_text("index,finding\n1,nodule\n")
    for name, values in (("a", BOX), ("b", BOX[:-1])):
        image = Image.fromarray(values.astype(np.uint8))
        image.putpalette([0, 0, 0, 255, 0, 0])
        image.save(place / f"{name}.png")
    Image.fromarray(BOX).save(place / "c d.png")
    taken = take(project, "indexed_png", place)
    assert only(project, "a.png")
    reasons = " ".join(taken.rejected)
    assert "a PNG of kind 1, not an indexed one" in reasons
    assert "63 × 48, their film 64 × 48" in reasons


def test_what_is_no_nifti_is_named_and_a_stack_is_refused(
    project: Project, place: Path
) -> None:
    nifti(place, "a")
    (place / "nodule" / "notes.pdf").write_bytes(b"%PDF")
    stack = np.zeros((48, 64, 2), np.uint8)
    nibabel.save(nibabel.Nifti1Image(stack, np.eye(4)), place / "nodule" / "b.nii")
    taken = take(project, "nifti", place)
    assert only(project, "a.png")
    reasons = " ".join(taken.rejected)
    assert "nodule/notes.pdf: does not end in .nii" in reasons
    assert "is not a single slice" in reasons


def test_a_mask_of_less_than_a_pixel_is_no_empty_one() -> None:
    rle = np.zeros((1024, 1024), bool)
    rle[1003, 1003] = True
    with pytest.raises(DataError, match="smaller than a pixel of 64 × 64"):
        scaled(rle, (64, 64))
    np.testing.assert_array_equal(scaled(rle, (1024, 1024)), rle)

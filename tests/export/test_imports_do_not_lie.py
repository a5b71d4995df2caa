"""Files of others that mean something else than they seem to, told or refused."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path

import nibabel
import nrrd
import numpy as np
import pytest
from PIL import Image

from helpers.export_project import INDEXED_SHAPE as SHAPE
from helpers.export_project import indexed_films
from helpers.foreign_masks import (
    BOX,
    CORNERS,
    coco,
    cvat,
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
from helpers.small_project import grey
from napari_wsseg.export.exporting import identity
from napari_wsseg.export.nifti import encode as nifti_encode
from napari_wsseg.io.external.stated_size import scaled
from napari_wsseg.io.project import Project
from napari_wsseg.jobs import DataError
from napari_wsseg.ops.run_lengths import are_starts, siim_encode
from napari_wsseg.schema import Case


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    names = ("a.png", "b.dcm", "c d.png", "scan_0000.png", "1.2.3.4.5.101.png")
    with indexed_films(tmp_path, names, {"nodule": 1, "mass": 0}) as made:
        yield made


# One way to write one mask of `nodule` in every format ------------------------


Write = Callable[[Path, str], Path]
BY_NAME: dict[str, Write] = {
    "coco": coco,
    "labelme": labelme,
    "cvat": cvat,
    "yolo_seg": yolo_seg,
    "siim_rle": siim_rle,
    "png": png,
    "nifti": nifti,
    "seg_nrrd": seg_nrrd,
    "nnunet": nnunet,
}
every_format = pytest.mark.parametrize("name", BY_NAME)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    made = tmp_path / "theirs"
    made.mkdir()
    return made


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


@pytest.mark.parametrize("write", [coco, labelme, cvat, yolo_seg])
@pytest.mark.parametrize(
    ("corners", "message"),
    [
        ([0.1, 0.2, 0.5, 0.2, 0.5, 0.6], "shares"),
        ([50, 100, 250, 100, 250, 200, 50, 200], "another image, or at another size"),
        ([-30, 10, 20, 10, 20, 20], "another image, or at another size"),
        ([5, 10, 5, 10], "no pixel"),
        ([5, 10, float("nan"), 10, 9, 20], "x and y|without end|no pixel|numbers"),
    ],
)
def test_a_polygon_that_is_of_no_such_film_is_refused(
    write: Callable[..., Path],
    corners: list[float],
    message: str,
    project: Project,
    place: Path,
) -> None:
    path = write(place, "a", corners)
    if write is yolo_seg:  # shares of shares are as good as any
        message = "no pixel, or are not shares|a box or less|no class and shares"
        if max(corners) < 1:
            return
    with pytest.raises(DataError, match=message):
        take(project, write.__name__, path)
    assert not drawn(project)


@pytest.mark.parametrize("write", [coco, labelme, cvat])
@pytest.mark.parametrize("over", [(-9, -5), (57, 5), (20, 75)])
def test_a_polygon_drawn_over_the_border_is_cut_off(
    write: Callable[..., Path], over: tuple[int, int], project: Project, place: Path
) -> None:
    x, y = over
    left, right, top, low = min(x, 10), max(x, 30), min(y, 10), max(y, 30)
    corners = [left, top, right, top, right, low, left, low]
    take(project, write.__name__, write(place, "a", corners))
    expected = np.zeros(SHAPE, bool)
    expected[max(top, 0) : low, max(left, 0) : right] = True
    np.testing.assert_array_equal(drawn(project)["a.png", "nodule"], expected)


def test_a_corner_that_lies_a_little_outside_is_cut_off(
    project: Project, place: Path
) -> None:
    corners = [-1.5, 10, 25, 10, 25, 20, -1.5, 20]
    take(project, "coco", coco(place, "a", corners))
    assert drawn(project)["a.png", "nodule"][10:20, :25].all()


def test_a_coco_image_or_category_that_is_off_costs_that_one(
    project: Project, place: Path
) -> None:
    path = coco(place, "a")
    document = json.loads(path.read_text())
    document["images"] += [{"id": 2}, "b", None, {"id": 1.5, "file_name": 3}]
    document["categories"] += [{"name": "no id"}, 7]
    document["images"][0]["drawn"] = "nodule"
    document["annotations"] += [{"image_id": 2, "category_id": 1}, 5]
    path.write_text(json.dumps(document))
    taken = take(project, "coco", path)
    assert only(project, "a.png")
    assert len([word for word in taken.rejected if "no id and" in word]) == 5


@pytest.mark.parametrize(
    "document",
    [{"images": {}, "annotations": [], "categories": []}, {"images": []}, []],
)
def test_what_is_not_coco_is_told_in_its_words(
    document: object, project: Project, place: Path
) -> None:
    path = place / "x.json"
    path.write_text(json.dumps(document))
    with pytest.raises(DataError, match="not COCO"):
        take(project, "coco", path)


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


def test_a_video_of_cvat_is_refused(project: Project, place: Path) -> None:
    path = place / "annotations.xml"
    path.write_text('<annotations><track id="0" label="nodule"/></annotations>')
    with pytest.raises(DataError, match="CVAT for video"):
        take(project, "cvat", path)


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


@pytest.mark.parametrize("name", ["png", "nifti"])
def test_two_files_that_could_mean_one_film_are_of_neither(
    name: str, project: Project, place: Path
) -> None:
    """Two names that differ, one film: nothing says which is somebody else's."""
    BY_NAME[name](place, "a")
    BY_NAME[name](place, "A.dcm")
    with pytest.raises(DataError, match="the same film as"):
        take(project, name, place)


def test_a_labelme_mask_of_a_turned_film_is_as_it_is_shown(
    tmp_path: Path, place: Path
) -> None:
    """Labelme, CVAT and this program show a film as its EXIF orientation says."""
    images = tmp_path / "turned"
    images.mkdir()
    stored = Image.fromarray(grey(1, (48, 64)))
    exif = Image.Exif()
    exif[0x0112] = 6
    stored.save(images / "a.jpg", exif=exif)
    with Project.create(
        tmp_path / "p", findings=["nodule", "mass"], images=images
    ) as project:
        case = Case("0" * 16, "a.jpg", SHAPE, None, "train", {})
        project.add_case(case)
        for name in ("coco", "labelme", "cvat", "yolo_seg"):
            take(project, name, BY_NAME[name](place, "a"))
            assert only(project, "a.jpg"), name
        path = coco(place, "a", height=48, width=64)
        with pytest.raises(DataError, match="48 × 64, its film 64 × 48"):
            take(project, "coco", path)


def test_a_mask_pasted_by_labelme_lies_where_it_was(
    project: Project, place: Path
) -> None:
    file = BytesIO()
    Image.fromarray(BOX[10:20, 5:25]).save(file, "PNG")
    data = base64.b64encode(file.getvalue()).decode()
    path = labelme(place, "a")
    document = json.loads(path.read_text())
    points = [[5, 10], [24, 19]]
    document["shapes"][0] |= {"shape_type": "mask", "points": points, "mask": data}
    path.write_text(json.dumps(document))
    take(project, "labelme", path)
    assert only(project, "a.png")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("chexlocalize", '{"a": {"nodule": %s}, "a": {"mass": %s}}'),
        ("chexlocalize", '{"a": {"nodule": %s, "nodule": %s}}'),
        ("coco", '{"images": [], "images": [], "x": [%s, %s]}'),
        ("labelme", '{"shapes": [], "shapes": [%s, %s]}'),
    ],
)
def test_what_a_json_file_says_twice_is_not_taken_once(
    name: str, text: str, project: Project, place: Path
) -> None:
    runs = json.dumps({"size": SHAPE, "counts": [SHAPE[0] * SHAPE[1]]})
    path = place / "gt_x.json"
    path.write_text(text % (runs, runs))
    with pytest.raises(DataError, match="is there twice in one object"):
        take(project, name, path)


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


def test_run_lengths_of_several_findings_in_one_table_are_not_united(
    project: Project, place: Path
) -> None:
    path = place / "nodule.csv"
    runs = siim_encode(BOX)
    path.write_text(f"ImageId,EncodedPixels,ClassId\na,{runs},nodule\na,{runs},mass\n")
    with pytest.raises(DataError, match="has a column 'ClassId'"):
        take(project, "siim_rle", path)


def test_one_number_of_two_labels_is_of_neither(project: Project, place: Path) -> None:
    labels = {"background": 0, "nodule": 1, "mass": 1}
    with pytest.raises(DataError, match="two labels have one number"):
        take(project, "nnunet", nnunet(place, "a", labels=labels))
    values = Image.fromarray(BOX.astype(np.uint8)).convert("P")
    values.save(place / "a.png")
    (place / "findings.csv").write_text("index,finding\n1,nodule\n1,mass\n")
    with pytest.raises(DataError, match="one index has two findings"):
        take(project, "indexed_png", place / "a.png")


@pytest.mark.parametrize("count", [4, 40])
@pytest.mark.parametrize("down", [True, False])
def test_run_lengths_from_the_first_pixel_on_are_not_the_challenges(
    project: Project, place: Path, *, down: bool, count: int
) -> None:
    mask = np.zeros((256, 256), bool)
    mask[90:100, 60 : 60 + count] = mask[200:208, 30 : 30 + count] = True
    flat = (mask.T if down else mask).ravel()
    starts = np.flatnonzero(np.diff(flat.astype(int), prepend=0) == 1)
    ends = np.flatnonzero(np.diff(flat.astype(int), append=0) == -1)
    steps = np.stack([starts + 1, ends - starts + 1], axis=1).ravel()
    text = " ".join(map(str, steps.tolist()))
    path = place / "nodule.csv"
    path.write_text(f"ImageId,EncodedPixels\na,{text}\nb,-1\n")
    with pytest.raises(DataError, match="count from the first pixel on"):
        take(project, "siim_rle", path)
    # Those of the challenge, of the same masks, are never taken for the others.
    assert not are_starts([siim_encode(mask), siim_encode(~mask), "x", "1 2"])


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


@pytest.mark.parametrize("write", [coco, labelme, cvat])
def test_a_name_without_end_makes_no_message_without_end(
    write: Write, project: Project, place: Path
) -> None:
    path = write(place, "a.png")
    path.write_text(path.read_text().replace("nodule", "n" * 100_000))
    with pytest.raises(DataError, match="none of this project's") as told:
        take(project, write.__name__, path)
    assert len(str(told.value)) < 2000


def test_poses_of_yolo_are_no_polygons(project: Project, place: Path) -> None:
    path = yolo_seg(place, "a")
    (place / "data.yaml").write_text("names: [nodule]\nkpt_shape: [2, 3]\n")
    path.write_text("0 0.3 0.23 0.4 0.15 0.2 0.2 1 0.3 0.3 1\n")
    with pytest.raises(DataError, match="of poses"):
        take(project, "yolo_seg", path)


@pytest.mark.parametrize("kind", [None, "polygon", "rectangle", "rotation"])
def test_labelme_has_a_box_of_four_corners_in_any_dress(
    project: Project, place: Path, kind: str | None
) -> None:
    path = labelme(place, "a.png")
    record = json.loads(path.read_text())
    record["shapes"][0]["shape_type"] = kind
    record["shapes"].append({**record["shapes"][0], "shape_type": "blob"})
    path.write_text(json.dumps(record))
    taken = take(project, "labelme", path)
    assert only(project, "a.png")
    assert taken.warnings == (
        "a.png, 'nodule': left out, a blob is of no kind that is read",
    )


@pytest.mark.parametrize(
    "outline", [[], CORNERS[:5], [None, 1], ["x", "y"], [5, 10, 25, float("nan")]]
)
def test_what_is_no_polygon_is_told_in_words(
    project: Project, place: Path, outline: object
) -> None:
    with pytest.raises(DataError, match="its polygons are not lists"):
        take(project, "coco", coco(place, "a.png", outline))


@pytest.mark.parametrize("odd", [0.5, True, None, "nodule", {"nodule": 1}])
@pytest.mark.parametrize("name", ["coco", "labelme", "yolo_seg", "nnunet"])
def test_a_list_of_what_was_drawn_that_is_none_is_passed_over(
    name: str, odd: object, project: Project, place: Path
) -> None:
    path = BY_NAME[name](place, "a")
    table = {"yolo_seg": "drawn.json", "nnunet": "dataset.json"}.get(name, path.name)
    document = json.loads((place / table).read_text()) if name != "yolo_seg" else {}
    if name == "coco":
        document["images"][0]["drawn"] = odd
    elif name == "labelme":
        document["drawn"] = odd
    else:
        document = (
            {**document, "a": odd}
            if name == "yolo_seg"
            else {**document, "drawn": {"a": odd}}
        )
    (place / table).write_text(json.dumps(document))
    take(project, name, path)
    assert only(project, "a.png")


# One that is off among many, or of another size ---------------------------------------


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


def test_a_film_of_several_with_one_uid_is_not_guessed(
    project: Project, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    uid = "1.2.840.10008.1.2.3.4"
    monkeypatch.setattr(identity, "sop_uid", lambda project, case: uid)
    with pytest.raises(DataError, match="several films have its SOP Instance UID"):
        take(project, "siim_rle", siim_rle(place, uid))

"""Polygons, run lengths and what else is drawn, as other programs mean it."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from helpers.export_project import INDEXED_SHAPE as SHAPE
from helpers.foreign_masks import (
    BOX,
    BY_NAME,
    CORNERS,
    coco,
    cvat,
    drawn,
    labelme,
    only,
    take,
    yolo_seg,
)
from helpers.small_project import grey
from napari_wsseg.io.project import Project
from napari_wsseg.jobs import DataError
from napari_wsseg.ops.run_lengths import are_starts, siim_encode
from napari_wsseg.schema import Case


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


def test_a_video_of_cvat_is_refused(project: Project, place: Path) -> None:
    path = place / "annotations.xml"
    path.write_text('<annotations><track id="0" label="nodule"/></annotations>')
    with pytest.raises(DataError, match="CVAT for video"):
        take(project, "cvat", path)


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


def test_run_lengths_of_several_findings_in_one_table_are_not_united(
    project: Project, place: Path
) -> None:
    path = place / "nodule.csv"
    runs = siim_encode(BOX)
    path.write_text(f"ImageId,EncodedPixels,ClassId\na,{runs},nodule\na,{runs},mass\n")
    with pytest.raises(DataError, match="has a column 'ClassId'"):
        take(project, "siim_rle", path)


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

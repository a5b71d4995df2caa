"""Masks as other programs write them, and what of theirs is no mask."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import nrrd
import numpy as np
import pytest
from PIL import Image

from helpers.export_project import INDEXED_SHAPE as SHAPE
from helpers.export_project import indexed_films
from napari_wsseg import jobs
from napari_wsseg.export import importers, reading_back
from napari_wsseg.io.external.mask_values import Choice
from napari_wsseg.io.project import Project
from napari_wsseg.jobs import DataError, UsageError


def box(top: int, bottom: int, left: int, right: int) -> np.ndarray:
    mask = np.zeros(SHAPE, bool)
    mask[top:bottom, left:right] = True
    return mask


A, B = box(10, 20, 5, 25), box(30, 40, 8, 40)


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    labels = {"nodule": 1, "mass": 0}
    with indexed_films(tmp_path, ("a0.png", "a1.png"), labels) as made:
        yield made


def take(
    project: Project, name: str, path: Path, finding: str | None = None, **more: object
) -> reading_back.ImportedMasks:
    steps = reading_back.steps(
        project, name, path, reader="bea", finding=finding, **more
    )  # type: ignore[arg-type]
    return jobs.finish(steps)


def got(project: Project, finding: str, number: int = 0) -> np.ndarray | None:
    one = project.latest(f"{number:016}", finding, reader="bea")
    return None if one is None else project.read_mask(one)


def corners(top: int, bottom: int, left: int, right: int) -> list[list[int]]:
    return [[left, top], [right, top], [right, bottom], [left, bottom]]


def test_labelme_has_shapes_of_many_kinds(project: Project, tmp_path: Path) -> None:
    file = BytesIO()
    Image.fromarray(np.ones((10, 20), bool)).save(file, "PNG")
    packed = base64.b64encode(file.getvalue()).decode()
    shapes = [
        {"label": "nodule", "points": corners(10, 20, 5, 25)},
        {"label": "Nodule", "points": [[8, 30], [40, 40]], "shape_type": "rectangle"},
        {
            "label": "mass",
            "points": [[5, 10], [24, 19]],
            "shape_type": "mask",
            "mask": packed,
        },
        {"label": "mass", "points": [[3, 3]], "shape_type": "point"},
        {"label": "mass", "points": [[900, 900]] * 3, "shape_type": "polygon"},
    ]
    document = {"shapes": shapes, "imagePath": "..\\images\\a0.png"}
    path = tmp_path / "one.json"
    path.write_text(json.dumps(document), encoding="utf-8-sig")
    taken = take(project, "labelme", path)
    np.testing.assert_array_equal(got(project, "nodule"), A | B)
    np.testing.assert_array_equal(got(project, "mass"), A)
    assert any("not a mask" in line for line in taken.rejected)
    warned = " ".join(taken.warnings)
    assert "2 masks, united" in warned
    assert "left out, a polygon" in warned
    assert "labelled absent" in warned


def test_slicer_keeps_several_segments_in_a_layer(
    project: Project, tmp_path: Path
) -> None:
    values = np.zeros((48, 64, 1), np.uint8)
    values[A.T] = 1
    values[B.T] = 2
    # Slicer's own axes: to the left, to the head; so the rows are flipped.
    header = {
        "space": "left-posterior-superior",
        "space directions": np.array([[1.0, 0, 0], [0, 0, 1], [0, 1, 0]]),
        "Segment0_Name": "nodule",
        "Segment0_LabelValue": "1",
        "Segment0_Layer": "0",
        "Segment1_Name": "Mass",
        "Segment1_LabelValue": "2",
        "Segment1_Layer": "0",
    }
    nrrd.write(str(tmp_path / "a0.seg.nrrd"), values[:, ::-1], header)
    assert take(project, "seg_nrrd", tmp_path / "a0.seg.nrrd").masks == 2
    np.testing.assert_array_equal(got(project, "nodule"), A)
    np.testing.assert_array_equal(got(project, "mass"), B)


def test_a_plain_nrrd_is_one_mask_or_a_label_of_it(
    project: Project, tmp_path: Path
) -> None:
    path = tmp_path / "a0.nrrd"
    nrrd.write(str(path), (A.T + 2 * B.T).astype(np.uint8))
    with pytest.raises(DataError, match=r"0, 1, 2, not two"):
        take(project, "seg_nrrd", path, "nodule")
    take(project, "seg_nrrd", path, "nodule", choice=Choice(value=2))
    np.testing.assert_array_equal(got(project, "nodule"), B)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (b"NRRD0004\ntype: uchar\n", "not NRRD"),
        (
            b"NRRD0004\ntype: uchar\ndimension: 2\nsizes: 4 4\nencoding: raw\n"
            b"data file: /etc/passwd\n\n",
            "another file",
        ),
        (
            b"NRRD0004\ntype: uchar\ndimension: 2\nsizes: 90000 90000\n"
            b"encoding: raw\n\n",
            "more than films have",
        ),
        (
            b"NRRD0004\ntype: uchar\ndimension: 2\nsizes: 4 4\nencoding: raw\n\nabc",
            "truncated",
        ),
    ],
)
def test_a_nrrd_that_is_off_is_refused(
    project: Project, tmp_path: Path, arguments: bytes, message: str
) -> None:
    (tmp_path / "a0.nrrd").write_bytes(arguments)
    with pytest.raises(DataError, match=message):
        take(project, "seg_nrrd", tmp_path / "a0.nrrd", "nodule")


def test_cvat_has_polygons_masks_and_boxes(project: Project, tmp_path: Path) -> None:
    points = ";".join(f"{x}.0,{y}.0" for x, y in corners(10, 20, 5, 25))
    (tmp_path / "annotations.xml").write_text(
        '<?xml version="1.0" encoding="utf-8"?><annotations><version>1.1</version>'
        '<image id="7" name="sub/a1.png" width="48" height="64">'
        f'<polygon label="nodule" points="{points}" z_order="0"></polygon>'
        '<mask label="mass" rle="0, 320" left="8" top="30" width="32" height="10"/>'
        '<mask label="mass" rle="5" left="0" top="0" width="2" height="2"/>'
        '<box label="nodule" xtl="0" ytl="0" xbr="9" ybr="9"/></image></annotations>'
    )
    taken = take(project, "cvat", tmp_path / "annotations.xml")
    np.testing.assert_array_equal(got(project, "nodule", 1), A)
    np.testing.assert_array_equal(got(project, "mass", 1), B)
    assert any("box is no mask" in line for line in taken.rejected)
    assert any("run lengths" in line for line in taken.warnings)


def test_yolo_has_classes_by_number(project: Project, tmp_path: Path) -> None:
    (tmp_path / "train" / "labels").mkdir(parents=True)
    (tmp_path / "data.yaml").write_text("nc: 2\nnames: ['mass', 'nodule']\n")
    shares = " ".join(f"{x / 48:.6f} {y / 64:.6f}" for x, y in corners(10, 20, 5, 25))
    (tmp_path / "train" / "labels" / "a0.txt").write_text(
        f"1 {shares}\n0 0.5 0.5 0.2 0.2\n9 {shares}\n"
    )
    taken = take(project, "yolo_seg", tmp_path)
    np.testing.assert_array_equal(got(project, "nodule"), A)
    assert got(project, "mass") is None
    assert len(taken.rejected) == 2


def test_nnunet_unites_regions_and_leaves_out_what_is_ignored(
    project: Project, tmp_path: Path
) -> None:
    (tmp_path / "labelsTr").mkdir()
    labels = {"background": 0, "nodule": [1, 2], "mass": 2, "ignore": 3}
    (tmp_path / "dataset.json").write_text(json.dumps({"labels": labels}))
    values = (A + 2 * B).astype(np.uint8)
    Image.fromarray(values).save(tmp_path / "labelsTr" / "a0.png")
    assert take(project, "nnunet", tmp_path).masks == 2
    np.testing.assert_array_equal(got(project, "nodule"), A | B)
    np.testing.assert_array_equal(got(project, "mass"), B)


JUNK = [b"", b"\xef\xbb\xbf[1]", b'{"a": 1}', b"<a/>", b"\x1f\x8b\x00", b"NRRD0009\n\n"]


@pytest.mark.parametrize("name", importers.names())
@pytest.mark.parametrize("ending", [".nrrd", ".json", ".PNG"])
def test_no_file_of_another_kind_escapes(
    project: Project, tmp_path: Path, name: str, ending: str
) -> None:
    for number, junk in enumerate(JUNK):
        path = tmp_path / f"a{number}{ending}"
        path.write_bytes(junk)
        with pytest.raises(DataError) as refusal:
            take(project, name, path, "nodule")
        if not name.startswith("chex"):
            assert "CheX" not in str(refusal.value)


def test_a_format_that_says_what_a_mask_is_has_no_cut(
    project: Project, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match="nothing to --set"):
        take(project, "coco", tmp_path, choice=Choice(cut=1))

"""What each importer refuses of its own format, in words of that format."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Callable
from pathlib import Path

import nibabel
import nrrd
import numpy as np
import pytest
from PIL import Image

from napari_wsseg.export import Found, importers
from napari_wsseg.jobs import DataError
from napari_wsseg.schema import Mask

SHAPE = (64, 48)
BOX = np.zeros(SHAPE, np.uint8)
BOX[10:20, 5:25] = 1

Make = Callable[[Path], Path]


def mask_of(name: str, path: Path, shape: tuple[int, int] | None = SHAPE) -> Mask:
    """Return the first mask that an importer finds."""
    found = [one for one in importers[name](path) if isinstance(one, Found)]
    return found[0].mask(shape)


def labelme(**shape: object) -> Make:
    document = {"imagePath": "a.png", "imageHeight": 64, "imageWidth": 48}
    shapes = [{"label": "nodule", **shape}]

    def make(place: Path) -> Path:
        path = place / "a.json"
        path.write_text(json.dumps({**document, "shapes": shapes}))
        return path

    return make


def cvat(inside: str, head: str = "") -> Make:
    text = (
        f'{head}<annotations><image id="0" name="a.png" width="48" height="64" '
        f"{inside}</image></annotations>"
    )

    def make(place: Path) -> Path:
        path = place / "annotations.xml"
        path.write_text(text)
        return path

    return make


def encoded(encoding: str, text: str) -> Make:
    def make(place: Path) -> Path:
        path = place / "a.xml"
        head = f'<?xml version="1.0" encoding="{encoding}"?>'
        known = "utf-16" if encoding == "utf-16" else "ascii"
        path.write_bytes((head + text).encode(known))
        return path

    return make


def seg_nrrd(values: np.ndarray, **header: str) -> Make:
    def make(place: Path) -> Path:
        path = place / "a.seg.nrrd"
        nrrd.write(str(path), values, {"encoding": "raw", **header})
        return path

    return make


def saved(values: np.ndarray, name: str) -> Make:
    def make(place: Path) -> Path:
        path = place / name
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(values).save(path)
        return path

    return make


def volume(shape: tuple[int, ...]) -> Make:
    def make(place: Path) -> Path:
        path = place / "a.nii.gz"
        nibabel.save(nibabel.Nifti1Image(np.ones(shape, np.uint8), np.eye(4)), path)
        return path

    return make


def nnunet(values: np.ndarray | bytes) -> Make:
    document = {"labels": {"background": 0, "nodule": 1}, "file_ending": ".png"}

    def make(place: Path) -> Path:
        (place / "labelsTr").mkdir()
        (place / "dataset.json").write_text(json.dumps(document))
        path = place / "labelsTr" / "a.png"
        if isinstance(values, bytes):
            path.write_bytes(values)
        else:
            Image.fromarray(values).save(path)
        return place

    return make


def yolo(table: str, lines: str = "0 0.1 0.1 0.5 0.1 0.5 0.5\n") -> Make:
    def make(place: Path) -> Path:
        (place / "labels").mkdir()
        (place / "labels" / "a.txt").write_text(lines)
        (place / "data.yaml").write_text(table)
        return place

    return make


def written(name: str, text: str) -> Make:
    def make(place: Path) -> Path:
        path = place / name
        path.write_text(text)
        return path

    return make


def _png(values: np.ndarray) -> str:
    out = io.BytesIO()
    Image.fromarray(values).save(out, "PNG")
    return base64.b64encode(out.getvalue()).decode()


ELLIPSE = '><ellipse label="nodule" cx="{}" cy="{}" rx="{}" ry="{}"/>'
MASK = '><mask label="nodule" left="{}" top="0" width="4" height="2" rle="{}"/>'
CLASSES = "names: [nodule]\n"


@pytest.mark.parametrize(
    ("name", "make", "message"),
    [
        ("cvat", cvat(">", "<!DOCTYPE x []>"), "declares entities"),
        ("cvat", encoded("utf-16", "<!DOCTYPE x []><annotations/>"), "declares ent"),
        ("cvat", encoded("x-none", "<annotations/>"), "not CVAT's XML"),
        ("cvat", encoded("cp932", "<annotations/>"), "not CVAT's XML"),
        ("cvat", cvat('drawn="nodule">'), "drawn is not a list"),
        ("cvat", cvat(ELLIPSE.format(20, 20, 0, 5)), "no extent"),
        ("cvat", cvat(ELLIPSE.format(20, 20, "inf", 5)), "without end"),
        ("cvat", cvat(ELLIPSE.format(200, 20, 9, 5)), "another image"),
        ("cvat", cvat(ELLIPSE.format(20, "x", 9, 5)), "no numbers"),
        ("cvat", cvat('><ellipse label="nodule" cx="3"/>'), "lacks 'cy'"),
        ("cvat", cvat(MASK.format(46, "0,8")), "beyond the film"),
        ("cvat", cvat(MASK.format(4, "0,9")), "other than 4 × 2"),
        ("labelme", labelme(points=[[3, 4]], shape_type="circle"), "fewer than two"),
        (
            "labelme",
            labelme(points=[[20, 20], [900, 20]], shape_type="circle"),
            "another image",
        ),
        ("labelme", labelme(points=[[1, 2], [3, 4]], shape_type="spline"), "no kind"),
        (
            "labelme",
            labelme(points=[[1, 2], [3, 4]], shape_type="mask", mask="AAA"),
            "not a PNG in base64",
        ),
        (
            "labelme",
            labelme(points=[[40, 2], [60, 4]], shape_type="mask", mask=_png(BOX)),
            "beyond the film",
        ),
        ("seg_nrrd", seg_nrrd(np.ones((2, 48, 64, 1), "u1")), "no segment is named"),
        (
            "seg_nrrd",
            seg_nrrd(BOX.T[..., None], Segment0_Name="nodule", Segment0_Layer="3"),
            "layer 3 of 1",
        ),
        (
            "seg_nrrd",
            seg_nrrd(BOX.T[..., None], Segment0_Name="a", Segment0_LabelValue="one"),
            "not a number",
        ),
        ("seg_nrrd", seg_nrrd(BOX.T[..., None], encoding="bzip2"), "save it as gzip"),
        ("seg_nrrd", seg_nrrd(np.ones((4, 48, 64), "u1")), "not a single slice"),
        ("seg_nrrd", seg_nrrd(BOX[..., None]), "48 × 64"),
        ("seg_nrrd", seg_nrrd(BOX.T[2:9, 3:9, None]), "film's size, not cropped"),
        ("nifti", volume((48, 64, 2)), "not a single slice"),
        ("nifti", volume((48, 64, 1, 3)), "not a single slice"),
        ("nifti", volume((64, 48, 1)), "the mask is 48 × 64"),
        ("nnunet", nnunet(np.zeros((*SHAPE, 3), np.uint8)), "has colours"),
        ("nnunet", nnunet(BOX.T.copy()), "48 × 64"),
        ("nnunet", nnunet(b"GIF89a"), "not a label map"),
        ("indexed_png", saved(BOX, "a.png"), "of kind L|not an indexed"),
        ("siim_rle", written("a.csv", "ImageId,Runs\na,1 2\n"), "no columns"),
        ("yolo_seg", yolo("names: [a, "), "not YAML"),
        ("yolo_seg", yolo("path: x\n"), "names no classes"),
        ("yolo_seg", yolo("names: {0: nodule, 0: mass}\n"), "one thing twice"),
        ("yolo_seg", yolo("names: [a]\nnames: [nodule]\n"), "one thing twice"),
        ("yolo_seg", yolo("&a\nnames: *a\n"), "names no classes"),
        ("yolo_seg", yolo(CLASSES, "\n0 5 5 9 5 9 9\n"), "not shares"),
    ],
)
def test_what_is_off_is_said_in_words_of_the_format(
    name: str, make: Make, message: str, tmp_path: Path
) -> None:
    with pytest.raises(DataError, match=message):
        mask_of(name, make(tmp_path))


def test_an_ellipse_and_a_circle_hold_the_pixels_whose_centre_they_hold(
    tmp_path: Path,
) -> None:
    rows, columns = np.mgrid[:64, :48] + 0.5
    round_ = np.hypot(rows - 20, columns - 22) <= 9
    ellipse = mask_of("cvat", cvat(ELLIPSE.format(22, 20, 9, 9))(tmp_path))
    np.testing.assert_array_equal(ellipse, round_)
    make = labelme(points=[[22, 20], [31, 20]], shape_type="circle")
    np.testing.assert_array_equal(mask_of("labelme", make(tmp_path)), round_)
    turned = '><ellipse label="a" cx="22" cy="30" rx="18" ry="5" rotation="90"/>'
    long = mask_of("cvat", cvat(turned)(tmp_path))
    np.testing.assert_array_equal(
        long, ((rows - 30) / 18) ** 2 + ((columns - 22) / 5) ** 2 <= 1
    )


def test_yolo_says_no_size_of_its_own(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="says no size"):
        mask_of("yolo_seg", yolo(CLASSES)(tmp_path), None)

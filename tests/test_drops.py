"""Masks in exchange formats dropped on napari; what is not ours is left alone."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from helpers.export_project import SHAPE, make_project, special_masks
from napari_wsseg._reader import get_reader
from napari_wsseg._writer import write_nifti
from napari_wsseg.export import writing
from napari_wsseg.io.project import Project
from napari_wsseg.jobs import DataError


@pytest.fixture(scope="module")
def exports(tmp_path_factory: pytest.TempPathFactory) -> Project:
    place = tmp_path_factory.mktemp("drops")
    with make_project(place, overlap=False) as made:
        for name in ("png", "indexed_png", "coco", "coco_polygons", "nifti"):
            writing.export(made, name, place / name)
        for name in ("chexlocalize", "chexlocalize_contours", "dicom_seg"):
            writing.export(made, name, place / name)
    return made


@pytest.mark.parametrize(
    ("file", "count"),
    [
        ("png/mass/ward/ring.png", 1),
        ("indexed_png/ward/ring.png", 2),
        ("coco/annotations.json", 14),
        ("coco_polygons/annotations.json", 14),
        ("chexlocalize/gt_segmentations_wsseg.json", 14),
        ("chexlocalize_contours/gt_annotations_wsseg.json", 14),
        ("nifti/mass/ward/ring.nii.gz", 1),
        ("dicom_seg/ward/ring.seg.dcm", 2),
    ],
)
def test_every_format_dropped_becomes_labels(
    exports: Project, file: str, count: int
) -> None:
    path = str(exports.folder.parent / file)
    read = get_reader(path)
    assert read is not None
    shown = read(path)
    assert len(shown) == count
    assert {kind for _, _, kind in shown} == {"labels"}
    ring = special_masks()["ring"]
    assert any(np.array_equal(data > 0, ring) for data, _, _ in shown)


def test_the_challenges_csv_is_shown_at_its_size(tmp_path: Path) -> None:
    path = tmp_path / "train.csv"
    path.write_text("ImageId, EncodedPixels\na, 5 2\na, 1048570 6\nb, -1\n")
    read = get_reader(str(path))
    assert read is not None
    (first, options, _), (second, _, _) = read(str(path))
    assert first.shape == (1024, 1024)
    assert first.sum() == 2 + 6
    assert first[-1, -1] == 1
    assert not second.any()
    assert options["name"] == "a train"


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.json", b'{"name": "package", "version": 1}'),
        ("b.json", b"[1, 2]"),
        ("c.json", b"\xff\xfe\x00"),
        ("d.csv", b"index,axis-0,axis-1\n0,1,2\n"),
        ("e.csv", b""),
        ("f.png", b"no picture"),
        ("g.txt", b"ImageId,EncodedPixels\n"),
    ],
)
def test_a_foreign_file_is_left_alone(tmp_path: Path, name: str, data: bytes) -> None:
    (tmp_path / name).write_bytes(data)
    assert get_reader(str(tmp_path / name)) is None
    assert get_reader(str(tmp_path / f"missing-{name}")) is None


@pytest.mark.parametrize("mode", ["L", "RGB", "P", "I;16"])
def test_a_picture_is_no_mask(tmp_path: Path, mode: str) -> None:
    Image.new(mode, (5, 4)).save(tmp_path / "film.png")
    assert get_reader(str(tmp_path / "film.png")) is None


@pytest.mark.parametrize(
    "document",
    [
        {"images": [], "annotations": 3, "categories": []},
        {"images": [{"id": 1}], "annotations": [], "categories": []},
        {"film": {"img_size": [4, 4], "mass": [[[0]]]}},
        {"film": {"img_size": [-4, 4], "mass": [[[0, 1]]]}},
        {"film": {"mass": {"size": [10**9, 10**9], "counts": "0"}}},
        {"film": {"mass": {"size": [4, 4], "counts": "x\u1234"}}},
    ],
)
def test_a_broken_file_of_ours_is_told_not_traced(
    tmp_path: Path, document: dict
) -> None:
    path = tmp_path / "a.json"
    path.write_text(json.dumps(document))
    read = get_reader(str(path))
    if read is not None:
        with pytest.raises(DataError):
            read(str(path))


@pytest.mark.parametrize("ending", [".nii", ".nii.gz"])
def test_a_saved_layer_comes_back_with_its_values_and_scale(
    tmp_path: Path, ending: str
) -> None:
    labels = np.arange(12, dtype=np.int32).reshape(4, 3) * 100
    path = str(tmp_path / f"mask{ending}")
    meta = {"scale": (0.2, 0.3), "units": ("millimeter", "millimeter")}
    assert write_nifti(path, labels, meta) == [path]
    read = get_reader(path)
    assert read is not None
    [(data, options, kind)] = read(path)
    np.testing.assert_array_equal(data, labels)
    assert kind == "labels"
    np.testing.assert_allclose(options["scale"], (0.2, 0.3), rtol=1e-6)
    with pytest.raises(DataError, match="dimensions"):
        write_nifti(path, labels[None], meta)


def test_a_slice_lies_as_a_frontal_film_is_hung(tmp_path: Path) -> None:
    import nibabel

    path = str(tmp_path / "mask.nii.gz")
    labels = np.zeros(SHAPE, np.uint8)
    labels[2, 5] = 1
    write_nifti(path, labels, {"scale": (0.2, 0.3)})
    image = nibabel.load(path)
    assert nibabel.aff2axcodes(image.affine) == ("L", "I", "A")
    closest = nibabel.as_closest_canonical(image)
    nibabel.save(closest, tmp_path / "turned.nii")
    for place in (path, str(tmp_path / "turned.nii")):
        read = get_reader(place)
        assert read is not None
        np.testing.assert_array_equal(read(place)[0][0], labels)

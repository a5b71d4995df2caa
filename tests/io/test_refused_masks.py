"""Masks and tables of other programs that are not what they should be: said so."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from napari_wsseg.datasets.importing import labels_csv
from napari_wsseg.datasets.importing import tables as label_lists
from napari_wsseg.export import siim_rle
from napari_wsseg.io import masks
from napari_wsseg.io.external import (
    json_masks,
    label_names,
    mask_files,
    mask_values,
    tables,
)
from napari_wsseg.io.external import nifti as _nifti
from napari_wsseg.io.external.mask_values import SOFT, Choice
from napari_wsseg.jobs import DataError


def nifti_header(size: int = 348, begin: float = 352.0, kind: int = 2) -> bytes:
    data = bytearray(352)
    struct.pack_into("<i", data, 0, size)
    struct.pack_into("<8h", data, 40, 3, 4, 4, 1, 1, 1, 1, 1)
    struct.pack_into("<2h", data, 70, kind, 8)
    struct.pack_into("<f", data, 108, begin)
    return bytes(data)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (nifti_header(7), "no header"),
        (nifti_header(kind=3), "values of kind 3"),
        (nifti_header(begin=3e9), "begin at byte 3000000000"),
        (b"\x1f\x8b" + b"x" * 40, "not NIfTI"),
        (b"\x1f", "not NIfTI"),
    ],
)
def test_a_nifti_header_that_is_none_is_refused(
    tmp_path: Path, data: bytes, message: str
) -> None:
    path = tmp_path / "a.nii"
    path.write_bytes(data)
    with pytest.raises(DataError, match=message):
        _nifti.bounded(path)


def test_probabilities_are_what_they_are_or_refused() -> None:
    def soft(*numbers: float, kind: str) -> np.ndarray:
        return mask_values.drawn(np.array([numbers], kind), SOFT)

    np.testing.assert_array_equal(soft(0, 0.25, 1.0005, kind="f4"), [[0, 0.25, 1]])
    np.testing.assert_array_equal(soft(0, 255, kind="u1"), [[0, 1]])
    np.testing.assert_allclose(soft(0, 51, 255, kind="u1"), [[0, 0.2, 1]])
    np.testing.assert_allclose(soft(0, 13107, 65535, kind="u2"), [[0, 0.2, 1]])
    with pytest.raises(DataError, match="apply the sigmoid"):
        soft(-3, 4, kind="f4")
    with pytest.raises(DataError, match="its values are 0, 1, 2"):
        soft(0, 1, 2, kind="u1")


@pytest.mark.parametrize(
    ("given", "message"),
    [(np.zeros((2, 2), complex), "values of kind"), (np.zeros((0, 3)), "no pixels")],
)
def test_what_are_no_numbers_is_no_mask(given: np.ndarray, message: str) -> None:
    with pytest.raises(DataError, match=message):
        mask_values.drawn(given)


def test_numbers_of_labels_are_whole_few_and_lie_in_flat_regions() -> None:
    flat = np.zeros((30, 30))
    flat[2:9, 2:9], flat[20:28, 20:28] = 1, 2
    noise = np.random.default_rng(0).integers(0, 3, (30, 30))
    assert mask_values.labels(flat) == [1, 2]
    assert mask_values.labels(flat * 0.5) == mask_values.labels(flat * 40) == []
    assert mask_values.labels(noise) == []
    assert mask_values.label_numbers(flat) == [1, 2]
    assert mask_values.label_numbers(flat / 3) == []
    assert mask_values.label_numbers(flat - 1) == []
    assert mask_values.chosen(Choice(), "value=2") == Choice(value=2)
    assert mask_values.chosen(Choice(), "cut=0,5") == Choice(cut=0.5)


def test_a_palette_of_one_colour_shows_its_indices(tmp_path: Path) -> None:
    drawn = np.zeros((12, 9), np.uint8)
    drawn[2:5, 2:5] = 1
    image = Image.fromarray(drawn)
    image.putpalette([7, 7, 7] * 2)
    image.save(tmp_path / "a.png")
    found = mask_files.read(tmp_path / "a.png", (12, 9))
    np.testing.assert_array_equal(found, drawn > 0)
    assert masks.read is mask_files.read  # the former name


def test_masks_of_a_film_in_json_are_of_the_two_forms(tmp_path: Path) -> None:
    square = [[2, 2], [5, 2], [5, 5], [2, 5]]
    entry: dict[str, Any] = {"img_size": [9, 9], "nodule": [square], "mass": []}
    drawn = {name: draw((9, 9)) for name, draw in json_masks.localised(*_of(entry))}
    assert (drawn["nodule"].sum(), drawn["mass"].sum()) == (16, 0)
    for odd, message in (
        ({"nodule": 3}, "neither run lengths"),
        ({"img_size": [9, 9], "nodule": [[["x", 1]]]}, r"lists of \[x, y\]"),
        ({"img_size": [9, 9], "nodule": [[[50, 50], [60, 60]]]}, "no pixel"),
        ({"img_size": [9.5, 9], "nodule": [square]}, "not rows and columns"),
        ({"nodule": {"size": [9, 9], "counts": "x"}}, "not COCO's"),
    ):
        with pytest.raises(DataError, match=message):
            [draw((9, 9)) for _, draw in json_masks.localised(*_of(odd))]
    with pytest.raises(DataError, match="no counts"):
        json_masks.decoded({"size": [9, 9]}, (9, 9))
    with pytest.raises(DataError, match="cannot be read"):
        json_masks.load(tmp_path / "none.json", "COCO")


def _of(entry: object) -> tuple[Path, str, object]:
    return Path("gt_x.json"), "a", entry


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("image,a\n1.png,1\n".encode("utf-16"), "text in UTF-16"),
        (b"\xfe\xff\0i\0m", "text in UTF-16"),
        (b"PK\x03\x04\x14\0\x06\0\xff", "a workbook"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1", "a workbook"),
        (b"\x1f\x8b\x08\0\xff", "packed by gzip"),
        (b"image,\xe9\n", "not a UTF-8 csv"),
    ],
)
@pytest.mark.parametrize("read", [tables.rows, siim_rle.read, label_lists.names])
def test_what_is_no_csv_is_called_what_it_is_with_its_remedy(
    tmp_path: Path, data: bytes, message: str, read: Callable[[Path], Any]
) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(data)
    with pytest.raises(DataError, match=rf"a\.csv: {message}.*CSV UTF-8"):
        [*read(path)]


def test_blank_lines_are_no_rows(tmp_path: Path) -> None:
    path = tmp_path / "labels.csv"
    path.write_text("\n\r\n\nimage,nodule\n\na.png,1\n\n")
    table = labels_csv.read(path)
    assert (table.findings, [*table.rows]) == (("nodule",), ["a.png"])
    path.write_text("\n\n")
    with pytest.raises(DataError, match="empty"):
        labels_csv.read(path)


@pytest.mark.parametrize("ending", ["label", "tsv", "ctbl"])
def test_a_label_of_thousands_of_digits_names_nothing(
    tmp_path: Path, ending: str
) -> None:
    many = "9" * 5000
    lines = {
        "label": f'{many} 255 0 0 1 1 1 "nodule"',
        "tsv": f"index\tname\n{many}\tnodule",
        "ctbl": f"{many} nodule 255 0 0 255",
    }
    (tmp_path / f"a.{ending}").write_text(lines[ending])
    assert label_names.beside(tmp_path / "a.nii.gz", "a") == ({}, "")


def test_a_table_that_is_none_or_too_large_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.csv"
    with pytest.raises(DataError, match="cannot be read"):
        tables.rows(path)
    path.write_bytes(b"image,\xe9\n")
    with pytest.raises(DataError, match="not a UTF-8 csv"):
        tables.rows(path)
    path.write_text("a,b\n1,2\n")
    monkeypatch.setattr(tables, "MAX_CELLS", 3)
    with pytest.raises(DataError, match="over 3 cells"):
        tables.rows(path)

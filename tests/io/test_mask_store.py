"""A mask's file is what its name says, or it is refused."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from napari_wsseg.io import atomic
from napari_wsseg.io.project_folder import mask_store
from napari_wsseg.jobs import DataError

CASE = "0" * 16
BOX = np.zeros((9, 12), bool)
BOX[2:5, 3:8] = True


def test_other_bytes_in_a_masks_place_are_no_mask(tmp_path: Path) -> None:
    sha = mask_store.write(tmp_path, CASE, "nodule", BOX)
    path = mask_store.place(tmp_path, CASE, "nodule", sha)
    np.testing.assert_array_equal(
        mask_store.read(tmp_path, CASE, "nodule", sha), BOX, strict=True
    )
    assert mask_store.is_whole(tmp_path, CASE, "nodule", sha) is True
    path.write_bytes(mask_store.encode(~BOX))  # a mask, but not this one
    assert mask_store.is_whole(tmp_path, CASE, "nodule", sha) is False
    with pytest.raises(DataError, match="damaged"):
        mask_store.read(tmp_path, CASE, "nodule", sha)
    path.unlink()
    assert mask_store.is_whole(tmp_path, CASE, "nodule", sha) is False
    with pytest.raises(DataError, match="cannot be read"):
        mask_store.read(tmp_path, CASE, "nodule", sha)


def test_a_mask_that_lies_there_is_not_written_again(tmp_path: Path) -> None:
    sha = mask_store.write(tmp_path, CASE, "nodule", BOX)
    path = mask_store.place(tmp_path, CASE, "nodule", sha)
    before = path.stat().st_ino
    assert mask_store.write(tmp_path, CASE, "nodule", BOX) == sha
    assert path.stat().st_ino == before
    path.write_bytes(b"damaged")
    assert mask_store.write(tmp_path, CASE, "nodule", BOX) == sha
    np.testing.assert_array_equal(mask_store.read(tmp_path, CASE, "nodule", sha), BOX)


def test_a_picture_of_the_right_hash_that_is_no_mask_is_refused(tmp_path: Path) -> None:
    picture = io.BytesIO()
    Image.new("L", (12, 9)).save(picture, format="PNG")
    data = picture.getvalue()
    sha = hashlib.sha256(data).hexdigest()[: mask_store.SHA_DIGITS]
    path = mask_store.place(tmp_path, CASE, "nodule", sha)
    path.parent.mkdir(parents=True)
    path.write_bytes(data)
    with pytest.raises(DataError, match="not a 1-bit PNG"):
        mask_store.read(tmp_path, CASE, "nodule", sha)


def test_what_a_killed_writer_left_is_swept_and_nothing_else(tmp_path: Path) -> None:
    sha = mask_store.write(tmp_path, CASE, "nodule", BOX)
    staging = tmp_path / "masks" / ".new"
    staging.mkdir(parents=True, exist_ok=True)
    (staging / f".half{atomic.TEMPORARY}").write_bytes(b"half")
    (staging / "somebody's.txt").write_text("kept")
    mask_store.remove_leftovers(tmp_path)
    assert [p.name for p in staging.iterdir()] == ["somebody's.txt"]
    assert mask_store.is_whole(tmp_path, CASE, "nodule", sha)


def test_a_masks_hash_is_of_its_shape_too() -> None:
    shapes = [(1, 4), (2, 4), (4, 2), (4, 1)]  # all a byte of nothing
    blanks = [np.zeros(shape, bool) for shape in shapes]
    assert len({mask_store.pixels_sha(blank) for blank in blanks}) == len(shapes)

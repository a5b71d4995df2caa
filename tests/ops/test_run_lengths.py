"""COCO's run lengths against pycocotools' figures; SIIM's are tested in the export."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from napari_wsseg.jobs import DataError
from napari_wsseg.ops.run_lengths import coco_decode, coco_encode

shapes = hnp.array_shapes(min_dims=2, max_dims=2, max_side=40)


def test_a_rectangle_is_packed_as_pycocotools_packs_it() -> None:
    mask = np.zeros((7, 5), bool)
    mask[2:5, 1:3] = True
    assert coco_encode(mask) == "9340<"
    np.testing.assert_array_equal(coco_decode("9340<", [7, 5]), mask)


def test_a_published_empty_mask_is_empty() -> None:
    empty = np.zeros((2021, 2021), bool)
    assert coco_encode(empty) == "ifdl3"
    assert not coco_decode("ifdl3", empty.shape).any()


@given(st.data())
def test_every_mask_survives_and_equals_pycocotools(data: st.DataObject) -> None:
    theirs = pytest.importorskip("pycocotools.mask")
    mask = data.draw(hnp.arrays(bool, data.draw(shapes)))
    ours = coco_encode(mask)
    packed = theirs.encode(np.asfortranarray(mask.astype(np.uint8)))
    assert ours == packed["counts"].decode()
    np.testing.assert_array_equal(coco_decode(ours, mask.shape), mask)


@given(st.data())
def test_every_mask_survives(data: st.DataObject) -> None:
    mask = data.draw(hnp.arrays(bool, data.draw(shapes)))
    np.testing.assert_array_equal(coco_decode(coco_encode(mask), mask.shape), mask)


def test_a_list_of_lengths_is_read_as_well() -> None:
    mask = coco_decode([9, 3, 4, 3, 16], [7, 5])
    np.testing.assert_array_equal(mask, coco_decode("9340<", [7, 5]))


@pytest.mark.parametrize(
    ("counts", "message"),
    [
        ("9340", "of 16 pixels|not COCO|pixels"),
        ("9340\x7f", "not COCO"),
        ("9340l", "not COCO"),
        ([9, -3, 29], "35 pixels|pixels"),
        ([9, 3], "of 12 pixels, their size is 7 × 5"),
        (["x"], "not COCO"),
        (7, "not COCO"),
    ],
)
def test_what_is_not_run_lengths_is_refused(counts: object, message: str) -> None:
    with pytest.raises(DataError, match=message):
        coco_decode(counts, [7, 5])  # type: ignore[arg-type]

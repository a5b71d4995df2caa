"""Polygons lose no pixel, whoever fills them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis.extra import numpy as hnp
from PIL import Image, ImageDraw
from pycocotools import mask as coco

from napari_wsseg.ops import outlines

masks = hnp.arrays(bool, hnp.array_shapes(min_dims=2, max_dims=2, max_side=14))


@given(masks)
def test_edges_filled_are_the_mask_by_us_and_by_pycocotools(mask: np.ndarray) -> None:
    edges = outlines.edges(mask)
    np.testing.assert_array_equal(outlines.filled(edges, mask.shape), mask)
    if edges:
        flat = [one.astype(float).ravel().tolist() for one in edges]
        runs = coco.merge(coco.frPyObjects(flat, *mask.shape))
        np.testing.assert_array_equal(coco.decode(runs).astype(bool), mask)


@given(masks)
def test_borders_filled_with_their_outline_by_pillow_are_the_mask(
    mask: np.ndarray,
) -> None:
    canvas = Image.new("1", (mask.shape[1], mask.shape[0]))
    for one in outlines.borders(mask):
        corners = [(float(x), float(y)) for x, y in one]
        ImageDraw.Draw(canvas).polygon(corners, outline=1, fill=1)
    np.testing.assert_array_equal(np.array(canvas, bool), mask)


def test_a_square_with_a_hole_is_cut_once() -> None:
    mask = np.ones((5, 6), bool)
    mask[2, 3] = False
    assert sorted(len(one) for one in outlines.edges(mask)) == [4, 8]


def test_a_slanted_polygon_takes_the_pixels_whose_centres_it_holds() -> None:
    triangle = [[0, 0], [4, 0], [0, 4]]
    mask = outlines.filled([triangle], (5, 5))
    rows, columns = np.indices((5, 5)) + 0.5
    np.testing.assert_array_equal(mask[:4, :4], (rows + columns < 4)[:4, :4])
    assert not mask[4].any()


def test_what_lies_outside_the_film_is_cut_off() -> None:
    square = [[-3, -3], [2, -3], [2, 2], [-3, 2]]
    far = [[50, 50], [60, 50], [60, 60]]
    mask = outlines.filled([square, far], (4, 4))
    assert mask.sum() == 4
    assert mask[:2, :2].all()


@pytest.mark.parametrize("bad", [[[1, 2, 3]], [[0, float("nan")]], [1, 2]])
def test_what_is_no_polygon_is_refused(bad: list) -> None:
    with pytest.raises(ValueError, match="outline"):
        outlines.filled([bad], (4, 4))

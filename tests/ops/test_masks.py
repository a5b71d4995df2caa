"""Tidying masks, on masks small enough to read."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage
from skimage import measure, morphology

from napari_wsseg.ops import masks


def picture(*rows: str) -> np.ndarray:
    return np.array([[c == "#" for c in row] for row in rows])


def test_regions_touching_at_a_corner_are_one() -> None:
    mask = picture("#..", ".#.", "..#")
    regions, count = masks.components(mask)
    assert count == 1
    assert (regions > 0).tolist() == mask.tolist()


def test_components_are_those_of_scikit_image() -> None:
    mask = np.random.default_rng(0).random((40, 50)) > 0.6
    regions, count = masks.components(mask)
    expected, n = measure.label(mask, connectivity=2, return_num=True)
    assert count == n
    assert (regions == expected).all()


def test_a_diagonal_ring_encloses_its_hole() -> None:
    ring = picture(".#.", "#.#", ".#.")
    assert masks.fill_holes(ring)[1, 1]
    assert not masks.fill_holes(picture("###", "#.#", "#.#"))[1, 1]


def test_keep_largest_keeps_one_region_and_nothing_of_nothing() -> None:
    mask = picture("##...", "##..#", "....#")
    assert (masks.keep_largest(mask) == picture("##...", "##...", ".....")).all()
    assert (masks.keep_largest(mask, count=2) == mask).all()
    assert not masks.keep_largest(np.zeros((3, 3), bool)).any()


def test_remove_small_keeps_a_region_of_exactly_the_share() -> None:
    mask = np.zeros((10, 10), bool)
    mask[:2, :2] = True
    mask[8, 8] = True
    assert masks.remove_small(mask, min_area=0.04).sum() == 4
    assert masks.remove_small(mask, min_area=0.041).sum() == 0
    assert masks.remove_small(mask, min_area=0).sum() == 5


def test_remove_small_is_that_of_scikit_image() -> None:
    mask = np.random.default_rng(1).random((64, 64)) > 0.75
    expected = morphology.remove_small_objects(mask, max_size=8, connectivity=2)
    found = masks.remove_small(mask, min_area=9 / 64**2)
    assert (found == expected).all()


def test_smooth_rounds_a_speck_away_and_leaves_a_straight_edge() -> None:
    mask = np.zeros((40, 40), bool)
    mask[:, 20:] = True
    straight = mask.copy()
    mask[10, 5] = True
    assert (masks.smooth(mask, radius=3) == straight).all()
    assert (masks.smooth(mask, radius=0) == mask).all()


def test_triplet_wants_a_sure_core_before_it_takes_the_rest() -> None:
    score = np.full((10, 10), 0.1, np.float32)
    score[:5] = 0.4
    assert not masks.triplet_mask(score, min_area=0.02).any()
    score[0, 0] = 0.9
    assert not masks.triplet_mask(score, min_area=0.02).any()
    score[0, 1] = 0.9
    assert masks.triplet_mask(score, min_area=0.02).sum() == 50


def test_triplet_needs_one_sure_pixel_even_without_a_minimum() -> None:
    assert not masks.triplet_mask(np.full((4, 4), 0.5, np.float32), min_area=0).any()


def test_wrong_arguments_are_refused_with_a_remedy() -> None:
    one = np.ones((2, 2), bool)
    with pytest.raises(ValueError, match="not pixels"):
        masks.remove_small(one, min_area=20)
    with pytest.raises(ValueError, match="swap"):
        masks.triplet_mask(np.zeros((2, 2), np.float32), top=0.1)
    with pytest.raises(ValueError, match="one \\(H, W\\) bool mask"):
        masks.fill_holes(one.astype(np.uint8))
    with pytest.raises(ValueError, match="at least 1"):
        masks.keep_largest(one, count=0)
    with pytest.raises(ValueError, match="negative"):
        masks.smooth(one, radius=-1)


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("width", [1, 3, 8])
def test_rims_are_napari_s_contours(seed: int, width: int) -> None:
    from napari.layers.labels._labels_utils import get_contours

    rng = np.random.default_rng(seed)
    labels = np.zeros(tuple(rng.integers(9, 60, 2)), np.uint8)
    for value in range(1, 2 + seed % 3):
        noise = ndimage.gaussian_filter(rng.normal(size=labels.shape), 1 + seed / 2)
        labels[noise > 0] = 2 * value - 1
    np.testing.assert_array_equal(
        masks.rims(labels, width), get_contours(labels, width, 0)
    )


def test_a_region_that_fills_the_picture_or_is_not_there_has_no_rim() -> None:
    assert not masks.rims(np.ones((9, 7), np.uint8), 2).any()
    assert not masks.rims(np.zeros((9, 7), np.uint8), 2).any()

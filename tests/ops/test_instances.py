"""Oracle 13: fields whose centroids are known."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from napari_wsseg.nn import irnet_loss
from napari_wsseg.ops import instances


def towards(
    places: list[tuple[float, float]], shape: tuple[int, int] = (48, 64)
) -> np.ndarray:
    """D(x) = c − x with c the nearest of some places."""
    grid = np.indices(shape).astype(float)
    fields = np.stack([np.array(c).reshape(2, 1, 1) - grid for c in places])
    nearest = np.hypot(fields[:, 0], fields[:, 1]).argmin(0)
    return np.take_along_axis(fields, nearest[None, None], 0)[0]


def discs(places: list[tuple[float, float]], radius: float) -> np.ndarray:
    y, x = np.indices((48, 64))
    return np.stack([np.hypot(y - v, x - u) < radius for v, u in places])


def test_a_field_towards_one_place_costs_nothing_and_arrives_in_one_step() -> None:
    field = towards([(20, 33)])
    pairs = irnet_loss.pairs(torch.ones(1, 1, 48, 64, dtype=torch.uint8), radius=5)
    terms = irnet_loss.displacement(torch.from_numpy(field)[None], pairs)
    assert terms.finding == 0
    found = instances.centroids(field, steps=1)
    assert (found[0] == 20).all()
    assert (found[1] == 33).all()


def test_short_steps_add_up_and_stay_inside_the_map() -> None:
    found = instances.centroids(0.3 * towards([(20, 33)]))
    assert np.abs(found - np.array([20, 33]).reshape(2, 1, 1)).max() < 0.05
    found = instances.centroids(np.full((2, 10, 12), 3.0))
    assert found.max((1, 2)).tolist() == [9, 11]


def test_two_discs_are_two_lesions_to_the_pixel() -> None:
    places = [(15, 14), (30, 45)]
    one, other = discs(places, 9)
    found = instances.split(one | other, towards(places))
    assert (found == one + 2 * other).all()


def test_discs_that_touch_are_parted_where_the_field_parts_them() -> None:
    places = [(24, 22), (24, 41)]
    one, other = discs(places, 11)
    assert (one & other).any()
    found = instances.split(one | other, towards(places))
    assert set(np.unique(found)) == {0, 1, 2}
    assert (found[:, :31][(one | other)[:, :31]] == 1).all()
    assert (found[:, 32:][(one | other)[:, 32:]] == 2).all()


@pytest.mark.parametrize("shape", [(96, 128), (25, 33), (131, 97)])
def test_a_mask_on_another_grid_is_split_in_place(shape: tuple[int, int]) -> None:
    mask = np.ones(shape, bool)
    found = instances.split(mask, towards([(24, 10), (24, 50)]))
    assert found.shape == shape
    assert (found > 0).all()
    left = (found == 1).mean()
    assert left == pytest.approx(30 / 64, abs=0.04)


def test_small_lesions_go_with_the_nearest_and_none_of_the_mask_is_lost() -> None:
    places = [(10, 10), (10, 50), (40, 57)]
    big, wide, speck = discs(places, 9)
    speck = discs(places, 3)[2]
    mask = big | wide | speck
    found = instances.split(mask, towards(places), min_area=0.02)
    assert ((found > 0) == mask).all()
    assert found.max() == 2
    assert (found[speck] == 2).all()
    assert instances.split(speck, towards(places), min_area=0.5).max() == 1


def test_noise_in_the_field_does_not_split_what_the_smallest_area_keeps() -> None:
    places = [(15, 14), (30, 45)]
    one, other = discs(places, 9)
    noise = np.random.default_rng(0).normal(0, 0.4, (2, 48, 64))
    found = instances.split(one | other, towards(places) + noise, min_area=0.02)
    assert (found == one + 2 * other).mean() > 0.99


def test_an_empty_mask_and_a_field_without_rest_are_no_reason_to_fail() -> None:
    none = instances.split(np.zeros((9, 9), bool), np.zeros((2, 9, 9)))
    assert not none.any()
    assert none.dtype == np.int32
    labelled = instances.split(np.ones((9, 9), bool), np.full((2, 9, 9), 7.0))
    assert (labelled == 1).all()


def test_what_cannot_be_split_is_refused_with_a_remedy() -> None:
    with pytest.raises(ValueError, match="rows then columns"):
        instances.centroids(np.zeros((3, 4, 4)))
    with pytest.raises(ValueError, match="bool mask"):
        instances.split(np.zeros((4, 4)), np.zeros((2, 4, 4)))  # type: ignore[arg-type]

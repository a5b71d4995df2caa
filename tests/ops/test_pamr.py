"""PAMR against its definition, pixel by pixel, and what an average must keep."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import torch

from napari_wsseg.ops import pamr


def slow_refine(
    maps: np.ndarray, film: np.ndarray, dilations: tuple[int, ...], iterations: int
) -> np.ndarray:
    """The formula, one pixel and one neighbour after the other, in double precision."""
    height, width = maps.shape[1:]
    film = film.reshape(height, width, -1).astype(float)
    for _ in range(iterations):
        after = np.zeros_like(maps, float)
        for y, x in np.ndindex(height, width):
            places = [
                (np.clip(y + v * d, 0, height - 1), np.clip(x + u * d, 0, width - 1))
                for d in dilations
                for v in (-1, 0, 1)
                for u in (-1, 0, 1)
            ]
            around = [p for n, p in enumerate(places) if n % 9 != 4]
            sigma = np.std([film[p] for p in places], axis=0, ddof=1)
            logits = [
                np.mean(-np.abs(film[p] - film[y, x]) / (0.1 * sigma + 1e-8))
                for p in around
            ]
            weights = np.exp(np.array(logits) - max(logits))
            weights /= weights.sum()
            after[:, y, x] = sum(
                w * maps[:, *p] for w, p in zip(weights, around, strict=True)
            )
        maps = after
    return maps


@pytest.mark.parametrize("colours", [(), (3,)])
@pytest.mark.parametrize("dilations", [(1,), (1, 2, 4), pamr.DILATIONS])
def test_refining_is_the_slow_loop_over_pixels_and_neighbours(
    dilations: tuple[int, ...], colours: tuple[int, ...]
) -> None:
    rng = np.random.default_rng(0)
    maps, film = rng.random((2, 9, 7)), rng.random((9, 7, *colours))
    expected = slow_refine(maps, film, dilations, 3)
    found = pamr.refine(maps, film, dilations=dilations, iterations=3)
    assert found.dtype == np.float32
    assert np.abs(found - expected).max() < 1e-5


def test_torch_does_the_same_and_stays_torch() -> None:
    rng = np.random.default_rng(0)
    maps, film = rng.random((2, 30, 40)), rng.random((30, 40))
    ours = pamr.refine(maps, film)
    theirs = pamr.refine(torch.from_numpy(maps), torch.from_numpy(film))
    assert isinstance(theirs, torch.Tensor)
    assert np.abs(theirs.numpy() - ours).max() < 1e-5


def test_a_constant_map_stays_what_it_is() -> None:
    film = np.random.default_rng(0).random((20, 24))
    found = pamr.refine(np.full((1, 20, 24), 0.3), film)
    assert np.abs(found - 0.3).max() < 1e-5


def test_no_value_leaves_the_range_and_labels_still_sum_to_one() -> None:
    rng = np.random.default_rng(0)
    maps = rng.random((3, 32, 32)) ** 3
    maps /= maps.sum(0)
    found = pamr.refine(maps, rng.random((32, 32)), iterations=4)
    for before, after in zip(maps, found, strict=True):
        assert before.min() - 1e-6 <= after.min() <= after.max() <= before.max() + 1e-6
    assert np.abs(found.sum(0) - 1).max() < 1e-5


def test_a_mask_moves_to_the_edge_of_the_film() -> None:
    y, x = np.indices((64, 64))
    disc = np.hypot(y - 32, x - 32) < 14
    rng = np.random.default_rng(0)
    film = 0.3 + 0.4 * disc + rng.normal(0, 0.01, disc.shape)
    wrong = np.hypot(y - 32, x - 35) < 16
    found = pamr.refine(wrong[None].astype(float), film)[0] > 0.5
    assert (found != disc).sum() < 0.2 * (wrong != disc).sum()


def test_the_films_unit_does_not_matter_and_a_flat_film_is_blurred() -> None:
    rng = np.random.default_rng(0)
    maps, film = rng.random((1, 16, 16)), (rng.random((16, 16)) * 255).astype(np.uint8)
    eight_bit = pamr.refine(maps, film)
    assert np.abs(pamr.refine(maps, film / 4095.0 + 3) - eight_bit).max() < 1e-3
    flat = pamr.refine(maps, np.full((16, 16), 0.5))
    assert np.isfinite(flat).all()
    assert flat.std() < maps.std() / 10


def test_what_is_given_is_left_alone() -> None:
    maps = np.random.default_rng(0).random((1, 12, 12)).astype(np.float32)
    before = maps.copy()
    assert (pamr.refine(maps, before[0], iterations=0) == before).all()
    pamr.refine(maps, before[0])
    assert (maps == before).all()


def test_a_slider_does_not_load_torch() -> None:
    code = (
        "import sys, numpy; from napari_wsseg.ops import pamr;"
        "pamr.refine(numpy.ones((1, 8, 8)), numpy.ones((8, 8)));"
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_wrong_input_is_refused_with_a_remedy() -> None:
    film = np.zeros((8, 8))
    with pytest.raises(ValueError, match="same grid"):
        pamr.refine(np.zeros((1, 8, 9)), film)
    with pytest.raises(ValueError, match="1 or more"):
        pamr.refine(np.zeros((1, 8, 8)), film, dilations=(0,))
    with pytest.raises(ValueError, match="0 or more"):
        pamr.refine(np.zeros((1, 8, 8)), film, iterations=-1)
    with pytest.raises(ValueError, match="the image is"):
        pamr.refine(np.zeros((1, 8, 8)), np.zeros(8))

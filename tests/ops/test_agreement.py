"""HD95 against all pairs of rim pixels, kappa against scikit-learn."""

from __future__ import annotations

from types import ModuleType

import numpy as np
import pytest
from scipy import ndimage
from scipy.spatial.distance import cdist

from napari_wsseg.ops.agreement import hd95, kappa


def blobs(seed: int, shape: tuple[int, int] = (40, 33)) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(size=shape)
    return ndimage.gaussian_filter(noise, 3) > 0.03


def by_all_pairs(
    first: np.ndarray, second: np.ndarray, spacing: tuple[float, float]
) -> float:
    """Look at every pixel with a neighbour outside, the long way."""

    def rim(mask: np.ndarray) -> np.ndarray:
        wide = np.pad(mask, 1)
        inner = wide[:-2, 1:-1] & wide[2:, 1:-1] & wide[1:-1, :-2] & wide[1:-1, 2:]
        return np.argwhere(mask & ~inner) * np.array(spacing)

    distances = cdist(rim(first), rim(second))
    return max(
        np.percentile(distances.min(axis=1), 95),
        np.percentile(distances.min(axis=0), 95),
    )


@pytest.mark.parametrize("spacing", [(1.0, 1.0), (0.2, 0.1)])
@pytest.mark.parametrize("seed", range(4))
def test_hd95_is_that_of_all_pairs_of_rim_pixels(
    seed: int, spacing: tuple[float, float]
) -> None:
    first, second = blobs(seed), blobs(seed + 10)
    expected = by_all_pairs(first, second, spacing)
    assert expected > 0
    assert hd95(first, second, spacing=spacing) == pytest.approx(expected)
    assert hd95(second, first, spacing=spacing) == pytest.approx(expected)


def test_a_shifted_square_is_as_far_as_it_was_shifted() -> None:
    first = np.zeros((50, 50), bool)
    first[10:20, 10:20] = True
    second = np.roll(first, 12, axis=1)
    assert hd95(first, second) == pytest.approx(12, abs=1)
    assert hd95(first, second, spacing=(1, 0.5)) == pytest.approx(6, abs=0.5)
    assert hd95(first, first) == 0


def test_there_is_no_distance_to_an_empty_mask() -> None:
    empty = np.zeros((9, 9), bool)
    assert hd95(empty, empty) is None
    assert hd95(~empty, empty) is None
    with pytest.raises(ValueError, match="bring both"):
        hd95(empty, np.zeros((3, 3), bool))


@pytest.mark.parametrize("seed", range(5))
def test_kappa_is_that_of_scikit_learn(theirs: ModuleType, seed: int) -> None:
    rng = np.random.default_rng(seed)
    first = rng.random(60) < 0.4
    second = np.where(rng.random(60) < 0.7, first, ~first)
    expected = theirs.cohen_kappa_score(first, second)
    assert kappa(first, second) == pytest.approx(expected)


def test_kappa_of_one_answer_throughout_is_not_a_number_and_not_told_as_one() -> None:
    assert kappa([True, True], [True, True]) is None
    assert kappa([], []) is None
    assert kappa([True, False], [False, True]) == pytest.approx(-1)
    with pytest.raises(ValueError, match="one per film"):
        kappa([True], [True, False])

"""Seeds have three values and say so."""

from __future__ import annotations

import numpy as np
import pytest
from skimage.filters import threshold_otsu

from napari_wsseg.ops import seeds
from napari_wsseg.schema import IGNORE


def test_heat_between_the_thresholds_is_ignored() -> None:
    heat = np.array([[0.0, 0.05, 0.29, 0.31, 1.0]], np.float32)
    found = seeds.combine(heat >= seeds.FOREGROUND, heat >= np.float32(0.05))
    assert found.dtype == np.uint8
    assert found.tolist() == [[0, IGNORE, IGNORE, 1, 1]]


def test_equal_thresholds_ignore_nothing() -> None:
    heat = np.random.default_rng(0).random((2, 8, 8))
    found = seeds.combine(heat >= 0.4, heat >= 0.4)
    assert set(np.unique(found)) == {0, 1}


def test_combine_follows_irnets_rule_even_where_the_passes_do_not_nest() -> None:
    confident = np.array([[True, True, False, False]])
    permissive = np.array([[True, False, True, False]])
    assert seeds.combine(confident, permissive).tolist() == [[1, 1, IGNORE, 0]]


def test_normalise_brings_each_map_to_one_and_leaves_an_empty_map_empty() -> None:
    heat = np.zeros((3, 4, 4), np.float32)
    heat[0, 1, 1] = 1e-9
    heat[1] = 5.0
    found = seeds.normalise(heat)
    assert found.max(axis=(1, 2)).tolist() == [1.0, 1.0, 0.0]
    assert np.isfinite(found).all()
    assert heat[1, 0, 0] == 5.0


@pytest.mark.parametrize("seed", range(3))
def test_otsu_is_that_of_scikit_image(seed: int) -> None:
    rng = np.random.default_rng(seed)
    heat = np.concatenate([rng.normal(0.2, 0.1, 500), rng.normal(0.7, 0.1, 80)])
    assert seeds.otsu(heat) == pytest.approx(threshold_otsu(heat), abs=1e-9)


def test_otsu_of_a_flat_map_marks_nothing() -> None:
    heat = np.full((4, 4), 0.3)
    assert not (heat > seeds.otsu(heat)).any()


def test_wrong_heat_is_refused_with_a_remedy() -> None:
    with pytest.raises(ValueError, match="NaN"):
        seeds.normalise(np.full((2, 2), np.nan))
    with pytest.raises(ValueError, match="NaN"):
        seeds.otsu(np.full((2, 2), np.nan))
    with pytest.raises(ValueError, match=r"\(h, w\)"):
        seeds.normalise(np.zeros(3))
    with pytest.raises(ValueError, match="same map"):
        seeds.combine(np.zeros((2, 2), bool), np.zeros((2, 3), bool))

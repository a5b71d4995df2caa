"""Oracle 9: the seeds that the stage "crf" makes, by the function that makes them."""

from __future__ import annotations

import numpy as np
import pytest

from helpers.crf_films import film
from napari_wsseg.ops import crf, seeds
from napari_wsseg.pipeline.inference import scorers
from napari_wsseg.schema import IGNORE


def test_seeds_are_certain_inside_and_outside_and_doubtful_between() -> None:
    size = 64
    y, x = np.mgrid[:size, :size] / size
    distance = np.hypot(y - 0.45, x - 0.55)
    heat = np.exp(-((distance / 0.2) ** 2))[None]
    sure, found = scorers.crf_seeds(heat.astype(np.float32), film(size))
    assert found.dtype == np.uint8
    assert set(np.unique(found)) <= {0, 1, IGNORE}
    assert found[0, 28, 35] == 1
    assert found[0, 2, 2] == 0
    assert ((found == 1) == (sure >= 0.5)).all()


def test_a_cut_from_which_everything_is_finding_ignores_nothing() -> None:
    heat = np.full((1, 24, 24), 0.5, np.float32)
    _, found = scorers.crf_seeds(heat, film(24), cuts=(0.4, 0.4))
    assert set(np.unique(found)) <= {0, 1}


@pytest.mark.parametrize("backend", ["grid", "exact"])
def test_seeds_are_two_passes_of_the_crf_and_irnets_rule(backend: crf.Backend) -> None:
    heat = np.random.default_rng(0).random((2, 24, 24)).astype(np.float32)
    _, found = scorers.crf_seeds(heat, film(24), backend=backend)
    for one, seed in zip(heat, found, strict=True):
        passes = []
        for cut in (seeds.FOREGROUND, seeds.BACKGROUND):
            start = np.where(one >= cut, 0.7, 0.3)
            both = crf.dense_crf(
                np.stack([1 - start, start]), film(24), backend=backend
            )
            passes.append(both[1] >= 0.5)
        assert (seed == seeds.combine(*passes)).mean() > 0.999

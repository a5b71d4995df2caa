"""From maps to masks: rules, and the two modes that are kept apart."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from napari_wsseg.pipeline import label_conditioned_masks, stage_masks
from napari_wsseg.schema import StageMaps, StageSettings

SHAPE = (20, 20)


def maps(*scores: np.ndarray, present: float = 0.9) -> StageMaps:
    return StageMaps(
        np.stack(scores).astype(np.float32),
        np.full(len(scores), present, np.float32),
    )


def settings(k: int = 1, threshold: float = 0.3, **how: Any) -> StageSettings:
    names = tuple(f"finding{n}" for n in range(k))
    return StageSettings(names, (threshold,) * k, (0.5,) * k, **how)


def ring() -> np.ndarray:
    """Return a ring of 0.5 round a cold middle, and a speck of 0.9 away from it."""
    score = np.zeros(SHAPE, np.float32)
    score[2:9, 2:9] = 0.5
    score[4:7, 4:7] = 0.1
    score[15:17, 15:17] = 0.9
    return score


def test_nothing_but_the_threshold_cuts_unless_it_is_asked_for() -> None:
    mask = stage_masks(maps(ring()), settings(), SHAPE)[0]
    assert (mask == (ring() >= 0.3)).all()


def test_holes_are_filled_when_asked_for() -> None:
    mask = stage_masks(maps(ring()), settings(fill_holes=True), SHAPE)[0]
    assert mask[2:9, 2:9].all()
    assert mask.sum() == 49 + 4


def test_a_small_region_goes_by_its_share_of_the_film_whatever_the_films_size() -> None:
    # Between pixels a map is interpolated, so its regions grow a little.
    how = settings(min_area=9 / 400)
    for side in (20, 40, 200):
        mask = stage_masks(maps(ring()), how, (side, side))[0]
        assert mask.any()
        assert not mask[side // 2 :, side // 2 :].any()
    kept = stage_masks(maps(ring()), replace(how, min_area=4 / 400), SHAPE)[0]
    assert kept[15:17, 15:17].all()


def test_padding_of_an_oblong_film_does_not_count_as_film() -> None:
    score = np.zeros((20, 20), np.float32)
    score[8:10, 4:8] = 0.9  # 8 pixels; the film fills rows 5 to 15, 200 pixels
    shape = (10, 20)
    assert stage_masks(maps(score), settings(min_area=8 / 200), shape).any()
    assert not stage_masks(maps(score), settings(min_area=9 / 200), shape).any()


def test_holes_are_filled_before_small_regions_go() -> None:
    how = settings(min_area=45 / 400, fill_holes=True)
    assert stage_masks(maps(ring()), how, SHAPE)[0].sum() == 49


def test_the_triplet_wants_a_sure_core_before_it_takes_the_rest() -> None:
    how = settings(rule="triplet", top=0.75, min_area=4 / 400)
    assert stage_masks(maps(ring()), how, SHAPE)[0].sum() == 40 + 4
    more = replace(how, min_area=5 / 400)
    assert not stage_masks(maps(ring()), more, SHAPE).any()


def test_a_threshold_moved_above_the_triplets_top_moves_the_top_along() -> None:
    how = settings(threshold=0.8, rule="triplet", top=0.75, min_area=4 / 400)
    assert stage_masks(maps(ring()), how, SHAPE)[0].sum() == 4


def test_otsu_finds_each_maps_own_threshold() -> None:
    rng = np.random.default_rng(0)
    faint = rng.normal(0.05, 0.01, SHAPE).clip(0, 1).astype(np.float32)
    faint[:5] += 0.1
    strong = faint * 5
    found = stage_masks(maps(faint, strong), settings(2, rule="otsu"), SHAPE)
    assert found[0][:5].all()
    # Between two clusters every cut is as good; the lowest is taken.
    assert 100 <= found[0].sum() <= 102
    assert (found[1] == found[0]).all()


def test_otsu_of_a_map_without_heat_is_empty() -> None:
    nothing = np.zeros(SHAPE, np.float32)
    assert not stage_masks(maps(nothing), settings(rule="otsu"), SHAPE).any()


@pytest.mark.parametrize("rule", ["threshold", "triplet", "otsu"])
def test_a_film_under_the_gate_stays_empty_in_predicted_mode(rule: Any) -> None:
    how = settings(rule=rule)
    assert stage_masks(maps(ring(), present=0.5), how, SHAPE).any()
    assert not stage_masks(maps(ring(), present=0.49), how, SHAPE).any()


@pytest.mark.parametrize("rule", ["threshold", "triplet", "otsu"])
def test_labels_open_and_shut_the_gate_in_label_conditioned_mode(rule: Any) -> None:
    how = settings(4, rule=rule)
    for present, unknown in ((0.1, False), (0.9, True)):
        both = maps(*[ring()] * 4, present=present)
        found = label_conditioned_masks(both, how, SHAPE, [1, 0, None, -1])
        assert [bool(mask.any()) for mask in found] == [True, False, unknown, unknown]
        alone = stage_masks(maps(ring()), settings(rule=rule), SHAPE)[0]
        assert (found[0] == alone).all()


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"rule": "guess"}, "no rule 'guess'; there are: threshold, triplet, otsu"),
        ({"min_area": 2000}, "min_area is 2000; it goes from 0 to 1"),
        ({"top": float("nan")}, "top is nan"),
    ],
)
def test_settings_that_make_no_sense_are_refused(how: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        settings(**how)

"""Intervals: seeded, by film, paired, and as wide as theory and scipy say."""

from __future__ import annotations

from types import ModuleType

import numpy as np
import pytest

from napari_wsseg.ops import bootstrap
from napari_wsseg.ops.tally import METRICS, Overlap, Tally


def tally(ious: list[float], *, empty: int = 0) -> Tally:
    """One finding; films whose IoU is as given, then empty films left empty."""
    rows = [{"spot": Overlap(round(100 * v), round(100 * v), 100, 1000)} for v in ious]
    rows += [{"spot": Overlap(0, 0, 0, 1000)}] * empty
    return Tally.from_rows(rows)


@pytest.fixture
def spread() -> list[float]:
    return list(np.random.default_rng(3).integers(10, 90, 40) / 100)


def n_resamples(counts: Tally, **more: int) -> bootstrap.Resamples:
    return bootstrap.resample({"a": counts}, **more)["a"]


def test_the_interval_of_a_mean_is_scipys(spread: list[float]) -> None:
    from scipy import stats

    low, high = n_resamples(tally(spread), n_resamples=4000).intervals()["pos_iou"]
    expected = stats.bootstrap(
        (spread,), np.mean, n_resamples=4000, method="percentile", rng=1
    ).confidence_interval
    assert low == pytest.approx(expected.low, abs=0.01)
    assert high == pytest.approx(expected.high, abs=0.01)


def test_the_same_seed_draws_the_same_films_whatever_memory_allows(
    spread: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    at_once = n_resamples(tally(spread), n_resamples=50).per_finding["pos_iou"]
    other = n_resamples(tally(spread), n_resamples=50, seed=1).per_finding["pos_iou"]
    monkeypatch.setattr(bootstrap, "_AT_ONCE", 41)
    in_parts = n_resamples(tally(spread), n_resamples=50).per_finding["pos_iou"]
    np.testing.assert_allclose(in_parts, at_once, rtol=0, atol=1e-12)
    assert np.abs(at_once - other).max() > 0.01


def test_a_paired_difference_leaves_out_that_films_differ(
    spread: list[float],
) -> None:
    """A stage that gains 0.05 on every film does so in every draw."""
    both = {"a": tally(spread), "b": tally([v + 0.05 for v in spread])}
    drawn = bootstrap.resample(both, n_resamples=500)
    low, high = bootstrap.difference(drawn["b"], drawn["a"], "pos_iou") or (0, 0)
    assert low == pytest.approx(0.05, abs=1e-9)
    assert high == pytest.approx(0.05, abs=1e-9)
    alone = drawn["a"].intervals()["pos_iou"]
    assert alone[1] - alone[0] > 0.05


def test_rows_of_one_film_stay_together() -> None:
    """Ten copies of two films say no more than the two films do."""
    rows = [{"spot": Overlap(v, v, 100, 1000)} for v in (20, 80)]
    copied = Tally.from_rows(rows * 10, film=[0, 1] * 10)
    np.testing.assert_allclose(
        n_resamples(copied, n_resamples=200).per_finding["pos_iou"],
        n_resamples(Tally.from_rows(rows), n_resamples=200).per_finding["pos_iou"],
    )


def test_a_figure_that_rests_on_one_film_has_no_interval() -> None:
    found = n_resamples(tally([0.4], empty=20), n_resamples=200).intervals()
    assert found["pos_iou"] is None
    assert found["per_finding"]["spot"]["pos_iou"] is None
    assert found["emptiness"] == [1.0, 1.0]


def test_no_draws_and_no_films_give_no_intervals(spread: list[float]) -> None:
    for nothing in (
        n_resamples(tally(spread), n_resamples=0),
        n_resamples(Tally.from_rows([]), n_resamples=10),
    ):
        assert all(nothing.intervals()[metric] is None for metric in METRICS)


def test_tallies_of_other_films_are_not_compared() -> None:
    with pytest.raises(ValueError, match="give those of the same"):
        bootstrap.resample({"a": tally([0.1]), "b": tally([0.1, 0.2])})


@pytest.mark.parametrize("levels", [5, 10_000])
def test_weighted_aurocs_are_sklearns(theirs: ModuleType, levels: int) -> None:
    rng = np.random.default_rng(levels)
    scores = rng.integers(0, levels, 60) / levels
    labels = rng.random(60) < 0.3 + 0.4 * scores
    weights = rng.multinomial(60, np.full(60, 1 / 60), size=8).astype(float)
    expected = [
        theirs.roc_auc_score(labels, scores, sample_weight=row) for row in weights
    ]
    found = bootstrap.aurocs(scores, labels, weights)
    np.testing.assert_allclose(found, expected, atol=1e-12)


def test_a_draw_of_one_class_alone_has_no_auroc() -> None:
    weights = np.array([[2.0, 0.0], [1.0, 1.0]])
    found = bootstrap.aurocs(np.array([0.2, 0.7]), np.array([False, True]), weights)
    assert np.isnan(found[0])
    assert found[1] == 1.0


def test_nine_of_ten_intervals_hold_the_truth() -> None:
    """Of 200 samples of 40 films, 95 % intervals cover the mean about as often."""
    rng = np.random.default_rng(5)
    held = 0
    for seed in range(200):
        sample = [*(rng.integers(0, 101, 40) / 100)]
        low, high = n_resamples(tally(sample), n_resamples=400, seed=seed).intervals()[
            "pos_iou"
        ]
        held += low <= 0.5 <= high
    assert 0.88 <= held / 200 <= 0.99

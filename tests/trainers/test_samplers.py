"""CheXseg's sampling ratio, exactly."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from trainers.data.samplers import (
    RatioSampler,
    ShareCounter,
    ShuffledSampler,
    TenthsSampler,
    balanced,
    deal,
)


@pytest.mark.parametrize("share", [0.0, 0.2, 0.3, 0.6, 0.7, 0.85, 0.9, 1.0, 1 / 3])
@pytest.mark.parametrize("batch", [1, 7, 16, 64])
def test_the_share_over_many_batches_is_p_to_half_a_film(
    share: float, batch: int
) -> None:
    sampler = RatioSampler(range(5), range(5, 40), share, batch, seed=3)
    steps = 500
    drawn = [row for step in range(steps) for row in sampler(step)]
    assert len(drawn) == steps * batch
    expert = sum(row < 5 for row in drawn)
    assert abs(expert - share * steps * batch) <= 0.5 + 1e-9


@pytest.mark.parametrize("share", [0.3, 0.6, 0.85])
def test_no_batch_is_further_than_one_film_from_p(share: float) -> None:
    sampler = RatioSampler(range(9), range(9, 99), share, 8, seed=0)
    counts = [sum(row < 9 for row in sampler(step)) for step in range(200)]
    assert max(counts) - min(counts) <= 1
    assert min(counts) <= share * 8 <= max(counts)


def test_the_published_sampler_would_fail_this() -> None:
    """randint(1, 10) * 0.1 <= p makes p = 0.6 one half; ours does not."""
    rng = np.random.default_rng(0)
    published = np.mean([rng.integers(1, 11) * 0.1 <= 0.6 for _ in range(20_000)])
    sampler = RatioSampler([0], [1], 0.6, 10, seed=0)
    ours = np.mean([row == 0 for step in range(2_000) for row in sampler(step)])
    assert published == pytest.approx(0.5, abs=0.02)
    assert ours == pytest.approx(0.6, abs=1e-9)


N_DRAWS = 100_000


def likelihood(drawn: list[int], expected: list[float]) -> float:
    """Return the p-value of counts against what was expected of them (χ²)."""
    from scipy import stats

    counted = Counter(drawn)
    keys = [key for key, count in enumerate(expected) if count > 0]
    assert set(drawn) <= set(keys)
    if len(keys) == 1:
        return 1.0
    return float(
        stats.chisquare(
            [counted[key] for key in keys], [expected[k] for k in keys]
        ).pvalue
    )


@pytest.mark.parametrize("share", [0.0, 0.2, 0.4, 0.6, 0.8, 1.0])
@pytest.mark.parametrize("n_expert", [16, 37])
def test_a_hundred_thousand_draws_take_every_film_as_often_as_p_says(
    share: float, n_expert: int
) -> None:
    n = 100
    sampler = RatioSampler(range(n_expert), range(n_expert, n), share, 8, seed=2)
    drawn = [row for step in range(N_DRAWS // 8) for row in sampler(step)]
    expected = [N_DRAWS * share / n_expert] * n_expert
    expected += [N_DRAWS * (1 - share) / (n - n_expert)] * (n - n_expert)
    assert likelihood(drawn, expected) > 1e-3
    assert sum(row < n_expert for row in drawn) == round(N_DRAWS * share)


@pytest.mark.parametrize(
    ("share", "really"),
    [(0.0, 0.0), (0.2, 0.2), (0.4, 0.4), (0.6, 0.5), (0.8, 0.8), (1.0, 1.0)],
)
def test_a_hundred_thousand_published_draws_are_what_the_published_code_would_draw(
    share: float, really: float
) -> None:
    sampler = TenthsSampler(range(40), range(40, 100), share, 500, seed=4)
    drawn = [row for step in range(N_DRAWS // 500) for row in sampler(step)]
    pools = [int(row >= 40) for row in drawn]
    expected = [N_DRAWS * really, N_DRAWS * (1 - really)]
    assert likelihood(pools, expected) > 1e-3


def test_the_share_that_was_drawn_is_told_also_behind_a_resume() -> None:
    for mix in (RatioSampler, TenthsSampler):
        sampler = mix(range(5), range(5, 30), 0.3, 8, seed=1)
        drawn = [row for step in range(60) for row in sampler(step)]
        really = sum(row < 5 for row in drawn) / len(drawn)
        tally = ShareCounter(sampler, frozenset(range(5)))
        assert [tally.share(n) for n in range(1, 61)][-1] == really
        assert ShareCounter(sampler, frozenset(range(5))).share(60) == really
        assert ShareCounter(sampler, frozenset()).share(60) == 0


def test_a_rare_finding_is_drawn_as_often_as_a_common_one() -> None:
    groups = [[0], list(range(1, 8)), [], list(range(8, 28))]
    drawn = deal(balanced(groups), 0, 60, seed=0)
    assert [sum(row in group for row in drawn) for group in groups] == [20, 20, 0, 20]
    assert set(drawn) == set(range(28))
    assert balanced([[], []]) == []


@pytest.mark.parametrize(
    ("share", "really"),
    [(0.2, 0.2), (0.3, 0.2), (0.5, 0.5), (0.6, 0.5), (0.7, 0.6), (0.85, 0.8), (1, 1)],
)
def test_the_published_sampler_takes_the_tenth_below(
    share: float, really: float
) -> None:
    sampler = TenthsSampler(range(40), range(40, 100), share, 50, seed=1)
    drawn = [row for step in range(2_000) for row in sampler(step)]
    assert np.mean([row < 40 for row in drawn]) == pytest.approx(really, abs=0.006)


def test_the_published_sampler_resumes_and_fills_up_like_the_other() -> None:
    uninterrupted = TenthsSampler(range(3), range(3, 9), 0.5, 4, 1)
    assert [uninterrupted(n) for n in range(9)][4:] == [
        uninterrupted(n) for n in range(4, 9)
    ]
    assert set(TenthsSampler([1, 2], [], 0.1, 4, 0)(3)) <= {1, 2}
    assert set(TenthsSampler([], [4, 5], 0.8, 4, 0)(3)) <= {4, 5}
    with pytest.raises(ValueError, match="goes from 0 to 1"):
        TenthsSampler([1], [2], 1.2, 4, 0)


def test_every_film_comes_once_before_any_comes_twice() -> None:
    drawn = deal(list(range(7)), 0, 21, seed=5)
    assert Counter(drawn) == dict.fromkeys(range(7), 3)
    assert sorted(drawn[:7]) == list(range(7))
    assert drawn[:7] != drawn[7:14]


def test_a_resumed_run_draws_what_the_uninterrupted_one_would_have() -> None:
    uninterrupted = [
        RatioSampler(range(3), range(3, 9), 0.45, 4, 1)(n) for n in range(30)
    ]
    later = RatioSampler(range(3), range(3, 9), 0.45, 4, 1)
    assert [later(n) for n in range(17, 30)] == uninterrupted[17:]


def test_an_empty_pool_leaves_the_other_to_fill_every_batch() -> None:
    assert RatioSampler([], [4, 5], 0.8, 4, 0).effective_share == 0
    assert set(RatioSampler([], [4, 5], 0.8, 4, 0)(3)) == {4, 5}
    assert set(RatioSampler([1, 2], [], 0.1, 4, 0)(3)) == {1, 2}


def test_a_share_outside_0_to_1_is_refused() -> None:
    with pytest.raises(ValueError, match="goes from 0 to 1"):
        RatioSampler([1], [2], 1.2, 4, 0)


def test_different_seeds_draw_differently() -> None:
    first = [ShuffledSampler(range(50), 8, 0)(n) for n in range(5)]
    second = [ShuffledSampler(range(50), 8, 1)(n) for n in range(5)]
    assert first != second

"""What tells that a finding is there: the classifier, and what else parts films."""

from __future__ import annotations

import numpy as np
import pytest

from napari_wsseg.pipeline.inference.evidence import GATE, joined
from trainers.tasks.presence import best_rule, by_measure

TRUTH = np.repeat([0, 1], 12)


def evidence(rng: np.random.Generator, **strengths: float) -> dict[str, np.ndarray]:
    return {
        kind: strength * TRUTH + rng.normal(size=len(TRUTH))
        for kind, strength in strengths.items()
    }


def test_evidence_that_parts_films_better_joins_the_classifier() -> None:
    values = evidence(np.random.default_rng(0), classifier=1.0, chest=4.0)
    rule = best_rule(values, TRUTH)
    assert rule is not None
    assert "chest" in rule["weights"]
    present = [
        joined({kind: each[[n]] for kind, each in values.items()}, {"f": rule}, ["f"])
        for n in range(len(TRUTH))
    ]
    right = (np.concatenate(present) >= GATE) == TRUTH
    assert right.mean() > 0.9


def test_noise_leaves_the_classifier_alone() -> None:
    values = evidence(np.random.default_rng(1), classifier=5.0, chest=0.0)
    assert best_rule(values, TRUTH) is None


def test_a_handful_of_films_decides_nothing() -> None:
    rng = np.random.default_rng(2)
    values = {"classifier": rng.normal(size=6), "chest": np.arange(6.0)}
    assert best_rule(values, np.array([0, 0, 0, 1, 1, 1])) is None


def test_a_film_without_the_measure_is_judged_by_the_rest() -> None:
    rule = {
        "weights": {"classifier": 1.0, "chest": 1.0},
        "centre": {"classifier": 0.0, "chest": 0.5},
        "scale": {"classifier": 1.0, "chest": 0.1},
        "cut": 0.0,
    }
    found = {"classifier": np.array([2.0]), "chest": np.array([np.nan])}
    [present] = joined(found, {"f": rule}, ["f"])
    assert present == pytest.approx(1 / (1 + np.exp(-2.0)), abs=1e-6)
    [plain] = joined(found, {}, ["f"])
    assert plain == present


def test_a_measure_that_tells_the_labels_decides_alone() -> None:
    rng = np.random.default_rng(3)
    ratio = 0.45 + 0.1 * TRUTH + rng.normal(0, 0.01, len(TRUTH))
    ratio[0] = np.nan
    rule = by_measure(ratio, TRUTH)
    assert rule is not None
    assert set(rule["weights"]) == {"breadth"}
    found = {"classifier": np.array([-3.0]), "breadth": np.array([0.56])}
    assert joined(found, {"f": rule}, ["f"])[0] > GATE
    assert by_measure(rng.normal(size=len(TRUTH)), TRUTH) is None

"""Oracle 21: other people's metrics, hand-made figures, and the blank baseline."""

from __future__ import annotations

from statistics import NormalDist
from types import ModuleType

import numpy as np
import pytest

from napari_wsseg.ops import metrics


def stack(*rows: str) -> np.ndarray:
    """Masks from rows of 0 and 1, each a (1, n) image."""
    return np.array([[[c == "1" for c in row]] for row in rows])


@pytest.fixture
def masks() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    truths = rng.random((12, 3, 16, 16)) > 0.7
    preds = truths ^ (rng.random(truths.shape) > 0.8)
    truths[[0, 4, 7], 0] = False
    truths[[1, 4], 1] = False
    preds[[0, 1, 5]] = False
    return preds, truths


def test_both_empty_is_a_perfect_match_and_half_empty_is_none() -> None:
    empty, full = np.zeros((4, 4), bool), np.ones((4, 4), bool)
    assert metrics.iou(empty, empty) == metrics.dice(empty, empty) == 1.0
    assert metrics.iou(empty, full) == metrics.dice(full, empty) == 0.0


def test_iou_and_dice_are_sklearns(
    theirs: ModuleType, masks: tuple[np.ndarray, np.ndarray]
) -> None:
    pred, truth = masks[0][2, 0], masks[1][2, 0]
    expected = theirs.jaccard_score(truth.ravel(), pred.ravel())
    assert metrics.iou(pred, truth) == pytest.approx(expected, abs=1e-9)
    expected = theirs.f1_score(truth.ravel(), pred.ravel())
    assert metrics.dice(pred, truth) == pytest.approx(expected, abs=1e-9)


def test_pooled_miou_is_torchmetrics_jaccard(
    masks: tuple[np.ndarray, np.ndarray],
) -> None:
    torch = pytest.importorskip("torch")
    classification = pytest.importorskip("torchmetrics.classification")
    jaccard = classification.MultilabelJaccardIndex(3, average="macro")
    preds, truths = (torch.from_numpy(m.astype(np.int64)) for m in masks)
    expected = float(jaccard.double()(preds, truths))
    found = metrics.evaluate(list(masks[0]), list(masks[1]))["pooled_miou"]
    assert found == pytest.approx(expected, abs=1e-7)


def test_three_conventions_give_three_known_numbers() -> None:
    truths = [stack("1100"), stack("1111"), stack("0000"), stack("0000")]
    preds = [stack("0110"), stack("1100"), stack("0000"), stack("1000")]
    found = metrics.evaluate(preds, truths, findings=["nodule"])
    assert found["pos_iou"] == pytest.approx((1 / 3 + 1 / 2) / 2, abs=1e-9)
    assert found["all_iou"] == pytest.approx((1 / 3 + 1 / 2 + 1 + 0) / 4, abs=1e-9)
    assert found["pooled_miou"] == pytest.approx(3 / 8, abs=1e-9)
    assert found["dice"] == pytest.approx((1 / 2 + 2 / 3 + 1 + 0) / 4, abs=1e-9)
    assert found["emptiness"] == 0.5
    assert found["per_finding"]["nodule"]["n_positive"] == 2
    assert metrics.blank_all_iou(truths) == 0.5


def test_blank_prediction_scores_exactly_the_blank_baseline(
    masks: tuple[np.ndarray, np.ndarray],
) -> None:
    truths = list(masks[1])
    blank = metrics.evaluate([np.zeros_like(t) for t in truths], truths)
    assert blank["all_iou"] == metrics.blank_all_iou(truths) == pytest.approx(5 / 36)
    assert blank["pos_iou"] == 0.0
    assert blank["emptiness"] == 1.0


def test_findings_count_equally_whatever_their_number_of_images() -> None:
    one, none = np.ones((2, 2), bool), np.zeros((2, 2), bool)
    truths = [{"a": one}, {"a": one}, {"a": one, "b": one}]
    preds = [{"a": one, "b": one}, {"a": one, "b": one}, {"a": one, "b": none}]
    found = metrics.evaluate(preds, truths)
    assert found["per_finding"]["a"]["n"] == 3
    assert found["per_finding"]["b"]["n"] == 1
    assert found["pos_iou"] == 0.5


def test_undefined_figures_are_null_and_left_out_of_the_average() -> None:
    one, none = np.ones((2, 2), bool), np.zeros((2, 2), bool)
    truths = [{"a": one, "b": none}]
    found = metrics.evaluate([{"a": one, "b": none}], truths)
    assert found["per_finding"]["a"]["emptiness"] is None
    assert found["per_finding"]["b"]["pos_iou"] is None
    assert found["per_finding"]["b"]["pooled_miou"] is None
    assert found["pos_iou"] == found["emptiness"] == 1.0
    assert metrics.evaluate([], [])["pos_iou"] is None
    assert metrics.blank_all_iou([]) is None


def test_images_may_come_by_case_id_in_any_order() -> None:
    one, none = np.ones((2, 2), bool), np.zeros((2, 2), bool)
    truths = {"x": {"a": one}, "y": {"a": none}}
    preds = {"y": {"a": none}, "x": {"a": one}, "z": {"a": one}}
    assert metrics.evaluate(preds, truths)["all_iou"] == 1.0
    with pytest.raises(ValueError, match="no prediction for"):
        metrics.evaluate({"x": {"a": one}}, truths)


def test_mismatches_are_refused_with_a_remedy() -> None:
    one = np.ones((2, 2), bool)
    with pytest.raises(ValueError, match="bring both to the film's shape"):
        metrics.iou(one, np.ones((2, 3), bool))
    with pytest.raises(ValueError, match="predict it"):
        metrics.evaluate([{}], [{"a": one}])
    with pytest.raises(ValueError, match="one mask per finding"):
        metrics.evaluate([one], [one], findings=["a", "b"])
    with pytest.raises(ValueError, match="zip"):
        metrics.evaluate([one], [one, one])
    with pytest.raises(ValueError, match="both by case id"):
        metrics.evaluate({"x": one}, [one])


@pytest.mark.parametrize("levels", [3, 1000])
def test_auroc_is_sklearns_with_and_without_ties(
    theirs: ModuleType, levels: int
) -> None:
    rng = np.random.default_rng(levels)
    scores = rng.integers(0, levels, 200) / levels
    labels = rng.random(200) < 0.2 + 0.5 * scores
    expected = theirs.roc_auc_score(labels, scores)
    assert metrics.auroc(scores, labels) == pytest.approx(expected, abs=1e-12)


def test_an_interval_of_auroc_covers_what_is_so_and_stays_open_at_one() -> None:
    rng, hits = np.random.default_rng(0), 0
    truth = NormalDist().cdf(
        3 / np.sqrt(2)
    )  # 0.983: half of such draws tell all films apart
    labels = np.repeat([1, 0], [12, 14])
    for _ in range(400):
        area = metrics.auroc(rng.normal(3 * labels), labels)
        assert area is not None
        low, high = metrics.auroc_interval(area, 12, 14)
        hits += low <= truth <= high
    assert 0.92 <= hits / 400 <= 0.99
    assert metrics.auroc_interval(1.0, 11, 14) == pytest.approx((0.836, 1.0), abs=1e-3)
    low, high = metrics.auroc_interval(0.5, 10, 10)
    assert low + high == pytest.approx(1)
    with pytest.raises(ValueError, match="with and without"):
        metrics.auroc_interval(1.0, 5, 0)


def test_one_class_alone_has_no_auroc_and_no_threshold() -> None:
    assert metrics.auroc([0.1, 0.2], [1, 1]) is None
    assert metrics.best_threshold([0.1, 0.2], [0, 0]) is None
    assert metrics.f1([0, 0], [0, 0]) is None


@pytest.mark.parametrize("criterion", ["f1", "youden", "accuracy"])
@pytest.mark.parametrize("levels", [4, 10_000])
def test_best_threshold_beats_every_other(
    theirs: ModuleType, criterion: str, levels: int
) -> None:
    rng = np.random.default_rng(1)
    scores = rng.integers(0, levels, 150) / levels
    labels = rng.random(150) < scores

    def merit(threshold: float) -> float:
        called = scores >= threshold
        if criterion == "f1":
            return float(theirs.f1_score(labels, called, zero_division=0))
        score = {
            "youden": theirs.balanced_accuracy_score,
            "accuracy": theirs.accuracy_score,
        }[criterion]
        return float(score(labels, called))

    best = metrics.best_threshold(scores, labels, criterion=criterion)
    others = [merit(t) for t in np.unique(scores)]
    assert merit(best) == pytest.approx(max(others), abs=1e-12)


def test_f1_is_sklearns(theirs: ModuleType) -> None:
    rng = np.random.default_rng(2)
    pred, labels = rng.random(50) > 0.5, rng.random(50) > 0.6
    expected = theirs.f1_score(labels, pred)
    assert metrics.f1(pred, labels) == pytest.approx(expected, abs=1e-12)


def test_unknown_labels_and_nan_scores_are_refused() -> None:
    with pytest.raises(ValueError, match="only 0 and 1"):
        metrics.auroc([0.1, 0.2], [0, -1])
    with pytest.raises(ValueError, match="NaN"):
        metrics.auroc([0.1, np.nan], [0, 1])
    with pytest.raises(ValueError, match="one number and one label"):
        metrics.auroc([0.1], [0, 1])

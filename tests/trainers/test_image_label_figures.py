"""What a classifier is judged by is told with its bounds and its films."""

from __future__ import annotations

import pytest
import torch

from trainers.tasks import image_labels


def test_auroc_comes_with_its_bounds_and_how_many_films_it_rests_on() -> None:
    scores = torch.tensor([[0.9, 0.1], [0.8, 0.9], [0.2, 0.3], [0.1, 0.2], [0.5, 0.5]])
    targets = torch.tensor([[1.0, 0], [1, 1], [0, 0], [0, 1], [-1, -1]])
    found = image_labels.auroc_metrics(scores, targets)
    assert found["val_auroc"] == pytest.approx((1 + 0.75) / 2)
    assert found["val_auroc_low"] < found["val_auroc"] < found["val_auroc_high"]
    assert found["val_auroc_films"] == 4, "what is unknown of every finding rests aside"
    assert image_labels.auroc_metrics(scores, torch.zeros_like(targets)) == {}

"""What recipes that learn from image-level labels have in common."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from napari_wsseg.jobs import DataError
from napari_wsseg.nn import losses
from napari_wsseg.ops import metrics
from trainers.data import batches as _batches
from trainers.data.samplers import RatioSampler, ShuffledSampler


def not_learnt(labels: _batches.Labels, train: Sequence[int]) -> dict[str, str]:
    """Return the findings that these films cannot teach, and why.

    Raises
    ------
    DataError
        If they cannot teach any.
    """
    if not train:
        raise DataError(
            "no training film has an image-level label; "
            "give labels.csv to wsseg init, or set labels in the worklist"
        )
    known = labels.targets[list(train)]
    why = {}
    for k, finding in enumerate(labels.findings):
        if not (known[:, k] == 1).any():
            why[finding] = "no training film is labelled as showing it"
        elif not (known[:, k] == 0).any():
            why[finding] = "no training film is labelled as free of it"
    if len(why) == len(labels.findings):
        raise DataError(
            "no finding is present on some training films and absent on others "
            f"({', '.join(why)}); learning from labels needs both"
        )
    return why


def sampler(
    labels: _batches.Labels,
    train: Sequence[int],
    *,
    share: float,
    batch: int,
    seed: int,
) -> RatioSampler | ShuffledSampler:
    """Return what picks the films of each batch.

    Parameters
    ----------
    labels
        Of all films.
    train
        Numbers of the films to draw from.
    share
        Share in [0, 1] of films with any finding in every batch; 0: as they come. Where
        all films have one, or none has, they come as they are.
    batch
        Films per batch.
    seed
        What the draws depend on.
    """
    present = (labels.targets == 1).any(1)
    positive = [row for row in train if present[row]]
    negative = [row for row in train if not present[row]]
    if share == 0 or not positive or not negative:
        return ShuffledSampler(train, batch, seed)
    return RatioSampler(positive, negative, share, batch, seed)


def auroc_metrics(scores: Tensor, targets: Tensor) -> dict[str, float]:
    """Return AUROC on held-out films with its bounds and how many films it rests on.

    The mean over the findings that have one; empty if none has. The bounds of a mean
    are the mean of the findings' bounds, so rather too wide: findings err together
    then, as if they were one.

    Parameters
    ----------
    scores, targets
        (N, K); higher means more likely present.
    """
    areas, bounds, films = [], [], torch.zeros(len(targets), dtype=torch.bool)
    for k in range(targets.shape[1]):
        known = losses.known(targets[:, k])
        truth = targets[known, k].numpy()
        area = metrics.auroc(scores[known, k].numpy(), truth)
        if area is not None:
            present = int(truth.sum())
            areas.append(area)
            bounds.append(metrics.auroc_interval(area, present, truth.size - present))
            films |= known
    if not areas:
        return {}
    low, high = np.mean(bounds, axis=0)
    return {
        "val_auroc": float(np.mean(areas)),
        "val_auroc_low": float(low),
        "val_auroc_high": float(high),
        "val_auroc_films": float(films.sum()),
    }

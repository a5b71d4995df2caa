"""Maps read at an earlier level, where they are finer."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Self

import torch
from torch import nn

from napari_wsseg.nn.classifier import Classifier


class AtLevel:
    """A classifier cut behind one of its levels instead of behind the last.

    To a CAM method it is a classifier whose last map is that level's and whose head is
    all that follows. At the last level methods keep their closed forms; before it they
    go by gradient, and LayerCAM (Jiang 2021) is the one made for it.

    Parameters
    ----------
    level
        1 to 5, coarsest last.
    """

    def __init__(self, classifier: Classifier, level: int) -> None:
        if not 1 <= level <= 5:
            raise ValueError(f"level is {level}; a classifier has levels 1 to 5")
        self.classifier = classifier
        self.level = level
        if level == 5:
            self.linear = classifier.linear

    def features(self, x: torch.Tensor, /) -> torch.Tensor:
        """Return the level's map (B, C, h, w) of images."""
        return self.classifier.stages(x)[self.level - 1]

    def head(self, features: torch.Tensor, /) -> torch.Tensor:
        """Return logits (B, K) of the level's map."""
        return self.classifier.head(self.classifier.onward(features, self.level))

    def modules(self) -> Iterator[nn.Module]:
        """Yield the classifier and every module in it."""
        return self.classifier.modules()

    def eval(self) -> Self:
        """Put the classifier in eval mode."""
        self.classifier.eval()
        return self

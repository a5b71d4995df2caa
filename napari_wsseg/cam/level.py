"""Maps read at an earlier level, where they are finer."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Self

import torch
from torch import nn

from napari_wsseg.nn import backbones as _backbones
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
        self._cut = _backbones.backbone_spec(classifier.spec["arch"])
        if level == 5:
            self.linear = classifier.linear

    def features(self, x: torch.Tensor, /) -> torch.Tensor:
        """Return the level's map (B, C, h, w), after a ReLU, of images.

        A dense block ends without one: its map is what the convolution behind it
        sees, after the transition's norm and ReLU.
        """
        if self.level == 5:
            return self.classifier.features(x)
        for earlier in range(self.level):
            x = _backbones.run(self.classifier.backbone, self._cut, earlier, x)
        return self._rectified(x, self.level)

    def head(self, features: torch.Tensor, /) -> torch.Tensor:
        """Return logits (B, K) of the level's map."""
        return self.classifier.head([features, *self.onward(features)][-1])

    def onward(self, features: torch.Tensor) -> Iterator[torch.Tensor]:
        """Yield the maps of the levels behind this one, as they see them."""
        for level in range(self.level, 5):
            features = self._next(features, level)
            yield features

    def modules(self) -> Iterator[nn.Module]:
        """Yield the classifier and every module in it."""
        return self.classifier.modules()

    def eval(self) -> Self:
        """Put the classifier in eval mode."""
        self.classifier.eval()
        return self

    def _next(self, features: torch.Tensor, level: int) -> torch.Tensor:
        """Return the map of ``level + 1`` from that of `level`.

        DropBlock, which sits between levels, is left out: it does nothing in eval
        mode, the only one that maps are made in.
        """
        classifier, cut, x = self.classifier, self._cut, features
        transition = self._transition(level)
        if transition is not None:
            x = transition.pool(transition.conv(x))
            shorter = list(cut.levels)
            shorter[level] = cut.levels[level][1:]
            cut = replace(cut, levels=tuple(shorter))
        x = _backbones.run(classifier.backbone, cut, level, x)
        if level == 4:
            return torch.as_tensor(classifier.extra(x))
        return self._rectified(x, level + 1)

    def _rectified(self, x: torch.Tensor, level: int) -> torch.Tensor:
        transition = self._transition(level)
        return x if transition is None else transition.relu(transition.norm(x))

    def _transition(self, level: int) -> Any:
        """Return what stands between a DenseNet's blocks, if `level` is one of them."""
        name = self._cut.levels[level][0] if level < 5 else ""
        if not name.startswith("features.transition"):
            return None
        return self.classifier.backbone.get_submodule(name)

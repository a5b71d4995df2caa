"""Image-level classifier: which findings a radiograph shows."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import torch
from torch import nn

from napari_wsseg.nn import backbones as _backbones
from napari_wsseg.nn import pretrained
from napari_wsseg.nn.dropblock import DropBlock

EXTRA_CHANNELS = 512


class Classifier(nn.Module):
    """A trunk of torchvision or timm, a mean over the map, one linear layer.

    Parameters
    ----------
    arch
        A name in `napari_wsseg.nn.backbones.BACKBONES`: ``"resnet18"``, ``"resnet34"``,
        ``"resnet50"``, ``"vgg16"`` (with batch norm), ``"densenet121"`` or
        ``"efficientnet_lite0"``.
    n_findings
        K, the number of logits.
    in_channels
        1 (grey) or 3.
    output_stride
        Input pixels per pixel of the last map: 32, 16 or 8, by dilation.
    dropblock
        Probability of DropBlock, 0 for none.
    block
        Side of DropBlock's squares, in feature pixels, odd.
    dropblock_compat
        Published WSMIS code's DropBlock instead of the paper's.
    dropblock_levels
        Levels, 1 to 5, behind which it sits; the published code has it behind the
        last two of a ResNet. 0 is behind the first filter's ReLU, where that code
        has it in a VGG.
    extra_convs
        Three 3×3 convolutions with ReLU behind the trunk, as in WSMIS §3.1;
        ``None``: for VGG-16 only, where its authors used them.
    unsure
        Learn uncertain labels as a third answer, see `with_unsure`.

    Attributes
    ----------
    linear : nn.Linear
        The head: ``head(A) == linear(A.mean((2, 3)))``, which is what allows
        activation maps in closed form.
    spec
        The arguments above as JSON values: ``Classifier(**spec)`` builds it again.
    level_channels
        Channels of each of the five maps of `stages`.
    """

    def __init__(
        self,
        arch: str,
        n_findings: int,
        *,
        in_channels: int = 1,
        output_stride: int = 16,
        dropblock: float = 0.0,
        block: int = 7,
        dropblock_compat: bool = False,
        dropblock_levels: Sequence[int] = (4, 5),
        extra_convs: bool | None = None,
        unsure: bool = False,
    ) -> None:
        super().__init__()
        if n_findings < 1:
            raise ValueError(f"a classifier of {n_findings} findings; give 1 or more")
        if not set(dropblock_levels) <= set(range(6)):
            raise ValueError(
                f"DropBlock levels are {list(dropblock_levels)}; give some of 0 to 5"
            )
        extra = arch == "vgg16" if extra_convs is None else extra_convs
        self.spec: dict[str, Any] = {
            "arch": arch,
            "n_findings": n_findings,
            "in_channels": in_channels,
            "output_stride": output_stride,
            "dropblock": dropblock,
            "block": block,
            "dropblock_compat": dropblock_compat,
            "dropblock_levels": list(dropblock_levels),
            "extra_convs": extra,
            **({"unsure": True} if unsure else {}),
        }
        self._cut = _backbones.backbone_spec(arch)
        self.backbone = _backbones.build(
            arch, in_channels=in_channels, output_stride=output_stride
        )
        self.dropblock = DropBlock(dropblock, block, compat=dropblock_compat)
        channels = self._cut.channels[-1]
        self.extra = _extra_convs(channels) if extra else nn.Sequential()
        self.level_channels = (
            *self._cut.channels[:-1],
            EXTRA_CHANNELS if extra else channels,
        )
        self.linear = nn.Linear(self.level_channels[-1], n_findings)
        nn.init.normal_(self.linear.weight, std=0.01)
        nn.init.zeros_(self.linear.bias)
        if unsure:
            self.unsure = nn.Linear(self.level_channels[-1], n_findings)
            nn.init.normal_(self.unsure.weight, std=0.01)
            nn.init.zeros_(self.unsure.bias)

    def stages(self, x: torch.Tensor) -> list[torch.Tensor]:
        """Return the maps of the five levels, finest first.

        Their strides are 4, 4, 8, 16 and 32, none above the output stride; the
        channels are `level_channels`.
        """
        levels: list[torch.Tensor] = []
        for level in range(5):
            x = self._through(level, x)
            levels.append(x)
        return levels

    def onward(self, x: torch.Tensor, level: int) -> torch.Tensor:
        """Return the last map, from the map of `level` (1 to 5) on."""
        for later in range(level, 5):
            x = self._through(later, x)
        return x

    def _through(self, level: int, x: torch.Tensor) -> torch.Tensor:
        levels = self.spec["dropblock_levels"]
        x = _backbones.run(
            self.backbone,
            self._cut,
            level,
            x,
            behind_stem=self.dropblock if 0 in levels else None,
        )
        if level + 1 in levels:
            x = self.dropblock(x)
        return self.extra(x) if level == 4 else x

    def features(self, x: torch.Tensor) -> torch.Tensor:
        """Return the last map (B, C, h, w), after its ReLU, of images (B, c, H, W)."""
        return self.stages(x)[-1]

    def head(self, features: torch.Tensor) -> torch.Tensor:
        """Return logits (B, K) of a last map (B, C, h, w)."""
        logits: torch.Tensor = self.linear(features.mean((2, 3)))
        return logits

    def forward(
        self, x: torch.Tensor, *, unsure: bool = False
    ) -> torch.Tensor | tuple[torch.Tensor, torch.Tensor]:
        """Return logits (B, K) of images (B, c, H, W); see `with_unsure`, too."""
        return self.with_unsure(x) if unsure else self.head(self.features(x))

    def with_unsure(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return logits (B, K) of present and of uncertain, both against absent.

        The first are those of `forward`; the others are had with `unsure` alone.
        """
        features = self.features(x)
        return self.head(features), self.unsure(features.mean((2, 3)))

    def schedule_dropblock(self, progress: float) -> None:
        """Put the share `progress` in [0, 1] of DropBlock's probability in force."""
        self.dropblock.strength = min(max(progress, 0.0), 1.0)


def build(
    arch: str,
    n_findings: int,
    *,
    weights: pretrained.Weights = None,
    **options: Any,
) -> Classifier:
    """Make a classifier, its trunk filled with `weights` if they are given.

    Parameters
    ----------
    arch, n_findings
        One of `napari_wsseg.nn.backbones.BACKBONES`; and how many outputs.
    weights
        ``None`` for random ones, ``"imagenet"`` for torchvision's (fetched on first
        use), a weights file, or tensors by name. The head is never filled: other
        findings, or the same in another order, would fit it just as well.
    options
        See `Classifier`.

    Raises
    ------
    DataError
        When the weights are of another network or lack a part of the trunk.
    JobFailed
        When the ImageNet weights could not be fetched.
    """
    classifier = Classifier(arch, n_findings, **options)
    if weights is not None:
        load_backbone(classifier, weights)
    return classifier


def load_backbone(
    classifier: Classifier, weights: Literal["imagenet"] | Path | pretrained.State
) -> pretrained.LoadReport:
    """Fill the trunk; DataError unless `weights` are of this very architecture."""
    arch = classifier.spec["arch"]
    state = pretrained.state(arch, weights)
    report = pretrained.load(classifier.backbone, state)
    pretrained.require_whole(classifier.backbone, report, arch)
    return report


def _extra_convs(channels: int) -> nn.Sequential:
    """Make WSMIS's three added convolutions, drawn as its authors draw them."""
    layers: list[nn.Module] = []
    for _ in range(3):
        conv = nn.Conv2d(channels, EXTRA_CHANNELS, 3, padding=1)
        nn.init.normal_(conv.weight, std=(2 / (9 * EXTRA_CHANNELS)) ** 0.5)
        nn.init.zeros_(conv.bias)  # type: ignore[arg-type]
        layers += [conv, nn.ReLU()]
        channels = EXTRA_CHANNELS
    return nn.Sequential(*layers)

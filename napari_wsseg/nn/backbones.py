"""The trunks that classifiers stand on: torchvision's or timm's, in five levels.

A level is a list of the library's own modules, so that state dicts fit key by key.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
import torchvision
from torch import nn
from torch.nn import functional

from napari_wsseg.nn import dilation


@dataclass(frozen=True, slots=True)
class BackboneSpec:
    """How one network of torchvision or timm is cut into five levels.

    Parameters
    ----------
    source
        The library's name of the network.
    levels
        Names of the modules of each level, in order of execution.
    channels
        Channels of each level's output.
    head
        Modules of the network that are not part of the trunk.
    ends_in_norm
        Whether the ReLU after the last level lives in torchvision's forward.
    stem
        Modules of the first level that are the first filter, its norm and its ReLU.
    package
        ``"torchvision"`` or ``"timm"``.
    """

    source: str
    levels: tuple[tuple[str, ...], ...]
    channels: tuple[int, ...]
    head: tuple[str, ...]
    ends_in_norm: bool = False
    stem: int = 3
    package: str = "torchvision"


def _features(*names: str) -> tuple[str, ...]:
    return tuple(f"features.{name}" for name in names)


def _numbered(start: int, stop: int) -> tuple[str, ...]:
    return _features(*(str(index) for index in range(start, stop)))


_RESNET = (
    ("conv1", "bn1", "relu", "maxpool"),
    ("layer1",),
    ("layer2",),
    ("layer3",),
    ("layer4",),
)
_DENSENET = (
    _features("conv0", "norm0", "relu0", "pool0"),
    _features("denseblock1"),
    _features("transition1", "denseblock2"),
    _features("transition2", "denseblock3"),
    _features("transition3", "denseblock4", "norm5"),
)
# Blocks 1 and 2 with their pools, block 3, pool 3 and block 4, pool 4 and block 5,
# pool 5 (of which the strided networks keep nothing).
_VGG = (
    _numbered(0, 14),
    _numbered(14, 23),
    _numbered(23, 33),
    _numbered(33, 43),
    _numbered(43, 44),
)


def _strided(stage: int, further: tuple[str, ...]) -> tuple[str, ...]:
    """Name what follows the expansion of a stage's first block, which has no bridge."""
    rest = (
        f"blocks.{stage}.0.{name}" for name in ("conv_dw", "bn2", "conv_pwl", "bn3")
    )
    return (*rest, *(f"blocks.{name}" for name in further))


def _expanded(stage: int) -> tuple[str, ...]:
    return (f"blocks.{stage}.0.conv_pw", f"blocks.{stage}.0.bn1")


# A block ends without a ReLU, so that levels end behind the next block's expansion.
_LITE = (
    ("conv_stem", "bn1", "blocks.0", "blocks.1.0"),
    ("blocks.1.1", *_expanded(2)),
    (*_strided(2, ("2.1",)), *_expanded(3)),
    (*_strided(3, ("3.1", "3.2", "4")), *_expanded(5)),
    (*_strided(5, ("5.1", "5.2", "5.3", "6")), "conv_head", "bn2"),
)

BACKBONES = {
    "resnet18": BackboneSpec(
        "resnet18", _RESNET, (64, 64, 128, 256, 512), ("avgpool", "fc")
    ),
    "resnet34": BackboneSpec(
        "resnet34", _RESNET, (64, 64, 128, 256, 512), ("avgpool", "fc")
    ),
    "resnet50": BackboneSpec(
        "resnet50", _RESNET, (64, 256, 512, 1024, 2048), ("avgpool", "fc")
    ),
    "vgg16": BackboneSpec(
        "vgg16_bn", _VGG, (128, 256, 512, 512, 512), ("avgpool", "classifier")
    ),
    "densenet121": BackboneSpec(
        "densenet121", _DENSENET, (64, 256, 512, 1024, 1024), ("classifier",), True
    ),
    "efficientnet_lite0": BackboneSpec(
        "efficientnet_lite0",
        _LITE,
        (24, 144, 240, 672, 1280),
        ("global_pool", "classifier"),
        stem=2,
        package="timm",
    ),
}

STRIDES = (8, 16, 32)


def backbone_spec(arch: str) -> BackboneSpec:
    """Return the cut of `arch`; ValueError naming the known ones if there is none."""
    if arch not in BACKBONES:
        raise ValueError(f"no architecture {arch!r}; there are: {', '.join(BACKBONES)}")
    return BACKBONES[arch]


def build(arch: str, *, in_channels: int = 1, output_stride: int = 16) -> nn.Module:
    """Make the library's network without its head, random, dilated to its stride.

    Parameters
    ----------
    arch
        One of `BACKBONES`.
    in_channels
        Of the input: 1 or 3.
    output_stride
        Input pixels per feature pixel, 8, 16 or 32, reached by `dilation.dilate`.
        VGG-16 at 8 is WSMIS's: a 3×3 pool of stride 1 for pool 4, block 5 dilated.
    """
    if output_stride not in STRIDES:
        raise ValueError(f"output stride is {output_stride}; give one of {STRIDES}")
    cut = backbone_spec(arch)
    network = _headless(cut)
    _set_in_channels(network, cut.levels[0][0], in_channels)
    dilate(network, arch, output_stride)
    return network


def _headless(cut: BackboneSpec) -> nn.Module:
    if cut.source == "vgg16_bn":
        return _vgg()
    network = _with_head(cut)
    for name in cut.head:
        delattr(network, name)
    return network


def _with_head(cut: BackboneSpec) -> nn.Module:
    network: nn.Module
    if cut.package == "timm":
        import timm

        network = timm.create_model(cut.source, pretrained=False)
    else:
        network = torchvision.models.get_model(cut.source, weights=None)
    return network


def _vgg() -> nn.Module:
    """Make VGG-16's features alone: its head's 124 M weights take seconds to draw."""
    network = nn.Module()
    layers = torchvision.models.vgg.make_layers(
        torchvision.models.vgg.cfgs["D"], batch_norm=True
    )
    for layer in layers:
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
            nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
    network.features = layers
    return network


def run(
    network: nn.Module,
    cut: BackboneSpec,
    level: int,
    x: torch.Tensor,
    *,
    behind_stem: nn.Module | None = None,
) -> torch.Tensor:
    """Bring the output of one level through the next.

    Parameters
    ----------
    network
        What `build` made of the same architecture.
    cut
        Its `backbone_spec`.
    level
        Which level, from 0.
    x : (B, C, h, w)
        Output of level ``level - 1``; of level 0, the image.
    behind_stem
        What the first level's map goes through behind its first ReLU; nothing by
        default.

    Returns
    -------
    (B, C', h', w')
        C' is the level's of `BackboneSpec.channels`.
    """
    for place, name in enumerate(cut.levels[level], 1):
        x = network.get_submodule(name)(x)
        if behind_stem is not None and level == 0 and place == cut.stem:
            x = behind_stem(x)
    if cut.ends_in_norm and level == len(cut.levels) - 1:
        x = functional.relu(x)
    return x


def dilate(network: nn.Module, arch: str, output_stride: int) -> None:
    """Dilate the last levels of a strided trunk until its stride is reached.

    Parameters
    ----------
    network
        Headless network, changed in place.
    arch
        One of `BACKBONES`.
    output_stride
        Input pixels per feature pixel, one of `STRIDES`.
    """
    if arch == "vgg16":
        _dilate_vgg(network, output_stride)
        return
    carried = 1
    for level, stride in ((3, 16), (4, 32)):
        if stride > output_stride:
            for name in backbone_spec(arch).levels[level]:
                carried = dilation.dilate(network.get_submodule(name), carried)


def _dilate_vgg(network: Any, output_stride: int) -> None:
    if output_stride < 32:
        network.features[43] = nn.Identity()
    if output_stride < 16:
        network.features[33] = nn.MaxPool2d(3, stride=1, padding=1)
        for index in (34, 37, 40):
            network.features[index].dilation = (2, 2)
            network.features[index].padding = (2, 2)


def _set_in_channels(network: nn.Module, stem: str, in_channels: int) -> None:
    """Replace the first filters by random ones that take `in_channels`."""
    if in_channels not in (1, 3):
        raise ValueError(f"networks take 1 or 3 channels, not {in_channels}")
    old: Any = network.get_submodule(stem)
    if old.in_channels == in_channels:
        return
    new = nn.Conv2d(
        in_channels,
        old.out_channels,
        old.kernel_size,
        old.stride,
        old.padding,
        bias=old.bias is not None,
    )
    nn.init.kaiming_normal_(new.weight, mode="fan_out", nonlinearity="relu")
    if new.bias is not None:
        nn.init.zeros_(new.bias)
    network.set_submodule(stem, new)

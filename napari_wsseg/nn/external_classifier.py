"""Somebody else's classifier: trunk and head taken over whole, or not at all."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from napari_wsseg.jobs import DataError
from napari_wsseg.nn import backbones as _backbones
from napari_wsseg.nn import pretrained
from napari_wsseg.nn.classifier import Classifier, load_backbone

_HEAD = re.compile(r"(^|[._])(classifier|fc|head|linear)([._]|$)")
_EXTRA = re.compile(r"^extra(?:_convs)?\.(\d+)\.(weight|bias)$")


@dataclass(frozen=True, slots=True)
class Weights:
    """A state dict sorted into the parts of a classifier.

    Parameters
    ----------
    state
        The trunk's tensors by the keys of the file.
    extra
        Those of three added convolutions by the keys of `Classifier.extra`, or none.
    weight, bias
        The head's, (N, C) and (N,); a head without bias has one of zeros.
    in_channels
        Channels that the first filters take.
    unexpected
        Keys of the file that no part of the classifier has; of no layer.
    """

    state: pretrained.State
    extra: pretrained.State
    weight: torch.Tensor
    bias: torch.Tensor
    in_channels: int
    unexpected: tuple[str, ...]


def sort(state: pretrained.State, arch: str) -> Weights:
    """Sort a state dict into trunk, added convolutions and head.

    Raises
    ------
    DataError
        When the trunk is of another architecture, or what follows it is anything but
        a mean over the map and one linear layer.
    """
    backbone = _backbones.build(arch, in_channels=3).state_dict()
    found = pretrained.without_prefix(state, backbone)
    stem = _backbones.backbone_spec(arch).levels[0][0] + ".weight"
    if stem not in found:
        raise DataError(
            f"the weights are not of a {arch}: there is no {stem} in them; their first "
            f"keys are {', '.join(list(state)[:3])}"
        )
    rest = {key: value for key, value in found.items() if key not in backbone}
    extra = {key: rest.pop(key) for key in list(rest) if _EXTRA.match(key)}
    weight, bias = _head(rest, arch)
    layers = [
        key
        for key, value in rest.items()
        if value.ndim > 1 and key.split(".")[0] not in _roots(backbone)
    ]
    if layers:
        raise DataError(
            f"the weights have layers that a {arch} with one linear layer has not: "
            f"{', '.join(layers[:4])}; leave them out if the findings do not pass them"
        )
    return Weights(
        state=state,
        extra={re.sub(r"^extra(_convs)?\.", "", key): extra[key] for key in extra},
        weight=weight,
        bias=bias,
        in_channels=found[stem].shape[1],
        unexpected=tuple(rest),
    )


def build(
    weights: Weights,
    arch: str,
    rows: Sequence[int],
    *,
    in_channels: int,
    output_stride: int,
) -> Classifier:
    """Make the classifier of some of the head's rows, in that order.

    Parameters
    ----------
    weights
        A state dict as `sort` sorts it.
    arch
        One of `napari_wsseg.nn.backbones.BACKBONES`, the one that it was sorted for.
    rows
        Rows of the head, one a finding of the new classifier, from 0.
    in_channels
        Planes of a film, 1 or 3.
    output_stride
        Input pixels per pixel of the last map: 8, 16 or 32.

    Returns
    -------
    Classifier
        In eval mode.

    Raises
    ------
    DataError
        When a part does not fit, or a weight is no finite number.
    """
    model = Classifier(
        arch,
        len(rows),
        in_channels=in_channels,
        output_stride=output_stride,
        extra_convs=bool(weights.extra),
    )
    load_backbone(model, weights.state)
    if weights.weight.shape[1] != model.linear.in_features:
        raise DataError(
            f"the head takes {weights.weight.shape[1]} channels, but the map of a "
            f"{arch} has {model.linear.in_features}"
        )
    try:
        model.extra.load_state_dict(dict(weights.extra))
    except RuntimeError as error:
        raise DataError(f"the added convolutions do not fit: {error}") from error
    with torch.no_grad():
        model.linear.weight.copy_(weights.weight[list(rows)])
        model.linear.bias.copy_(weights.bias[list(rows)])
    off = [
        key for key, value in model.state_dict().items() if not value.isfinite().all()
    ]
    if off:
        raise DataError(f"{off[0]} holds numbers that are not finite; the file is off")
    return model.eval()


def _roots(backbone: pretrained.State) -> set[str]:
    return {key.split(".")[0] for key in backbone}


def _head(
    rest: dict[str, torch.Tensor], arch: str
) -> tuple[torch.Tensor, torch.Tensor]:
    """Take the one linear layer out of what is left beside the trunk."""
    named = [
        key
        for key, value in rest.items()
        if key.endswith("weight") and _HEAD.search(key) and _is_linear(value)
    ]
    if not named:
        left = ", ".join(list(rest)[:4]) or "nothing"
        raise DataError(
            "the weights have no head: a linear layer named classifier, fc, head or "
            f"linear; beside the {arch} there is {left}"
        )
    if len(named) > 1:
        raise DataError(
            f"the head is {len(named)} linear layers ({', '.join(named)}), not one on "
            "the mean of the map, from which alone maps can be read; torchvision's VGG "
            "is such a network; train a classifier of one layer on it, from these "
            "weights, with wsseg train classifier --set weights=FILE"
        )
    weight = rest.pop(named[0]).flatten(1).float()
    bias = rest.pop(named[0].removesuffix("weight") + "bias", None)
    if bias is None:
        return weight, torch.zeros(len(weight))
    return weight, bias.float()


def _is_linear(value: torch.Tensor) -> bool:
    """Whether a tensor is a linear layer's weight, or a 1×1 convolution's."""
    return value.ndim == 2 or (value.ndim == 4 and value.shape[2:] == (1, 1))

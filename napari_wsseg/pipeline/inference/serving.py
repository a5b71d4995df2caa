"""Networks that only answer: made without random weights, and quicker at the same."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from itertools import pairwise
from typing import Any, Literal, TypeAlias

import torch
from torch import nn
from torch.nn.utils import fusion
from torch.overrides import TorchFunctionMode
from torchvision.models import densenet, resnet

from napari_wsseg.jobs import UsageError
from napari_wsseg.pipeline.inference import upsampled_conv

Precision: TypeAlias = Literal["fp32", "bf16"]

_DRAWS = {torch.Tensor.normal_, torch.Tensor.uniform_}
"""What fills nearly all weights; what else an initialisation does takes no time."""

# Modules whose children run in the order in which they are registered.
_IN_ORDER = (
    *(resnet.ResNet, resnet.BasicBlock, resnet.Bottleneck),
    densenet._DenseLayer,
)


class Unfilled(TorchFunctionMode):
    """Leave out drawing weights, for a network whose weights are loaded next.

    What random numbers come next is then as if the network had not been made.
    """

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Answer a draw by the tensor that was to be filled, as it is."""
        given = kwargs or {}
        # torch.nn.init hands itself over whole, what is filled by name.
        if getattr(func, "__module__", "") == "torch.nn.init":
            return given["tensor"] if "tensor" in given else args[0]
        return args[0] if func in _DRAWS else func(*args, **given)


def native_bf16(device: torch.device) -> bool:
    """Whether a device computes bf16 by itself, rather than slowly by other means."""
    if device.type == "cpu":
        supported = getattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)
        return bool(supported())
    return torch.cuda.is_available() and torch.cuda.is_bf16_supported()


def computing(
    network: nn.Module, precision: Precision
) -> AbstractContextManager[object]:
    """Return a context in which a network computes its convolutions in a precision.

    Raises
    ------
    UsageError
        ``"bf16"`` on a device that has none of its own.
    """
    device = next(network.parameters()).device
    half = precision == "bf16"
    if half and not native_bf16(device):
        raise UsageError(
            f"this {device.type} computes no bf16 by itself, so it would take longer; "
            "leave --precision at fp32"
        )
    return torch.autocast(device.type, torch.bfloat16, enabled=half)


def prepared(network: nn.Module) -> nn.Module:
    """Return a network in eval mode, changed in place, that computes the same faster.

    Norms are folded into the convolutions before them, maps that a U-Net draws larger
    are convolved as they are, and weights lie in memory as convolutions read them; a
    network without such norms stays as it is. Not for a network that is to learn.
    """
    folded = 0
    for parent in list(network.modules()):
        plain = getattr(type(parent), "forward", None) is nn.Sequential.forward
        if plain or isinstance(parent, _IN_ORDER):
            folded += _fold(parent)
    for part in list(network.modules()):  # their norms are folded by now
        upsampled_conv.quicken(part)
    return network.to(memory_format=torch.channels_last) if folded else network


def _fold(parent: nn.Module) -> int:
    folded = 0
    for (first, conv), (second, norm) in pairwise(list(parent.named_children())):
        if type(conv) is nn.Conv2d and type(norm) is nn.BatchNorm2d:
            setattr(parent, first, fusion.fuse_conv_bn_eval(conv, norm))
            setattr(parent, second, nn.Identity())
            folded += 1
    return folded

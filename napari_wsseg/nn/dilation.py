"""Dilation surgery: the same filters on a finer grid (`algorithms.md` oracle 5).

A stage that halves its grid is made to keep it: strides become 1, and every later
filter reaches as far as it did before by skipping pixels. Sampled at every second
pixel, the new output is the old one exactly.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional


class DilatedAvgPool(nn.Module):
    """Mean of a 2×2 window of pixels `dilation` apart, on an unchanged grid."""

    def __init__(self, dilation: int) -> None:
        super().__init__()
        self.dilation = dilation

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Pool (B, C, h, w), the last rows and columns repeated, to the same shape."""
        d = self.dilation
        wide = functional.pad(x, (0, d, 0, d), mode="replicate")
        rows = wide[..., :-d, :] + wide[..., d:, :]
        return (rows[..., :-d] + rows[..., d:]) / 4


def dilate(stage: nn.Module, dilation: int) -> int:
    """Make a stage keep its grid instead of halving it, in place.

    Parameters
    ----------
    stage
        Module whose filters are visited in the order in which they are registered:
        a stage of a ResNet or DenseNet, or a filter itself.
    dilation
        Dilation that the stage's input already carries, 1 for an untouched network.

    Returns
    -------
    dilation
        What the stage's output carries: twice the input's where a stride was taken
        out.
    """
    if isinstance(stage, nn.Conv2d):
        return _dilate_conv(stage, dilation, after_stride=2 * dilation)
    current = dilation
    for parent in list(stage.modules()):
        for name, layer in list(parent.named_children()):
            if isinstance(layer, nn.AvgPool2d):
                setattr(parent, name, DilatedAvgPool(current))
                current = 2 * dilation
            elif isinstance(layer, nn.Conv2d):
                current = _dilate_conv(layer, current, after_stride=2 * dilation)
    return current


def _dilate_conv(conv: nn.Conv2d, dilation: int, *, after_stride: int) -> int:
    """Dilate one filter; return the dilation of the filters that follow it."""
    widest = max(conv.kernel_size)
    strided = max(conv.stride) > 1
    conv.stride = (1, 1)
    if widest == 1:
        return dilation
    conv.dilation = (dilation, dilation)
    conv.padding = (dilation * (widest // 2),) * 2
    return after_stride if strided else dilation

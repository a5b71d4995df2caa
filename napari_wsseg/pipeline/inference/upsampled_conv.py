"""A convolution of an image drawn twice as large, computed on the image as it is."""

from __future__ import annotations

from typing import Any

import torch
from segmentation_models_pytorch.decoders.unet.decoder import (
    UnetDecoder,
    UnetDecoderBlock,
)
from torch import nn
from torch.nn import functional

_PHASES = ((0, 0), (0, 1), (1, 0), (1, 1))
"""The row and column, in a square of two by two, of a pixel drawn twice as large."""


class QuickDecoderBlock(nn.Module):
    """A U-Net's decoder block that only answers, with about half of its first sums.

    The block draws a map twice as large, each value four times, lays the encoder's map
    beside it and convolves both, 3 × 3. Of the nine values that a pixel of the drawn
    map sees four differ at most, and which ones depends on its row and column alone: so
    four convolutions of 2 × 2 with added-up weights give what one of 3 × 3 does, and
    the large map is never made.

    Parameters
    ----------
    block
        One that `can_be_quick` takes; it answers where the map wanted is not twice as
        large.
    channels
        Of the map that is drawn larger.
    """

    def __init__(self, block: UnetDecoderBlock, channels: int) -> None:
        super().__init__()
        self.block = block
        self._bias = block.conv1[0].bias
        weight = block.conv1[0].weight.detach()
        self._drawn = nn.Parameter(phases(weight[:, :channels]), requires_grad=False)
        self._beside = nn.Parameter(weight[:, channels:].clone(), requires_grad=False)

    def forward(
        self,
        feature_map: torch.Tensor,
        target_height: int,
        target_width: int,
        skip_connection: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Return the block's map (B, O, H, W).

        Parameters
        ----------
        feature_map : (B, C, h, w)
        target_height, target_width
            H and W.
        skip_connection : (B, S, H, W), optional
        """
        height, width = feature_map.shape[-2:]
        if (target_height, target_width) != (2 * height, 2 * width):
            return torch.as_tensor(
                self.block(feature_map, target_height, target_width, skip_connection)
            )
        alone = skip_connection is None
        drawn = functional.conv2d(
            feature_map, self._drawn, self._bias.repeat(4) if alone else None, padding=1
        )
        if skip_connection is None:
            out = drawn.new_empty(
                (len(drawn), target_height, target_width, len(self._bias))
            ).permute(0, 3, 1, 2)
        else:
            out = functional.conv2d(
                skip_connection, self._beside, self._bias, padding=1
            )
        for (row, column), part in zip(_PHASES, drawn.chunk(4, 1), strict=True):
            phase = out[:, :, row::2, column::2]
            part = part[:, :, row : row + height, column : column + width]
            if alone:
                phase.copy_(part)
            else:
                phase.add_(part)
        return torch.as_tensor(self.block.conv2(self.block.conv1[2](out)))


def phases(weight: torch.Tensor) -> torch.Tensor:
    """Return what a 3 × 3 convolution of a map drawn twice as large is on the map.

    Parameters
    ----------
    weight : (O, C, 3, 3)
        Of a convolution whose input is padded by one pixel of zeros.

    Returns
    -------
    (4·O, C, 2, 2)
        On the map padded by one value of zeros, O channels for each of `_PHASES`.
        Where the row is even the last row of a part is left out, else the first; so
        for columns.
    """
    rows = [_added(weight, 2, odd) for odd in (False, True)]
    return torch.cat(
        [_added(rows[row], 3, odd) for row in (0, 1) for odd in (False, True)]
    )


def _added(weight: torch.Tensor, dim: int, odd: bool) -> torch.Tensor:
    """Return three weights as two: those that meet the same value are added."""
    first, middle, last = weight.unbind(dim)
    pair = (first + middle, last) if odd else (first, middle + last)
    return torch.stack(pair, dim)


def quicken(network: nn.Module) -> int:
    """Let a U-Net's decoder blocks be quick, in place; return how many are.

    Blocks with norms, attention or another interpolation than nearest stay.
    """
    decoder = getattr(network, "decoder", None)
    if not isinstance(decoder, UnetDecoder):
        return 0
    channels, quick = int(network.encoder.out_channels[-1]), 0  # type: ignore[union-attr, index]
    for place, block in enumerate(decoder.blocks):
        if can_be_quick(block):
            decoder.blocks[place] = QuickDecoderBlock(block, channels)
            quick += 1
        channels = block.conv2[0].out_channels
    return quick


def can_be_quick(block: Any) -> bool:
    """Whether a module is a decoder block whose norms are folded away."""
    if type(block) is not UnetDecoderBlock or block.interpolation_mode != "nearest":
        return False
    conv, norm = block.conv1[0], block.conv1[1]
    both = (block.attention1.attention, block.attention2.attention)
    return (
        all(type(one) is nn.Identity for one in (norm, *both))
        and conv.bias is not None
        and (conv.kernel_size, conv.padding, conv.stride) == ((3, 3), (1, 1), (1, 1))
    )

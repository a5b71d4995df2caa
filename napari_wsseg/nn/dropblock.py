"""DropBlock: contiguous squares of a feature map fall out while training."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

#: How DropBlock's probability comes into force while training; see `strength`.
SCHEDULES = ("linear", "ten-steps", "constant")


def strength(schedule: str, step: int, steps: int) -> float:
    """Return the share of DropBlock's probability in force at `step` of `steps`.

    Parameters
    ----------
    schedule
        ``"linear"``: from 0 to 1 over the whole training, as the paper has it;
        ``"ten-steps"``: from 0 to 1 over the first ten batches, as the published
        WSMIS code counts; ``"constant"``: 1 throughout.
    step, steps
        Batches so far, and in all.

    Raises
    ------
    ValueError
        For any other schedule.
    """
    match schedule:
        case "linear":
            return min(1.0, step / max(steps, 1))
        case "ten-steps":
            return min(1.0, step / 9)
        case "constant":
            return 1.0
    raise ValueError(f"no schedule {schedule!r}; there are: {', '.join(SCHEDULES)}")


class DropBlock(nn.Module):
    """DropBlock (Ghiasi 2018, arXiv:1810.12890), identity in eval mode.

    Parameters
    ----------
    prob
        Share of activations to drop at full strength, in [0, 1).
    block
        Side of a dropped square, in feature pixels; clipped to the map.
    compat
        ``False``: the paper's γ, squares only where they fit, one mask a channel.
        ``True``: what the published WSMIS code does: γ = p / block², squares also
        cut off by the border, one mask for all channels.

    Attributes
    ----------
    strength
        Share of `prob` in force, in [0, 1]; raised linearly over training by whoever
        trains.
    """

    def __init__(self, prob: float, block: int = 7, *, compat: bool = False) -> None:
        super().__init__()
        if not 0 <= prob < 1:
            raise ValueError(f"DropBlock probability is {prob}; give one in [0, 1)")
        if block < 1 or block % 2 == 0:
            raise ValueError(f"DropBlock block is {block}; give an odd number")
        self.prob = prob
        self.block = block
        self.compat = compat
        self.strength = 1.0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Drop squares of (B, C, h, w) and scale the rest to keep the mean."""
        if not self.training or self.prob * self.strength <= 0:
            return x
        kept = self.keep_mask(x)
        return x * kept * (kept.numel() / kept.sum().clamp(min=1))

    def keep_mask(self, x: torch.Tensor) -> torch.Tensor:
        """Draw the mask for (B, C, h, w): 0 dropped, 1 kept; C is 1 in compat mode."""
        seeds = self._compat_seeds(x) if self.compat else self._seeds(x)
        block = self._clipped(x)
        return 1 - functional.max_pool2d(seeds, block, stride=1)

    def _clipped(self, x: torch.Tensor) -> tuple[int, int]:
        return min(self.block, x.shape[-2]), min(self.block, x.shape[-1])

    def _seeds(self, x: torch.Tensor) -> torch.Tensor:
        """Top left corners of squares that fit, padded so that pooling gives (h, w)."""
        (rows, columns), (height, width) = self._clipped(x), x.shape[-2:]
        valid = (height - rows + 1, width - columns + 1)
        gamma = self.prob * self.strength / (rows * columns)
        gamma *= height * width / (valid[0] * valid[1])  # eq. 1
        drawn = torch.rand((*x.shape[:2], *valid), device=x.device) < gamma
        pads = (columns - 1, columns - 1, rows - 1, rows - 1)
        return functional.pad(drawn.to(x.dtype), pads)

    def _compat_seeds(self, x: torch.Tensor) -> torch.Tensor:
        (rows, columns), (height, width) = self._clipped(x), x.shape[-2:]
        gamma = self.prob * self.strength / self.block**2
        drawn = torch.rand((x.shape[0], 1, height, width), device=x.device) < gamma
        pads = (columns // 2, (columns - 1) // 2, rows // 2, (rows - 1) // 2)
        return functional.pad(drawn.to(x.dtype), pads)

"""A small U-Net that finds what every chest film shows: heart, lungs and the rest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

WIDTHS = (16, 32, 64, 96, 128)


class AnatomyNet(nn.Module):
    """U-Net (Ronneberger 2015) of 0.9 million weights with one map a structure.

    Its first convolution halves the size, so that it reads a film of 128 px in
    hundredths of a second on one core; its maps are brought back to the input's size.

    Parameters
    ----------
    n_structures
        Maps it makes.
    widths
        Channels at a half, a quarter … of the input's size.
    """

    def __init__(self, n_structures: int, widths: tuple[int, ...] = WIDTHS) -> None:
        super().__init__()
        self.spec = {"n_structures": n_structures, "widths": list(widths)}
        self.down = nn.ModuleList(
            _block(1 if place == 0 else widths[place - 1], width, stride=2)
            for place, width in enumerate(widths)
        )
        self.up = nn.ModuleList(
            _block(deep + width, width)
            for deep, width in zip(widths[:0:-1], widths[-2::-1], strict=True)
        )
        self.head = nn.Conv2d(widths[0], n_structures, 1)

    def forward(self, images: Tensor) -> Tensor:
        """Return logits (B, n_structures, H, W) of films (B, 1, H, W)."""
        return self._seen(images)[0]

    def _seen(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return the logits, and the deepest map they are drawn from."""
        kept = []
        x = images
        for block in self.down:
            x = block(x)
            kept.append(x)
        for block, beside in zip(self.up, kept[-2::-1], strict=True):
            x = _enlarged(x, beside.shape[-2:])
            x = block(torch.cat([x, beside], 1))
        return _enlarged(self.head(x), images.shape[-2:]), kept[-1]


class AnatomySegmenter(AnatomyNet):
    """The same network with one map a finding, and whether each is there at all."""

    def __init__(self, n_findings: int) -> None:
        super().__init__(n_findings)
        self.present = nn.Linear(WIDTHS[-1], n_findings)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:  # type: ignore[override]
        """Return logits (B, K, H, W) and (B, K) of films (B, 1, H, W)."""
        masks, deepest = self._seen(images)
        return masks, self.present(deepest.mean((2, 3)))

    @torch.no_grad()
    def start_from(
        self, weights: Mapping[str, Tensor], channels: Sequence[int | None]
    ) -> None:
        """Fill all but the head for presence from an `AnatomyNet` of these widths.

        Parameters
        ----------
        weights
            Its state dict.
        channels
            For each finding the structure that it is, ``None`` where it is none: its
            map then starts from random weights.
        """
        body = {name: w for name, w in weights.items() if not name.startswith("head.")}
        self.load_state_dict(body, strict=False)
        for own, theirs in enumerate(channels):
            if theirs is not None:
                self.head.weight[own] = weights["head.weight"][theirs]
                self.head.bias[own] = weights["head.bias"][theirs]  # type: ignore[index]


def build(n_structures: int, widths: list[int] | None = None) -> AnatomyNet:
    """Return a network with random weights, as a checkpoint's header describes it."""
    return AnatomyNet(n_structures, tuple(widths or WIDTHS))


def _enlarged(x: Tensor, size: torch.Size) -> Tensor:
    return functional.interpolate(x, tuple(size), mode="bilinear", align_corners=False)


def _block(inward: int, outward: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        # Even at both ends, so that a cell looks at the middle of the pixels it covers.
        nn.Conv2d(inward, outward, 4, stride=2, padding=1, bias=False)
        if stride == 2
        else nn.Conv2d(inward, outward, 3, padding=1, bias=False),
        nn.BatchNorm2d(outward),
        nn.ReLU(inplace=True),
        nn.Conv2d(outward, outward, 3, padding=1, bias=False),
        nn.BatchNorm2d(outward),
        nn.ReLU(inplace=True),
    )

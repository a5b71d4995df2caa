"""The convolutions of a tied deconvolution network, and how they are first learnt."""

from __future__ import annotations

import re
from urllib.error import URLError

import torch
import torchvision
from torch import nn
from torch.nn import functional

from napari_wsseg.jobs import JobFailed
from napari_wsseg.nn import _tied_ops as ops

ARCHITECTURES: dict[str, tuple[tuple[tuple[int, int], ...], ...]] = {
    # Table 1, for chest films.
    "table1": (((96, 11),), ((256, 5),), ((384, 3),), ((384, 3),), ((256, 3),)),
    # Table 2, for photographs: VGG-16 without its fully connected layers.
    "vgg16": (
        ((64, 3),) * 2,
        ((128, 3),) * 2,
        ((256, 3),) * 3,
        ((512, 3),) * 3,
        ((512, 3),) * 3,
    ),
}
"""Per block, up to its pooling: filters and kernel size of each convolution."""

STRIDE = 32
"""Input pixels per pixel of the last convolution's map: five poolings by two."""

HIDDEN = 2048


class Encoder(nn.Module):
    """Five blocks of 'same' convolutions with ReLU, each pooled by two.

    Parameters
    ----------
    width
        Factor on every number of filters; 1 is the paper's.

    Attributes
    ----------
    channels
        Of the input and of each block's output, six in all.
    """

    def __init__(self, arch: str, *, in_channels: int = 1, width: float = 1.0) -> None:
        super().__init__()
        if arch not in ARCHITECTURES:
            known = ", ".join(ARCHITECTURES)
            raise ValueError(f"no network {arch!r}; there are: {known}")
        self.blocks = nn.ModuleList()
        self.channels = [in_channels]
        for layers in ARCHITECTURES[arch]:
            block, channels = nn.ModuleList(), self.channels[-1]
            for filters, kernel in layers:
                out = _scaled(filters, width)
                block.append(_conv(channels, out, kernel))
                channels = out
            self.blocks.append(block)
            self.channels.append(channels)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, list[torch.Tensor]]:
        """Return the last map (B, C, H/32, W/32) and the switches of every pooling."""
        height, width = x.shape[-2:]
        if height % STRIDE or width % STRIDE:
            good = tuple(max(1, round(side / STRIDE)) * STRIDE for side in x.shape[-2:])
            raise ValueError(
                f"films are {height} × {width}; both sides must be multiples of "
                f"{STRIDE}, {good[0]} × {good[1]} for instance"
            )
        switches = []
        for number in range(len(self.blocks)):
            for conv in self.convolutions(number):
                x = functional.relu(conv(x))
            x, where = ops.pool(x)
            switches.append(where)
        return x, switches

    def convolutions(self, number: int) -> list[nn.Conv2d]:
        """Return the convolutions of a block, in order; blocks count from 0."""
        children = self.blocks[number].children()
        return [child for child in children if isinstance(child, nn.Conv2d)]


class FirstClassifier(nn.Module):
    """The classification network that the convolutions are first learnt in.

    Parameters
    ----------
    size
        Side of its films in pixels, which two fully connected layers depend on.
    fully_connected
        Two layers of 2048 × width as in the paper; without them, the mean over the
        last map and one linear layer, which saves 14 of every 15 weights.
    """

    def __init__(
        self,
        arch: str,
        n_findings: int,
        *,
        size: int,
        in_channels: int = 1,
        width: float = 1.0,
        fully_connected: bool = True,
    ) -> None:
        super().__init__()
        self.encoder = Encoder(arch, in_channels=in_channels, width=width)
        channels = self.encoder.channels[-1]
        if not fully_connected:
            self.head = nn.Sequential(
                nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, n_findings)
            )
            return
        hidden = _scaled(HIDDEN, width)
        self.head = nn.Sequential(
            nn.Flatten(),
            _linear(channels * (size // STRIDE) ** 2, hidden),
            nn.ReLU(),
            _linear(hidden, hidden),
            nn.ReLU(),
            nn.Linear(hidden, n_findings),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return logits (B, K) of films (B, c, size, size)."""
        logits: torch.Tensor = self.head(self.encoder(x)[0])
        return logits


def imagenet() -> dict[str, torch.Tensor]:
    """Return torchvision's VGG-16 weights, from its cache or its server.

    Raises
    ------
    JobFailed
        When they are not in the cache and the network does not give them.
    """
    choice = torchvision.models.VGG16_Weights.IMAGENET1K_V1
    try:
        return dict(choice.get_state_dict(progress=False, check_hash=True))
    except (URLError, OSError, RuntimeError) as error:
        raise JobFailed(
            f"the ImageNet weights of VGG-16 could not be fetched ({error}); give a "
            "weights file, or train from random weights"
        ) from error


def from_vgg(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Name the tensors of a torchvision VGG-16 (without batch norm) as `Encoder` does.

    What is not of its convolutions is left out.
    """
    numbered = [
        (int(found[1]), found[2], tensor)
        for key, tensor in state.items()
        if (found := re.fullmatch(r"(?:.*\.)?features\.(\d+)\.(weight|bias)", key))
    ]
    names = [
        f"blocks.{block}.{conv}"
        for block, layers in enumerate(ARCHITECTURES["vgg16"])
        for conv in range(len(layers))
    ]
    order = sorted({number for number, _, _ in numbered})
    place = dict(zip(order, names, strict=False))
    return {
        f"{place[number]}.{kind}": tensor
        for number, kind, tensor in numbered
        if number in place
    }


def _scaled(count: int, width: float) -> int:
    return max(1, round(count * width))


def _conv(channels: int, out: int, kernel: int) -> nn.Conv2d:
    conv = nn.Conv2d(channels, out, kernel, padding=kernel // 2)
    # The paper does not say; without batch norm, variance has to be kept (He 2015).
    nn.init.kaiming_normal_(conv.weight, nonlinearity="relu")
    nn.init.zeros_(conv.bias)  # type: ignore[arg-type]
    return conv


def _linear(channels: int, out: int) -> nn.Linear:
    linear = nn.Linear(channels, out)
    nn.init.kaiming_normal_(linear.weight, nonlinearity="relu")
    nn.init.zeros_(linear.bias)
    return linear

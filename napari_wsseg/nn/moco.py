"""Momentum contrast: an encoder that knows a film again in another view of it.

MoCo v2 (Chen 2020, arXiv:2003.04297), used on chest films by MoCo-CXR (Sowrirajan 2021,
arXiv:2010.05352).
"""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from napari_wsseg.nn import backbones as _backbones
from napari_wsseg.nn import losses, ranks


class Tower(nn.Module):
    """A trunk, the mean of its last map, and two linear layers."""

    def __init__(self, arch: str, in_channels: int, dim: int) -> None:
        super().__init__()
        self._cut = _backbones.backbone_spec(arch)
        self.backbone = _backbones.build(
            arch, in_channels=in_channels, output_stride=32
        )
        channels = self._cut.channels[-1]
        self.head = nn.Sequential(
            nn.Linear(channels, channels), nn.ReLU(), nn.Linear(channels, dim)
        )

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return (B, dim) codes of unit length, float32."""
        x = images
        for level in range(len(self._cut.levels)):
            x = _backbones.run(self.backbone, self._cut, level, x)
        return functional.normalize(self.head(x.mean((2, 3))).float(), dim=1)


class Moco(nn.Module):
    """Queries, keys that follow them slowly, and a queue of earlier keys.

    Parameters
    ----------
    arch
        A name in `napari_wsseg.nn.backbones.BACKBONES`.
    dim
        Length of a code.
    queue
        How many earlier keys a film is told apart from.
    momentum
        Share of the key network that a step leaves as it was.
    temperature
        What similarities are divided by.

    Attributes
    ----------
    spec
        The trunk's arguments as JSON values: ``trunks.build(**spec)``.
    """

    def __init__(
        self,
        arch: str = "resnet18",
        *,
        in_channels: int = 1,
        dim: int = 128,
        queue: int = 1024,
        momentum: float = 0.99,
        temperature: float = 0.2,
    ) -> None:
        super().__init__()
        self.spec: dict[str, Any] = {
            "arch": arch,
            "in_channels": in_channels,
            "output_stride": 32,
        }
        self.momentum, self.temperature = momentum, temperature
        self.encoder_q = Tower(arch, in_channels, dim)
        self.encoder_k = copy.deepcopy(self.encoder_q).requires_grad_(False)
        self.queue: torch.Tensor
        self.films: torch.Tensor
        self.place: torch.Tensor
        self.register_buffer("queue", torch.zeros(queue, dim))
        self.register_buffer("films", torch.full((queue,), -1))
        self.register_buffer("place", torch.zeros((), dtype=torch.long))

    def start_keys(self) -> None:
        """Let the keys be the queries', once the queries' weights are set."""
        self.encoder_k.load_state_dict(self.encoder_q.state_dict())

    def forward(
        self, first: torch.Tensor, second: torch.Tensor, films: torch.Tensor
    ) -> torch.Tensor:
        """Return the loss of telling films by one view from another.

        In training the keys follow, and those of this batch join the queue.

        Parameters
        ----------
        first, second : (B, c, H, W)
            Two views of the same films.
        films : (B,) int64
            Number of each film. An earlier key of the same film is no counterexample:
            of a hundred films every one is in the queue.
        """
        queries = self.encoder_q(first)
        if self.training:
            self._follow()
        keys = self.keys(second)
        mine = (queries * keys).sum(1, keepdim=True)
        others = queries @ self.queue.clone().T
        same = (films[:, None] == self.films[None]) | (self.films[None] < 0)
        logits = torch.cat([mine, others.masked_fill(same, -torch.inf)], 1)
        target = torch.zeros(len(logits), dtype=torch.long, device=logits.device)
        if self.training:
            self.enqueue(keys, films)
        each = functional.cross_entropy(
            logits / self.temperature, target, reduction="none"
        )
        return losses.mean_where(each, torch.ones_like(target))

    @torch.no_grad()
    def keys(self, images: torch.Tensor) -> torch.Tensor:
        """Return (B, dim) keys.

        In training a batch is normalised in two halves that are not its queries', as
        MoCo does by shuffling between devices: or figures of the batch would tell which
        key is whose.
        """
        if not self.training or len(images) < 4:
            keys: torch.Tensor = self.encoder_k(images)
            return keys
        order = torch.randperm(len(images)).to(images.device)
        halves = [self.encoder_k(images[half]) for half in order.chunk(2)]
        return torch.cat(halves)[order.argsort()]

    @torch.no_grad()
    def enqueue(self, keys: torch.Tensor, films: torch.Tensor) -> None:
        """Put keys (B, dim) of films (B,) in the place of the oldest."""
        keys, films = ranks.gathered(keys), ranks.gathered(films)
        length = len(self.queue)
        places = (self.place + torch.arange(len(keys), device=keys.device)) % length
        self.queue[places] = keys.to(self.queue)
        self.films[places] = films
        self.place.copy_((self.place + len(keys)) % length)

    @torch.no_grad()
    def _follow(self) -> None:
        pairs = zip(
            self.encoder_k.parameters(), self.encoder_q.parameters(), strict=True
        )
        for key, query in pairs:
            key.lerp_(query, 1 - self.momentum)

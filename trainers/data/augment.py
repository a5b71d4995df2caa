"""Augmentation on tensors: one affine resampling and one tone curve per film.

WSMIS §4.3 names scaling, rotation, blur, brightness and horizontal flip. A chest film
has a left and a right, but no finding here depends on which is which.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from napari_wsseg.schema import IGNORE


def augment(
    films: Tensor,
    targets: Tensor | None,
    *,
    strength: float,
    tone: float,
    flip: bool,
    generator: torch.Generator,
    part: slice = slice(None),
    batch: int | None = None,
) -> tuple[Tensor, Tensor | None]:
    """Return augmented films and, moved along with them, their targets.

    Parameters
    ----------
    films : (B, 1 or 3, H, W) float in [0, 1]
    targets : (B, K, H, W), optional
        uint8 in {0, 1, 255}, or float scores of any range. Pixels that come from
        outside the film are set to 255, or NaN, which no loss counts.
    strength
        1 turns up to ±10°, zooms by ±12 % and shifts by ±8 % of half the side; 0
        moves nothing.
    tone
        1 changes gamma by ±30 % and brightness by ±0.08, blurs some and adds noise; 0
        changes no grey.
    flip
        Mirror half of the films, too.
    generator
        On the CPU, so that every device augments alike.
    part, batch
        The films are these of a batch of so many, and are changed as they would be
        among them. By default they are all of it.
    """
    draw = _Draw(generator, len(films) if batch is None else batch, part)
    if strength > 0 or flip:
        films, targets = _moved(films, targets, strength, flip, draw)
    return (_tone(films, tone, draw) if tone > 0 else films), targets


@dataclass(frozen=True, slots=True)
class _Draw:
    """Draws for every film of a batch, and returns those of its part."""

    generator: torch.Generator
    batch: int
    part: slice

    def uniform(self, low: float, high: float, *shape: int) -> Tensor:
        return low + (high - low) * self.unit(*shape)

    def unit(self, *shape: int) -> Tensor:
        return torch.rand(self.batch, *shape, generator=self.generator)[self.part]

    def normal(self, *shape: int) -> Tensor:
        return torch.randn(self.batch, *shape, generator=self.generator)[self.part]


def _moved(
    films: Tensor,
    targets: Tensor | None,
    strength: float,
    flip: bool,
    draw: _Draw,
) -> tuple[Tensor, Tensor | None]:
    grid = _grid(films, strength, flip, draw)
    moved = functional.grid_sample(films, grid, align_corners=False)
    if targets is not None and targets.is_floating_point():
        beyond = (grid.abs() > 1).any(-1)[:, None]
        scores = functional.grid_sample(
            targets, grid.to(targets), padding_mode="border", align_corners=False
        )
        targets = scores.masked_fill(beyond, float("nan"))
    elif targets is not None:
        # Shifted by one, so that zero padding can be told from background.
        raised = functional.grid_sample(
            targets.to(films.dtype) + 1, grid, mode="nearest", align_corners=False
        )
        targets = torch.where(raised < 0.5, IGNORE, raised - 1).to(torch.uint8)
    return moved, targets


def _grid(films: Tensor, strength: float, flip: bool, draw: _Draw) -> Tensor:
    count = len(films)
    angle = draw.uniform(-1, 1) * math.radians(10) * strength
    zoom = torch.exp(draw.uniform(-1, 1) * 0.12 * strength)
    mirrored = draw.unit() < (0.5 if flip else 0.0)
    side = torch.where(mirrored, -1.0, 1.0)
    shift = (draw.unit(2) * 2 - 1) * 0.08 * strength
    turn = torch.zeros(count, 2, 3)
    turn[:, 0, 0] = angle.cos() * zoom * side
    turn[:, 0, 1] = -angle.sin() * zoom
    turn[:, 1, 0] = angle.sin() * zoom * side
    turn[:, 1, 1] = angle.cos() * zoom
    turn[:, :, 2] = shift
    return functional.affine_grid(
        turn.to(films.device), list(films.shape), align_corners=False
    ).to(films.dtype)


def _tone(films: Tensor, strength: float, draw: _Draw) -> Tensor:
    gamma = torch.exp(draw.uniform(-1, 1) * 0.3 * strength)
    lift = draw.uniform(-1, 1) * 0.08 * strength
    blur = draw.unit() < 0.15 * strength
    shape = (len(films), 1, 1, 1)
    toned = films.clamp(1e-4, 1) ** gamma.view(shape).to(films)
    toned = toned + lift.view(shape).to(films)
    soft = functional.avg_pool2d(toned, 3, stride=1, padding=1)
    toned = torch.where(blur.view(shape).to(films.device), soft, toned)
    grain = draw.uniform(0, 0.05) * strength
    noise = draw.normal(*films.shape[1:]).to(films)
    return toned + noise * grain.view(shape).to(films)


def mixed(
    images: Tensor, labels: Tensor, *, alpha: float, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Blend every film with another of the batch, and their labels alike (mixup).

    Zhang 2018, arXiv:1710.09412. It draws a small network towards answers that are
    linear in the film, which is what a hundred films can support.

    Parameters
    ----------
    images : (B, C, H, W)
    labels : (B, K) in [0, 1], `IGNORE` where unknown
        A pair with an unknown label stays unknown.
    alpha
        Both parameters of the Beta distribution of the share; 0 mixes nothing.
    generator
        On the CPU: what pairs and shares depend on.
    """
    if alpha <= 0:
        return images, labels
    seed = int(torch.randint(2**31 - 1, (1,), generator=generator))
    shares = np.random.default_rng(seed).beta(alpha, alpha, len(images))
    share = torch.from_numpy(shares).to(labels)[:, None]
    partner = torch.randperm(len(images), generator=generator)
    unknown = (labels == IGNORE) | (labels[partner] == IGNORE)
    blended = labels * share + labels[partner] * (1 - share)
    weight = share[:, :, None, None].to(images)
    return (
        images * weight + images[partner] * (1 - weight),
        torch.where(unknown, float(IGNORE), blended),
    )

"""Domain randomisation: films changed so much that real ones look like one more.

Tobin 2017 (arXiv:1703.06907): a network that has learnt from pictures of every look
takes reality for another variation.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional


def randomised(
    films: Tensor,
    masks: Tensor,
    size: int,
    generator: torch.Generator,
    *,
    strength: float = 1.0,
) -> tuple[Tensor, Tensor]:
    """Return films and masks of `size`, moved, developed and marked anew.

    Turns up to ±15°, zooms by e^±0.25, stretches the sides by e^±0.15, shifts by 15 %;
    then gamma, a film curve, uneven exposure, local contrast, blur, noise, black
    borders and things in the way.

    Parameters
    ----------
    films : (B, 1, H, W) float in [0, 1]
    masks : (B, K, H, W) float in [0, 1], or NaN where unknown
    size
        Rows and columns of the result.
    generator
        On the CPU, so that every device draws alike.
    strength
        Factor on all that moves a film.

    Returns
    -------
    films : (B, 1, size, size)
    masks : (B, K, size, size)
        What is from outside the film is NaN, which no loss counts.
    """
    grid = _grid(len(films), size, strength, generator).to(films)
    moved = functional.grid_sample(films, grid, align_corners=False)
    drawn = functional.grid_sample(masks, grid, align_corners=False)
    beyond = (grid.abs() > 1).any(-1)[:, None]
    toned = developed(moved, generator)
    return _hindered(toned, generator), drawn.masked_fill(beyond, float("nan"))


def developed(films: Tensor, generator: torch.Generator) -> Tensor:
    """Return films (B, 1, H, W) in [0, 1] as other detectors would show them."""
    films = films.clamp(0, 1)
    films = films ** torch.exp(_between(films, -0.8, 0.8, generator))
    films = _curved(films, generator)
    films = films + _smooth(films, 5, generator) * _between(films, 0, 0.25, generator)
    around = functional.avg_pool2d(films, 31, 1, 15, count_include_pad=False)
    films = films - around * _between(films, -0.3, 0.6, generator)
    soft = functional.avg_pool2d(films, 3, 1, 1, count_include_pad=False)
    films = films + (films - soft) * _between(films, -1.0, 1.0, generator)
    grain = torch.randn(films.shape, generator=generator).to(films)
    return films + grain * _between(films, 0, 0.06, generator)


def _grid(count: int, size: int, strength: float, generator: torch.Generator) -> Tensor:
    def draw(most: float) -> Tensor:
        return (torch.rand(count, generator=generator) * 2 - 1) * most * strength

    angle, zoom, unequal = draw(math.radians(15)), draw(0.25), draw(0.15)
    turn = torch.zeros(count, 2, 3)
    turn[:, 0, 0] = angle.cos() * torch.exp(zoom + unequal)
    turn[:, 0, 1] = -angle.sin() * torch.exp(zoom + unequal)
    turn[:, 1, 0] = angle.sin() * torch.exp(zoom - unequal)
    turn[:, 1, 1] = angle.cos() * torch.exp(zoom - unequal)
    turn[:, 0, 2], turn[:, 1, 2] = draw(0.15), draw(0.15)
    return functional.affine_grid(turn, [count, 1, size, size], align_corners=False)


def _between(
    films: Tensor, low: float, high: float, generator: torch.Generator
) -> Tensor:
    """Draw one number a film, ready to be multiplied with it."""
    drawn = torch.rand(len(films), 1, 1, 1, generator=generator)
    return (low + (high - low) * drawn).to(films)


def _curved(films: Tensor, generator: torch.Generator) -> Tensor:
    """Put films through a film's S-curve of any steepness, somewhere in its range."""
    centre = _between(films, 0.2, 0.9, generator)
    steep = _between(films, 1.5, 9.0, generator)
    bent = torch.sigmoid((films - centre) * steep)
    low, high = torch.sigmoid(-centre * steep), torch.sigmoid((1 - centre) * steep)
    share = (_between(films, 0, 1, generator) < 0.6).to(films)
    return films + share * ((bent - low) / (high - low) - films)


def _smooth(films: Tensor, cells: int, generator: torch.Generator) -> Tensor:
    coarse = torch.randn(len(films), 1, cells, cells, generator=generator).to(films)
    return functional.interpolate(
        coarse, films.shape[-2:], mode="bicubic", align_corners=False
    )


def _hindered(films: Tensor, generator: torch.Generator) -> Tensor:
    """Black borders, and in some films a plate of any grey that hides what is there."""
    size = films.shape[-1]
    at = (torch.arange(size).to(films) + 0.5) / size

    def span(low: Tensor, high: Tensor, axis: int) -> Tensor:
        place = at.view(1, 1, -1, 1) if axis == 2 else at.view(1, 1, 1, -1)
        return ((place > low) & (place < high)).to(films)

    edges = [_between(films, -0.10, 0.08, generator) for _ in range(4)]
    field = span(edges[0], 1 - edges[1], 2) * span(edges[2], 1 - edges[3], 3)
    films = films * field + films.amin((-2, -1), keepdim=True) * (1 - field)
    for _ in range(2):
        corner = [_between(films, -0.1, 1.0, generator) for _ in range(2)]
        sides = [_between(films, 0.03, 0.22, generator) for _ in range(2)]
        plate = span(corner[0], corner[0] + sides[0], 2)
        plate = plate * span(corner[1], corner[1] + sides[1], 3)
        there = (_between(films, 0, 1, generator) < 0.35).to(films)
        dense = _between(films, 0.3, 1.0, generator) * there * plate
        films = films + dense * (_between(films, -0.1, 1.3, generator) - films)
    return films

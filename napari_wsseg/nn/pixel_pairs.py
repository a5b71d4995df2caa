"""Pairs of nearby pixels as tensors, by shifted views instead of index lists.

P offsets of a half plane, N sources: the pixels from which every offset stays inside.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import torch

from napari_wsseg.schema import IGNORE

Offset = tuple[int, int]


@dataclass(frozen=True, slots=True, eq=False)
class Pairs:
    """How often labels make a pair alike or different, summed over label maps.

    Parameters
    ----------
    radius
        Pairs are nearer than this, in pixels.
    background, finding, different : (B, P, N) float32
        Pairs of two background pixels, of two pixels of the same finding, of two
        unlike pixels. A pair with an ignored pixel is in none of them.
    """

    radius: int
    background: torch.Tensor
    finding: torch.Tensor
    different: torch.Tensor


def pairs(labels: torch.Tensor, *, radius: int = 10) -> Pairs:
    """Compare every pair of pixels of label maps.

    Parameters
    ----------
    labels : (B, h, w) or (B, K, h, w) uint8
        0 background, 1 and above findings, `IGNORE`. K maps of one film, one a
        finding, count each on its own.
    """
    maps = labels[:, None] if labels.ndim == 3 else labels
    source, other = ends(maps, radius)
    valid = (source != IGNORE) & (other != IGNORE)
    alike = (source == other) & valid
    absent = source == 0
    return Pairs(
        radius,
        (alike & absent).sum(1, dtype=torch.float32),
        (alike & ~absent).sum(1, dtype=torch.float32),
        (valid & ~alike).sum(1, dtype=torch.float32),
    )


def ends(maps: torch.Tensor, radius: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return both ends of every pair of (B, C, h, w) as (B, C, 1, N), (B, C, P, N)."""
    others = [_shifted(maps, offset, radius).flatten(2) for offset in _paths(radius)]
    return _shifted(maps, (0, 0), radius).flatten(2)[:, :, None], torch.stack(others, 2)


def offsets(radius: int, like: torch.Tensor) -> torch.Tensor:
    """Return the offsets (2, P), rows then columns, of `like`'s kind and device."""
    return torch.tensor(list(_paths(radius)), dtype=like.dtype, device=like.device).T


def path_max(maps: torch.Tensor, radius: int) -> torch.Tensor:
    """Return the largest value on each pair's path, (B, P, N) of (B, h, w).

    The place of each maximum is looked up without a graph; the gradient goes there,
    as a chain of maxima would send it, at a hundredth of the memory.
    """
    height, width = maps.shape[-2:]
    with torch.no_grad():
        places = torch.arange(height * width, device=maps.device)
        grid = places.view(1, height, width)
        winners = [
            _argmax_of(maps, grid, path, radius) for path in _paths(radius).values()
        ]
        index = torch.stack(winners, 1)
    values = maps.flatten(1).gather(1, index.flatten(1))
    return values.view(index.shape)


def _argmax_of(
    maps: torch.Tensor, grid: torch.Tensor, path: tuple[Offset, ...], radius: int
) -> torch.Tensor:
    """Return the flat place (B, N) of the largest of a path's pixels."""
    best = _shifted(maps, path[0], radius)
    place = _shifted(grid, path[0], radius).expand_as(best)
    for step in path[1:]:
        value = _shifted(maps, step, radius)
        larger = value > best
        best = torch.where(larger, value, best)
        place = torch.where(larger, _shifted(grid, step, radius), place)
    return place.flatten(1)


def _shifted(maps: torch.Tensor, offset: Offset, radius: int) -> torch.Tensor:
    """View what lies `offset` from every source, (…, h', w') of (…, h, w)."""
    margin = radius - 1
    height, width = maps.shape[-2:]
    if height <= margin or width <= 2 * margin:
        raise ValueError(
            f"a {height}×{width} map has no pairs of radius {radius}; it must be at "
            f"least {margin + 1}×{2 * margin + 1}, or take a smaller radius"
        )
    down, right = offset
    return maps[
        ...,
        down : height - margin + down,
        margin + right : width - margin + right,
    ]


@cache
def _paths(radius: int) -> dict[Offset, tuple[Offset, ...]]:
    """Return each half-plane offset nearer than `radius` with its path's pixels."""
    reach = range(1 - radius, radius)
    half = [(0, right) for right in range(1, radius)]
    half += [
        (down, right)
        for down in range(1, radius)
        for right in reach
        if down**2 + right**2 < radius**2
    ]
    return {offset: _path(*offset) for offset in half}


def _path(down: int, right: int) -> tuple[Offset, ...]:
    """Pixels of the bounding box less than one pixel from the segment."""
    columns = range(min(0, right), max(0, right) + 1)
    length = down**2 + right**2
    return tuple(
        (row, column)
        for row in range(down + 1)
        for column in columns
        if (row * right - column * down) ** 2 < length
    )

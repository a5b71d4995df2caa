"""The appearance kernel of colour images, on a permutohedral lattice.

Row, column and three colours are five coordinates: too many for a dense grid. The
lattice of Adams, Baek & Davis 2010 tiles their space with simplices; every pixel is
shared out over the six corners of its own, and only corners in use are kept. It blurs
in steps of half a cell's weight, so it is coarser than the grid of grey images; the
usual C++ package is built on the same lattice.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import sparse

if TYPE_CHECKING:
    from napari_wsseg.ops.crf_solvers.params import CrfParams


def appearance(
    levels: torch.Tensor, params: CrfParams
) -> Callable[[torch.Tensor], torch.Tensor]:
    """Return Q ↦ w K̃ Q for (C, H, W) maps on one colour image; computed on the CPU.

    Parameters
    ----------
    levels : (H, W, 3)
        Image in levels of 0 … 255.
    """
    height, width = levels.shape[:2]
    place = np.indices((height, width)).reshape(2, -1).T / params.bilateral_sigma_xy
    # Grey repeated in three colours counts thrice, so a colour's reach is √3 longer.
    reach = params.bilateral_sigma_grey * math.sqrt(3)
    colours = levels.cpu().double().numpy().reshape(-1, 3) / reach
    shares, blurs = _lattice(np.concatenate([place, colours], 1))
    given = shares.T.tocsr()

    def through(pixels: NDArray[np.float32]) -> NDArray[np.float32]:
        cells = given @ pixels
        for blur in blurs:
            cells = blur @ cells
        return np.asarray(shares @ cells)

    scale = 1 / np.sqrt(through(np.ones(height * width, np.float32)))
    weight = scale * np.float32(params.bilateral_compat)

    def send(beliefs: torch.Tensor) -> torch.Tensor:
        maps = beliefs.detach().cpu().float().flatten(1).numpy()
        sent = [weight * through(scale * one) for one in maps]
        return torch.from_numpy(np.stack(sent)).view(beliefs.shape).to(beliefs.device)

    return send


def _lattice(
    features: NDArray[np.float64],
) -> tuple[sparse.csr_matrix, list[sparse.csr_matrix]]:
    """Return what each point gives to each cell, and the blur along each direction."""
    count, size = features.shape
    points = _elevated(features)
    corner, rank = _remainder_zero(points)
    weights = _barycentric(points - corner, rank)
    # Corner k of the simplex: add k to the low-ranked coordinates, less d + 1 above.
    steps = np.arange(size + 1)
    shift = steps[None, :, None] - (size + 1) * (rank[:, None] > size - steps[:, None])
    keys = (corner[:, None] + shift).reshape(-1, size + 1)[:, :size].astype(np.int64)
    low, span = keys.min(0) - 2 * (size + 1), np.ptp(keys, axis=0) + 4 * (size + 1) + 1
    strides = np.concatenate([[1], np.cumprod(span[:-1])])
    if math.prod(int(s) for s in span) >= 2**63:
        raise ValueError(
            "the colour CRF's reach is too short for this image; make the bilateral "
            "sigmas longer"
        )
    cells, place = np.unique((keys - low) @ strides, return_inverse=True)
    ends = np.arange(0, count * (size + 1) + 1, size + 1)
    shares = sparse.csr_matrix(
        (weights.astype(np.float32).ravel(), place.ravel(), ends),
        shape=(count, len(cells)),
    )
    ways = np.ones((size + 1, size), np.int64)
    ways[np.arange(size), np.arange(size)] = -size
    return shares, [_blur(cells, int(way @ strides)) for way in ways]


def _elevated(features: NDArray[np.float64]) -> NDArray[np.float64]:
    """Lay points onto the plane of coordinates that sum to zero, a cell a deviation."""
    size = features.shape[1]
    number = np.arange(1, size + 1)
    scaled = features * (size + 1) * math.sqrt(2 / 3) / np.sqrt(number * (number + 1))
    after = np.cumsum(scaled[:, ::-1], axis=1)[:, ::-1]
    points = np.empty((len(features), size + 1))
    points[:, 0] = after[:, 0]
    points[:, 1:] = -number * scaled
    points[:, 1:-1] += after[:, 1:]
    return points


def _remainder_zero(
    points: NDArray[np.float64],
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the nearest lattice point of remainder 0, and each coordinate's rank."""
    size = points.shape[1]
    corner = (np.rint(points / size) * size).astype(np.int64)
    order = np.argsort(corner - points, axis=1, kind="stable")
    rank = np.empty_like(order)
    np.put_along_axis(rank, order, np.arange(size)[None], axis=1)
    rank = rank + corner.sum(1, keepdims=True) // size
    corner += size * (rank < 0) - size * (rank >= size)
    rank += size * (rank < 0) - size * (rank >= size)
    return corner, rank


def _barycentric(
    apart: NDArray[np.float64], rank: NDArray[np.int64]
) -> NDArray[np.float64]:
    size = apart.shape[1]
    by_rank = np.empty_like(apart)
    np.put_along_axis(by_rank, rank, apart / size, axis=1)
    weights = np.empty_like(apart)
    weights[:, 1:] = (by_rank[:, :-1] - by_rank[:, 1:])[:, ::-1]
    weights[:, 0] = 1 + by_rank[:, -1] - by_rank[:, 0]
    return weights


def _blur(cells: NDArray[np.int64], step: int) -> sparse.csr_matrix:
    """Return I + ½ (next + last) along one direction, among the cells in use."""
    place = np.searchsorted(cells, cells + step).clip(0, len(cells) - 1)
    here = np.flatnonzero(cells[place] == cells + step)
    half = np.full(len(here), 0.5, np.float32)
    ahead: Any = sparse.csr_matrix((half, (here, place[here])), shape=(len(cells),) * 2)
    identity = sparse.identity(len(cells), np.float32, format="csr")
    return (identity + ahead + ahead.T).tocsr()

"""Affinity of pixel pairs from a boundary map, and the random walk along it.

Two pixels belong together as far as no boundary lies between them: their affinity is
one minus the highest boundary on the straight path that joins them (IRNet, Ahn 2019,
arXiv:1904.05044). Training learns the boundary from pairs whose labels are known;
the walk then carries heat to every pixel that can be reached without crossing it.

Every pair with both ends inside the map counts. The published code leaves out pairs
that start within a radius of the left, right and lower edge; ours does not.
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple, TypeVar, cast

import numpy as np
import torch
from numpy.typing import NDArray

from napari_wsseg.ops._tensors import floats
from napari_wsseg.ops.pixel_pairs import PathOffset as PathOffset
from napari_wsseg.ops.pixel_pairs import ends
from napari_wsseg.ops.pixel_pairs import path_offsets as path_offsets
from napari_wsseg.ops.walks import walk as _walk
from napari_wsseg.ops.walks.path_max import PathMax
from napari_wsseg.schema import IGNORE

Array = TypeVar("Array", NDArray[np.floating[Any]], torch.Tensor)


class PairLabels(NamedTuple):
    """What the seeds say of every pixel pair; each (n_offsets, …, h, w) bool.

    A pair is in at most one of the three; pairs that leave the map, and pairs with an
    ignored end, are in none.
    """

    background: torch.Tensor
    finding: torch.Tensor
    different: torch.Tensor


def path_max(boundary: torch.Tensor, radius: int) -> torch.Tensor:
    """Return the highest boundary on the path of every pixel pair, differentiable.

    Its affinity is one minus that.

    Parameters
    ----------
    boundary : (…, h, w)
        Boundary probability in [0, 1].
    radius
        Pairs closer than this many pixels.

    Returns
    -------
    Tensor : (n_offsets, …, h, w)
        In the order of `path_offsets`, at the pair's source pixel; 1 where the
        neighbour is outside the map. The gradient goes to the highest pixel of each
        path, to the first one of several.
    """
    if boundary.device.type == "mps":  # has no double precision, which PathMax needs
        return path_max(boundary.cpu(), radius).to(boundary.device)
    return cast(torch.Tensor, PathMax.apply(boundary, path_offsets(radius)))


def pair_labels(seed: torch.Tensor, radius: int) -> PairLabels:
    """Sort pixel pairs by what the seeds say of their two ends.

    Parameters
    ----------
    seed : (…, h, w) integer
        0 background, 1 … C findings, `IGNORE` unknown; on any device.
    radius
        Pairs closer than this many pixels, in the order of `path_offsets`.
    """
    offsets = path_offsets(radius)
    shape = (len(offsets), *seed.shape)
    labels = PairLabels(
        *(torch.zeros(shape, dtype=torch.bool, device=seed.device) for _ in range(3))
    )
    known = seed != IGNORE
    for place, ((dy, dx), _) in enumerate(offsets):
        source, target = ends(seed.shape, dy, dx)
        here, there = seed[source], seed[target]
        both, same = known[source] & known[target], here == there
        labels.background[place][source] = both & same & (here == 0)
        labels.finding[place][source] = both & same & (here != 0)
        labels.different[place][source] = both & ~same
    return labels


def random_walk(
    heat: Array,
    boundary: Array,
    *,
    radius: int = 5,
    beta: float = 10.0,
    steps: int = 256,
    method: Literal["chebyshev", "sparse", "dense"] = "chebyshev",
) -> Array:
    """Let heat flow to every pixel that no boundary parts it from.

    The walk is ``(D⁻¹A)^steps (heat · (1 − boundary))`` with A the affinities to the
    power `beta`, 1 on the diagonal, 0 outside the map, and D their row sums: an
    average, which keeps a constant map constant.

    Parameters
    ----------
    heat : (C, h, w)
        Maps that walk on the same boundary, numpy or torch on any device.
    boundary : (h, w)
        Boundary probability in [0, 1]; same kind and device as `heat`.
    radius
        Pairs closer than this many pixels of the map.
    beta
        Power of the affinities: higher stops sooner at weak boundaries.
    steps
        Steps of the walk.
    method
        ``"chebyshev"``: the same operator as a series of about 4.5 √steps products,
        cut where less than 1e-5 of its weight is left. ``"sparse"``: step by step.
        ``"dense"``: powers of the full matrix, for comparison; needs (h·w)² numbers,
        several times.

    Returns
    -------
    (C, h, w)
        Same kind, device and floating type as `heat` (float32 for other types); not
        divided by its peak and not thresholded.

    Raises
    ------
    ValueError
        If shapes differ, or the boundary is no probability.
    """
    maps, edges = floats(heat), floats(boundary)
    edges = edges.to(maps.dtype)
    _check(maps, edges, steps)
    affinity = (1 - path_max(edges, radius)) ** beta
    offsets = [offset for offset, _ in path_offsets(radius)]
    start = (maps * (1 - edges)).flatten(1)
    walked = _walk.walk(affinity, offsets, start, steps=steps, method=method)
    walked = walked.reshape(maps.shape)
    return walked.numpy() if isinstance(heat, np.ndarray) else walked.to(heat.device)


def _check(heat: torch.Tensor, boundary: torch.Tensor, steps: int) -> None:
    if heat.ndim != 3 or boundary.shape != heat.shape[1:]:
        raise ValueError(
            f"heat is {tuple(heat.shape)} and boundary {tuple(boundary.shape)}; give "
            "(C, h, w) and (h, w), resized to the same grid"
        )
    if not bool(((boundary >= 0) & (boundary <= 1)).all()):
        raise ValueError(
            "boundary leaves [0, 1] or holds NaN; give probabilities, after the sigmoid"
        )
    if steps < 0:
        raise ValueError(f"steps is {steps}; a walk cannot go backwards")

"""The operator of the random walk, three ways: series, step by step, full matrix."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, TypeAlias

import numpy as np
import torch

from napari_wsseg.ops import _threads
from napari_wsseg.ops.pixel_pairs import Offset, all_around, diagonals

TAIL = 1e-5
"""Weight of the terms that the Chebyshev series may leave out."""

# The series is the same arithmetic on numpy and torch arrays; neither type says so.
Apply: TypeAlias = Callable[[Any], Any]


def walk(
    affinity: torch.Tensor,
    offsets: Sequence[Offset],
    start: torch.Tensor,
    *,
    steps: int,
    method: str,
) -> torch.Tensor:
    """Return ``(D⁻¹A)^steps start``.

    Parameters
    ----------
    affinity : (n_offsets, h, w)
        Of each pixel and its neighbour; 0 where the neighbour is outside.
    offsets
        Half-plane neighbours, row by row.
    start : (C, h * w)
    steps
        Of the walk, at least 0.
    method
        A name in `METHODS`, or ``"dense"``.
    """
    near = _neighbours(affinity, offsets)
    if method == "dense":
        power = torch.linalg.matrix_power(_matrix(near, offsets).to_dense(), steps)
        reached: torch.Tensor = start @ power.T
        return reached
    if method not in METHODS:
        known = ", ".join([*METHODS, "dense"])
        raise ValueError(f"no walk method {method!r}; there are: {known}")
    step = METHODS[method]
    if affinity.device.type != "cpu":
        rows = _matrix(near, offsets)
        on_device: torch.Tensor = step(lambda maps: (rows @ maps.T).T, start, steps)
        return on_device
    apply = _averages(near, offsets)
    # scipy lets go of the interpreter lock, so every map can have a core.
    walked = _threads.each(lambda one: step(apply, one, steps), start.numpy())
    return torch.from_numpy(np.stack(walked)) if walked else start


def chebyshev(apply: Apply, start: Any, steps: int) -> Any:
    """Walk by a truncated Chebyshev series of x ↦ x^steps.

    D⁻¹A is similar to a symmetric matrix with spectrum in [−1, 1], on which
    ``x^k = 2^(1−k) Σ' C(k, (k−j)/2) T_j(x)``; the coefficients are the chances that a
    coin-flip walk of k steps ends at ±j, so few of them matter. They are rescaled to
    sum to one, which keeps constants.

    Parameters
    ----------
    apply
        Takes one step of a walk with that symmetric matrix.
    start
        What `apply` takes, a map in a row.
    steps
        Of the walk, at least 0.
    """
    weights = series(steps)
    if len(weights) > steps:
        return step_by_step(apply, start, steps)
    before, now = start, apply(start)
    total = weights[0] * before + weights[1] * now
    for weight in weights[2:]:
        before, now = now, 2 * apply(now) - before
        if weight:
            total += weight * now
    # Terms change sign, so rounding can leave a trace below zero where heat is zero.
    return total * (total > 0) if (start >= 0).all() else total


def step_by_step(apply: Apply, start: Any, steps: int) -> Any:
    """Walk one sparse product at a time.

    Parameters
    ----------
    apply, start, steps
        As in `chebyshev`; any matrix will do.
    """
    for _ in range(steps):
        start = apply(start)
    return start


METHODS = {"chebyshev": chebyshev, "sparse": step_by_step}


@lru_cache(maxsize=32)
def series(steps: int) -> tuple[float, ...]:
    """Return Chebyshev coefficients of x^steps up to where less than `TAIL` is left."""
    weights = [0.0] * (steps + 1)
    for j in range(steps % 2, steps + 1, 2):
        ups = (steps - j) // 2
        chance = math.ldexp(math.comb(steps, ups), -steps)
        weights[j] = chance * (2 if j else 1)  # at +j and at −j
    kept = np.cumsum(weights)
    degree = int(np.argmax(kept > 1 - TAIL))
    return tuple(float(weight / kept[degree]) for weight in weights[: degree + 1])


def _neighbours(affinity: torch.Tensor, offsets: Sequence[Offset]) -> torch.Tensor:
    near = affinity.new_zeros((2 * len(offsets) + 1, *affinity.shape[1:]))
    filled: torch.Tensor = all_around(near, affinity, offsets)
    return filled


def _averages(near: torch.Tensor, offsets: Sequence[Offset]) -> Apply:
    """Return x ↦ D⁻¹A x for one numpy map."""
    inverse = (1 / near.sum(0, dtype=torch.float64)).to(near.dtype).numpy().ravel()
    matrix = diagonals(near.numpy(), offsets)
    return lambda one: inverse * (matrix @ one)


def _matrix(near: torch.Tensor, offsets: Sequence[Offset]) -> torch.Tensor:
    """Return D⁻¹A in compressed rows."""
    height, width = near.shape[1:]
    inside, columns, pointers = _pattern(
        height, width, tuple(offsets), str(near.device)
    )
    values = (near / near.sum(0)).flatten(1).T[inside]
    with warnings.catch_warnings():
        # torch calls all compressed rows a beta; the two products used here are not
        # in doubt, they are checked against the full matrix.
        warnings.filterwarnings("ignore", message="Sparse CSR tensor support")
        return torch.sparse_csr_tensor(
            pointers,
            columns,
            values,
            size=(height * width,) * 2,
            check_invariants=False,
        )


@lru_cache(maxsize=4)
def _pattern(
    height: int, width: int, offsets: tuple[Offset, ...], device: str
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return which neighbours of which pixel exist, their columns, and row pointers."""
    half = torch.tensor(offsets)
    shifts = torch.cat([-half.flip(0), torch.zeros(1, 2, dtype=half.dtype), half])
    y = torch.arange(height)[:, None, None] + shifts[:, 0]
    x = torch.arange(width)[None, :, None] + shifts[:, 1]
    inside = ((y >= 0) & (y < height) & (x >= 0) & (x < width)).flatten(0, 1)
    columns = (y * width + x).flatten(0, 1)[inside].to(torch.int32)
    pointers = torch.zeros(height * width + 1, dtype=torch.int32)
    pointers[1:] = inside.sum(1).cumsum(0)
    return inside.to(device), columns.to(device), pointers.to(device)

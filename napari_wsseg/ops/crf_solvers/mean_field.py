"""Mean-field updates, the same for every way of sending messages."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

import torch

from napari_wsseg.ops import _threads
from napari_wsseg.ops.crf_solvers import exact, grid

if TYPE_CHECKING:
    from napari_wsseg.ops.crf_solvers.params import CrfParams

Messages: TypeAlias = Callable[[torch.Tensor], torch.Tensor]

_BATCH = 80_000_000
"""Pixels times findings that a GPU solves at once; about 2 GiB at its peak."""


_SUMMED = 64 * 64
"""Pixels of a colour picture up to which every pair is summed: its lattice would be
coarser, and not much quicker."""


def solve(
    unary: torch.Tensor, levels: torch.Tensor, params: CrfParams, backend: str
) -> torch.Tensor:
    """Return beliefs (K, H, W) in labels that exclude each other.

    Parameters
    ----------
    unary : (K, H, W)
        log probability.
    levels : (H, W) or (H, W, 3)
        Image in grey levels of 0 … 255, on the same device.
    params, backend
        Widths, weights and iterations; and ``"grid"``,
        ``"exact"`` or ``"pydensecrf"``.
    """

    def refine() -> torch.Tensor:
        messages = _messages(levels, params, backend, parts=_threads.cores())
        refined = unary.softmax(0)
        for _ in range(params.iterations):
            refined = messages(refined).add_(unary).softmax(0)
        return refined

    return _threads.alone(refine) if unary.device.type == "cpu" else refine()


def solve_binary(
    start: torch.Tensor,
    logits: torch.Tensor,
    levels: torch.Tensor,
    params: CrfParams,
    backend: str,
) -> torch.Tensor:
    """Return beliefs (K, H, W) in findings, each against its own background.

    Parameters
    ----------
    start : (K, H, W)
        Probability of each finding, the first guess.
    logits : (K, H, W)
        Its log odds, which every update starts from.
    levels : (H, W) or (H, W, 3)
        Image in grey levels of 0 … 255, on the same device.
    params, backend
        Widths, weights and iterations; and ``"grid"``,
        ``"exact"`` or ``"pydensecrf"``.
    """
    on_cpu = start.device.type == "cpu"
    parts = max(1, _threads.cores() // len(start)) if on_cpu else 1

    def prepare() -> tuple[Messages, torch.Tensor]:
        messages = _messages(levels, params, backend, parts=parts)
        return messages, messages(torch.ones_like(start[:1]))

    messages, even = _threads.alone(prepare) if on_cpu else prepare()

    def refine(some: slice) -> torch.Tensor:
        base, guess = logits[some] - even, start[some]
        for _ in range(params.iterations):
            guess = messages(guess).mul_(2).add_(base).sigmoid_()
        return guess

    # On a CPU one finding at a time stays in cache; a GPU wants them all at once.
    batch = 1 if on_cpu else max(1, _BATCH // start[0].numel())
    batches = [slice(k, k + batch) for k in range(0, len(start), batch)]
    refined = _threads.each(refine, batches) if on_cpu else map(refine, batches)
    return torch.cat(list(refined))


def _messages(
    levels: torch.Tensor, params: CrfParams, backend: str, *, parts: int
) -> Messages:
    small = levels.ndim == 3 and levels.shape[0] * levels.shape[1] <= _SUMMED
    if backend == "exact" or (backend == "grid" and small):
        return exact.messages(levels, params)
    if backend == "grid":
        return grid.messages(levels, params, parts=parts)
    raise ValueError(f"no CRF backend {backend!r}; there are: exact, grid, pydensecrf")

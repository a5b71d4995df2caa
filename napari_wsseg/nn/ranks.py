"""Several processes that learn one model: who has which films, and sums over all.

Each process takes its share of the same batch. What a loss divides by is summed over
all of them first, so that the gradient, averaged over the processes, is that of the
whole batch whatever it holds: an average of averages would not be, since one process
may have more known labels than another.

Outside `together` there is one process, whatever was launched.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn

Batch = TypeVar("Batch", bound=Sequence[Any] | Tensor)

_learning = False


@contextmanager
def together() -> Iterator[None]:
    """Take every step with the other processes from here on."""
    global _learning
    before, _learning = _learning, dist.is_available() and dist.is_initialized()
    try:
        yield
    finally:
        _learning = before


def count() -> int:
    """Return how many processes learn together; 1 outside `together`."""
    return dist.get_world_size() if _learning else 1


def number() -> int:
    """Return which of them this is, from 0."""
    return dist.get_rank() if _learning else 0


def share(batch: Batch) -> Batch:
    """Return this process's rows of a batch: every `count`-th, from its `number`."""
    return batch[number() :: count()]  # type: ignore[return-value]


def evenly(rows: Sequence[int]) -> list[int]:
    """Return this process's rows of any number; some come twice, to be as many in each.

    What is made of them is brought together by `gathered`, whose end is then cut off.
    """
    missing = -len(rows) % count()
    return share([*rows, *[rows[0]] * missing])


def total(mine: Tensor) -> Tensor:
    """Return the sum of a tensor over all processes; gradients flow back through it."""
    if count() == 1:
        return mine
    summed: Tensor = _Total.apply(mine)
    return summed


def any_process(mine: bool, device: torch.device) -> bool:
    """Whether something holds in any of the processes."""
    if count() == 1:
        return mine
    flag = torch.tensor(float(mine), device=device)
    dist.all_reduce(flag, dist.ReduceOp.MAX)
    return bool(flag)


def as_first(mine: bool, device: torch.device) -> bool:
    """Return what the first process says."""
    if count() == 1:
        return mine
    flag = torch.tensor(float(mine), device=device)
    dist.broadcast(flag, 0)
    return bool(flag)


def gathered(mine: Tensor) -> Tensor:
    """Return the rows of all processes, in the order of the batch; no gradient.

    Parameters
    ----------
    mine : (B / count, …)
        Rows as `share` dealt them; every process has as many.
    """
    if count() == 1:
        return mine
    each = [torch.empty_like(mine) for _ in range(count())]
    dist.all_gather(each, mine.detach().contiguous())
    return torch.stack(each, 1).flatten(0, 1)


def synchronise_norms(model: nn.Module, device: torch.device) -> nn.Module:
    """Return the model with batch norms that see the whole batch.

    On a GPU they are `torch.nn.SyncBatchNorm`, which knows no processor; there the
    layers change their class and keep their weights.
    """
    if count() == 1:
        return model
    if device.type == "cuda":
        synced: nn.Module = nn.SyncBatchNorm.convert_sync_batchnorm(model)  # type: ignore[no-untyped-call]
        return synced
    for layer in model.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.__class__ = _WholeBatchNorm
    return model


class _Total(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, mine: Tensor) -> Tensor:
        summed = mine.detach().clone()
        dist.all_reduce(summed)
        return summed

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        # Each process has a loss of its own that depends on every part of the sum.
        summed = gradient.contiguous().clone()
        dist.all_reduce(summed)
        return summed


class _WholeBatchNorm(nn.BatchNorm2d):
    """Batch norm by the mean and variance of all processes' films."""

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or count() == 1:
            return super().forward(x)
        wide = x.to(torch.promote_types(x.dtype, torch.float32))
        axes = (0, 2, 3)
        values = total(wide.new_tensor(wide.numel() / wide.shape[1]))
        mean = total(wide.sum(axes)) / values
        apart = wide - mean[:, None, None]
        variance = total(apart.square().sum(axes)) / values
        self._remember(mean.detach(), variance.detach() * values / (values - 1))
        scale = (variance + self.eps).rsqrt()
        weight = self.weight if self.affine else torch.ones_like(mean)
        bias = self.bias if self.affine else torch.zeros_like(mean)
        normed = apart * (scale * weight)[:, None, None] + bias[:, None, None]
        return normed.to(x.dtype)

    @torch.no_grad()
    def _remember(self, mean: Tensor, variance: Tensor) -> None:
        if self.running_mean is None or self.running_var is None:
            return
        share = 0.1 if self.momentum is None else self.momentum
        self.running_mean.lerp_(mean.to(self.running_mean), share)
        self.running_var.lerp_(variance.to(self.running_var), share)
        if self.num_batches_tracked is not None:
            self.num_batches_tracked.add_(1)

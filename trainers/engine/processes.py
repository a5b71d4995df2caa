"""Processes launched together for one run: one leads and writes, the others help.

``torchrun``, ``accelerate launch`` and ``wsseg train --processes`` start the same
command several times. The first process makes the run's folder, prepares what can be
kept on disk, writes and tells; the others wait for it and then take their share of
every batch (`napari_wsseg.nn.ranks`).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar

import torch
import torch.distributed as dist

from napari_wsseg.jobs import UsageError
from napari_wsseg.nn import ranks

if TYPE_CHECKING:
    from trainers.engine.recipe import TrainingConfig

Led = TypeVar("Led")

#: The first process may decode films for hours before the others are needed.
_PATIENCE = timedelta(days=30)

_control: dist.ProcessGroup | None = None
_begun = False


def launched() -> int:
    """Return how many processes were launched together, by the environment."""
    return int(os.environ.get("WORLD_SIZE", "1") or 1)


def leads() -> bool:
    """Whether this process is the one that writes and tells."""
    return int(os.environ.get("RANK", "0") or 0) == 0


@contextmanager
def joined(*, cpu: bool) -> Iterator[None]:
    """Meet the processes launched beside this one, if there are any."""
    global _control, _begun
    if launched() == 1:
        yield
        return
    from accelerate import PartialState

    PartialState(cpu=cpu or not torch.cuda.is_available())
    _control, _begun = dist.new_group(backend="gloo", timeout=_PATIENCE), False  # type: ignore[assignment]
    try:
        yield
    finally:
        _control = None
        dist.destroy_process_group()


def led(prepare: Callable[[], Led], report: Callable[[Led], object]) -> Led:
    """Prepare in the first process what the others are `told` by `heard`.

    If it fails they are told ``None``.
    """
    try:
        made = prepare()
    except BaseException:
        _broadcast(None)
        raise
    _broadcast(report(made))
    return made


def heard() -> Any:
    """Wait for the first process, and return what it tells the others next."""
    received: list[Any] = [None]
    dist.broadcast_object_list(received, src=0, group=_control)
    return received[0]


@contextmanager
def learning_together(*, alone: bool) -> Iterator[None]:
    """Let the other processes begin, and take every step with them."""
    if alone or _control is None:
        yield
        return
    _begin(True)
    with ranks.together():
        yield


def end() -> None:
    """Let the others go, who may still wait to begin."""
    if _control is not None:
        _begin(False)


def check(config: TrainingConfig) -> None:
    """Refuse a batch that the processes cannot share evenly.

    Raises
    ------
    UsageError
        If ``config.batch`` is no multiple of their number.
    """
    count = launched()
    if config.batch % count:
        below = config.batch // count * count
        choices = [str(value) for value in (below, below + count) if value]
        raise UsageError(
            f"batch={config.batch} cannot be shared evenly by {count} processes; set "
            "batch=" + " or batch=".join(choices)
        )


def partner_lost(error: BaseException) -> bool:
    """Whether an error says that another process of the run is gone."""
    if launched() == 1:
        return False
    text = str(error).lower()
    return isinstance(error, dist.DistError) or "gloo" in text or "nccl" in text


def _begin(begin: bool) -> None:
    global _begun
    if leads() and not _begun:
        _begun = True
        _broadcast(begin)


def _broadcast(what: object) -> None:
    if _control is not None:
        dist.broadcast_object_list([what], src=0, group=_control)

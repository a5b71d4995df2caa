"""Make the anatomy weights that come with the program, from synthetic films alone.

python -m benchmarks.anatomy_weights [OUT] [--finish]

Writes ``OUT`` (default: where the program looks) in half precision. No real film, no
label and no project is read. A quarter of an hour on one free core. With ``--finish``
OUT holds what the first part left, and only the second is done.
"""

from __future__ import annotations

import sys
import threading
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import torch

from napari_wsseg.io import checkpoints
from napari_wsseg.jobs import Checkpoint, Progress
from napari_wsseg.pipeline.inference import anatomy as _anatomy
from trainers.anatomy import AnatomyConfig, anatomy
from trainers.engine.recipe import Context

# What the weights in the program are: a run planned for 3000 steps, left at 500, and
# 100 of 300 planned steps on films of other seeds. Both averages of weights are kept,
# the second is what ships. Longer helps on synthetic films alone: docs/anatomy.md.
BEGIN = AnatomyConfig(
    start="random",
    own=0.0,
    synthetic=2400,
    epochs=10,
    batch=8,
    learning_rate=2e-3,
    average=0.995,
    checks=6,
)
LEAVE_AT = 500
FINISH_AT = 100
FINISH = AnatomyConfig(
    start="shipped",
    own=0.0,
    synthetic=400,
    epochs=6,
    batch=8,
    learning_rate=1.5e-3,
    average=0.98,
    checks=3,
    seed=1,
)


def main(out: Path, *, finish_only: bool = False) -> None:
    if not finish_only:
        _learn(BEGIN, out, LEAVE_AT)
    _anatomy.WEIGHTS = out  # where the second begins
    _learn(FINISH, out, FINISH_AT)


def _learn(config: AnatomyConfig, out: Path, leave_at: int = 0) -> None:
    # No project is read, so none is given.
    context = Context(cast(Any, SimpleNamespace(findings=())), threading.Event())
    began = time.monotonic()
    for event in anatomy(context, config):
        if isinstance(event, Progress):
            if event.step % 50 == 0:
                metrics = ", ".join(f"{k} {v:.3g}" for k, v in event.metrics.items())
                print(
                    f"{event.message} {event.step}/{event.total} {metrics}", flush=True
                )
            continue
        checkpoints.write(out, _halved(event))
        print(f"{time.monotonic() - began:.0f} s", event.metrics, flush=True)
        if leave_at and event.resume and event.resume["step"] >= leave_at:
            return


def _halved(event: Checkpoint) -> Checkpoint:
    return replace(
        event,
        weights={
            name: tensor.half() if tensor.dtype == torch.float32 else tensor
            for name, tensor in event.weights.items()
        },
    )


if __name__ == "__main__":
    arguments = [word for word in sys.argv[1:] if word != "--finish"]
    where = Path(arguments[0]) if arguments else _anatomy.WEIGHTS
    main(where, finish_only="--finish" in sys.argv)

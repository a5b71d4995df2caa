"""Make the anatomy weights that come with the program, from synthetic films alone.

python -m benchmarks.anatomy_weights [OUT]

Writes ``OUT`` (default: where the program looks) in half precision. No real film, no
label and no project is read. Half an hour to an hour on one core.
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
from napari_wsseg.pipeline.inference import anatomy as shipped
from trainers.anatomy import AnatomyConfig, anatomy
from trainers.engine.recipe import Context

CONFIG = AnatomyConfig(
    start="random",
    own=0.0,
    synthetic=2400,
    epochs=10,
    batch=8,
    learning_rate=2e-3,
    average=0.995,
    checks=6,
    seed=0,
)


def main(out: Path) -> None:
    context = Context(cast(Any, SimpleNamespace(findings=())), threading.Event())
    began = time.monotonic()
    for event in anatomy(context, CONFIG):
        if isinstance(event, Progress) and event.step % 100 == 0:
            told = ", ".join(f"{k} {v:.3g}" for k, v in event.metrics.items())
            print(f"{event.message} {event.step}/{event.total} {told}", flush=True)
        if isinstance(event, Checkpoint):
            checkpoints.write(out, _halved(event))
            print(f"{time.monotonic() - began:.0f} s", event.metrics, flush=True)


def _halved(event: Checkpoint) -> Checkpoint:
    return replace(
        event,
        weights={
            name: tensor.half() if tensor.dtype == torch.float32 else tensor
            for name, tensor in event.weights.items()
        },
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else shipped.WEIGHTS)

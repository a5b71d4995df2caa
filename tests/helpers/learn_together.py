"""Run recipes in double precision, alone or together; their figures go to a file.

``python -m torch.distributed.run … -m helpers.learn_together PROJECT OUT RECIPE…``:
every process takes its share, and the first writes what all saw.
"""

from __future__ import annotations

import json
import sys
import threading
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from napari_wsseg.io.project import Project
from napari_wsseg.jobs import Progress
from trainers.engine import processes
from trainers.engine.recipe import Context, configure, recipes

COMMON: dict[str, Any] = {
    **{"size": 64, "batch": 4, "device": "cpu", "precision": "fp32", "checks": 1},
    **{"learning_rate": 1e-3, "schedule": "constant", "epochs": 7},
}
OWN: dict[str, dict[str, Any]] = {
    "classifier": {"weights": "", "mixup": 0.5},
    "chexseg": {
        **{"p": 0.6, "n_expert": 4, "labels": "cam", "init": "random"},
        # No head that drops out: which numbers it draws depends on the films in hand.
        **{"present_weight": 0.0, "absent_weight": 0.5},
    },
    "irnet": {"displacement": True},
    "tied_deconv": {"stages": 1, "width": 0.125, "first_network": "none"},
}


def main(project: Path, out: Path, names: list[str]) -> None:
    """Write the figures of every step by recipe."""
    torch.set_num_threads(1)
    torch.set_default_dtype(torch.float64)
    # Losses are summed in single precision, which training multiplies.
    Tensor.float = Tensor.double  # type: ignore[method-assign]
    nn.modules.module.register_module_forward_pre_hook(_in_double)
    with processes.joined(cpu=True):
        if not processes.leads():
            # The word to begin comes once what can be kept on disk is there.
            processes.heard()
        found = {name: _metrics(project, name) for name in names}
        if processes.leads():
            out.write_text(json.dumps(found))


def _in_double(module: nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(
        each.double()
        if isinstance(each, Tensor) and each.dtype == torch.float32
        else each
        for each in inputs
    )


def _metrics(folder: Path, name: str) -> list[dict[str, float]]:
    own = dict(COMMON)
    own.update(OWN[name])
    known = configure(name, {}).__dict__
    config = configure(name, {key: own[key] for key in own if key in known})
    with Project.open(folder) as project:
        context = Context(project, threading.Event())
        return [
            dict(event.metrics)
            for event in recipes[name].train(context, config)
            if isinstance(event, Progress) and "loss" in event.metrics
        ]


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:])

"""What a training needs of memory, told before it starts.

``python -m trainers._memory RECIPE -p PROJECT`` prints one JSON object. The network is
built and run forward on torch's meta device, which counts without computing, so the
answer costs no memory of its own, on whatever device the training will run.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import torch
from torch import Tensor, nn

from napari_wsseg.io import checkpoints, runs
from napari_wsseg.io.project import Project
from napari_wsseg.jobs import WssegError
from trainers import presets
from trainers.__main__ import settings_from
from trainers.engine.loop import accelerator
from trainers.engine.recipe import TrainingConfig, configure, in_turn

#: Of the process itself before the first film, measured with torch 2.15.
PROCESS = {"cpu": 950 * 2**20, "cuda": 500 * 2**20, "mps": 500 * 2**20}
#: Weights, gradients, two moments of Adam, and the running mean of the weights.
COPIES_OF_WEIGHTS = 5
#: On top of what backward keeps: gradients on their way, convolutions' workspace.
ON_THE_WAY = 1.2
#: Share of what is free that is left to others.
HEADROOM = 0.1


@dataclass(frozen=True, slots=True)
class Need:
    """Memory of a training, in bytes.

    Parameters
    ----------
    fixed
        However many films a batch holds.
    per_film
        Of each film of a batch.
    """

    fixed: int
    per_film: int

    def for_batch(self, batch: int) -> int:
        """Return what a batch of so many films needs."""
        return self.fixed + batch * self.per_film


def need(config: TrainingConfig, n_findings: int, backbone: Mapping[str, Any]) -> Need:
    """Return what training by `config` needs.

    Parameters
    ----------
    backbone
        Header of the classifier that IRNet would be built on; empty: a usual one.

    Raises
    ------
    NotImplementedError
        For a recipe whose network is not known here.
    """
    hub = accelerator(config)
    kept, weights, frozen = 0, 0, 0
    with torch.device("meta"):
        networks = config.networks(n_findings, backbone)
    for one in networks:
        kept = max(kept, _kept(one, *config.film_input(backbone)) * config.passes)
        learnt = sum(p.numel() for p in one.parameters() if p.requires_grad)
        weights = max(weights, learnt)
        frozen = max(frozen, sum(p.numel() for p in one.parameters()) - learnt)
    if hub.mixed_precision != "no":
        # Under autocast convolutions keep half-size maps, norms and losses do not.
        kept = round(kept * 0.6)
    fixed = PROCESS[hub.device.type] + 4 * (weights * COPIES_OF_WEIGHTS + frozen * 2)
    return Need(fixed, round(kept * ON_THE_WAY))


def free(device: str) -> tuple[int, int]:
    """Return bytes free and in all: of the graphics card, else of the machine."""
    if device == "cuda":
        return torch.cuda.mem_get_info()
    memory = psutil.virtual_memory()
    limit = _container_limit()
    total = min(memory.total, limit) if limit else memory.total
    return min(memory.available, total), total


def estimate(recipes: Mapping[str, TrainingConfig], project: Project) -> dict[str, Any]:
    """Return the need of the hungriest recipe, and what there is, as JSON values."""
    found = {}
    for name, config in recipes.items():
        backbone = _backbone(project, config)
        found[name] = (need(config, len(project.findings), backbone), config)
    name, (most, config) = max(
        found.items(), key=lambda one: one[1][0].for_batch(one[1][1].batch)
    )
    device = accelerator(config).device.type
    available, total = free(device)
    return {
        "recipe": name,
        "device": device,
        "fixed": most.fixed,
        "per_film": most.per_film,
        "batch": config.batch,
        "free": round(available * (1 - HEADROOM)),
        "total": total,
    }


def main(argv: list[str] | None = None) -> int:
    """Print the answer, or ``{"unknown": why}``."""
    parser = argparse.ArgumentParser(prog="python -m trainers._memory")
    parser.add_argument("recipe", nargs="?", help="none: all that the preset has")
    parser.add_argument("-p", "--project", type=Path, required=True)
    parser.add_argument("--preset", default="fast")
    parser.add_argument("--set", nargs="+", action="extend", default=[])
    arguments = parser.parse_args(argv)
    try:
        if arguments.recipe:
            wanted = {arguments.recipe: dict(settings_from(arguments.set))}
        else:
            wanted = _of_preset(arguments.preset)
        configs = {name: configure(name, dict(each)) for name, each in wanted.items()}
        with Project.open(arguments.project) as project:
            answer = estimate(configs, project)
    except (WssegError, NotImplementedError, KeyError) as error:
        answer = {"unknown": str(error)}
    sys.stdout.write(json.dumps(answer) + "\n")
    return 0


def _of_preset(preset: str) -> dict[str, dict[str, Any]]:
    """Return the settings of the recipes that ``wsseg run`` trains in turn."""
    own = presets.get(preset, {})
    return {one.name: own.get(one.name, {}) for one in in_turn(own)}


def _kept(model: nn.Module, size: int, channels: int) -> int:
    """Return the bytes per film that a forward pass keeps for the backward one."""
    model.train()
    kept: dict[int, Tensor] = {}
    own = {_place(p) for p in [*model.parameters(), *model.buffers()]}

    def keep(tensor: Tensor) -> Tensor:
        if _place(tensor) not in own:
            kept[_place(tensor)] = tensor
        return tensor

    # Two films: some layers norm over a batch whose maps are one pixel.
    films = torch.zeros(2, channels, size, size, device="meta")
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        # Held until it is counted, or a freed map's place would be another's.
        result = model(films)
    size_of = sum(tensor.untyped_storage().nbytes() for tensor in kept.values())
    del result
    return size_of // 2


def _place(tensor: Tensor) -> int:
    return int(tensor.untyped_storage()._cdata)


def _backbone(project: Project, config: TrainingConfig) -> dict[str, Any]:
    """Return the header of the classifier that a training would build on."""
    if not hasattr(config, "classifier_run"):
        return {}
    run = config.classifier_run or project.adopted("cam")
    if not run:
        return {}
    try:
        header, _ = checkpoints.read(runs.find(project.folder, run).best)
    except WssegError:
        return {}
    return header if header["network"]["kind"] == "classifier" else {}


def _container_limit() -> int:
    """Return the bytes that a container may use, 0 where there is no limit."""
    try:
        word = Path("/sys/fs/cgroup/memory.max").read_text("utf-8").strip()
    except OSError:
        return 0
    return int(word) if word.isdigit() else 0


if __name__ == "__main__":
    sys.exit(main())

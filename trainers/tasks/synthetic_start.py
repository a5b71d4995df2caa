"""A start from synthetic films: what a chest looks like, learnt from our generator.

A network that starts from random weights learns a hundred films by heart. Films that
the generator makes for nothing teach it lungs, ribs and hearts first. They are made and
learnt from once a machine and kept in the user's cache folder.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Generator, Mapping
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from napari_wsseg.datasets import _sample
from napari_wsseg.io import checkpoints
from napari_wsseg.io.film_cache import Films
from napari_wsseg.jobs import Checkpoint, Progress
from napari_wsseg.nn import classifier, losses
from napari_wsseg.ops import geometry
from napari_wsseg.phantom import FINDINGS, generate
from trainers.data import batches as _batches
from trainers.data.samplers import ShuffledSampler
from trainers.engine.loop import Task, fit
from trainers.engine.recipe import Context
from trainers.settings import classifier_network as _classifier_network

FILMS = 360
STEPS = 120
BATCH = 16
RATE = 5e-4

#: Far from the seeds of the sample project, whose films must stay unseen.
_FIRST_SEED = 5_000_000

#: Half of the films show a large heart, a fifth each other finding.
_SHARES = {"cardiomegaly": 0.5}
_SHARE = 0.2

#: Raise it when the generator or this file changes what is learnt.
_VERSION = 1


def warm_weights(
    context: Context, config: Any
) -> Generator[Progress, None, dict[str, Tensor] | None]:
    """Yield progress; return a `Classifier`'s weights, head for `FINDINGS` included.

    ``None`` if the run was cancelled meanwhile.

    Parameters
    ----------
    config
        A classifier recipe's settings; network, size and input are taken from it.
    """
    path = _path(config)
    if not path.exists():
        yield from _learn(context, config, path)
        if context.cancel.is_set():
            return None
    _, weights = checkpoints.read(path)
    return weights


def start_from(
    model: classifier.Classifier,
    weights: Mapping[str, Tensor],
    findings: tuple[str, ...],
) -> None:
    """Fill all but a classifier's head, and that for findings of the same name.

    Parameters
    ----------
    model
        Filled in place; of the same network as the weights.
    weights
        State dict of a classifier of `napari_wsseg.phantom.film.FINDINGS`.
    findings
        Names, in the order of the model's outputs.
    """
    classifier.load_backbone(model, weights)
    named = {key.removeprefix("extra."): value for key, value in weights.items()}
    model.extra.load_state_dict({key: named[key] for key in model.extra.state_dict()})
    with torch.no_grad():
        for row, finding in enumerate(findings):
            if finding in FINDINGS:
                same = FINDINGS.index(finding)
                model.linear.weight[row] = weights["linear.weight"][same]


def _path(config: Any) -> Path:
    what = [
        *(config.arch, config.channels, config.size, config.detail),
        *(config.normalisation, config.output_stride),
        *(FILMS, STEPS, BATCH, RATE, _VERSION),
    ]
    if config.extra_convs != "auto":
        what.append(config.extra_convs)
    name = hashlib.sha256(json.dumps(what).encode()).hexdigest()[:12]
    folder = _sample.default_folder() / "synthetic-weights"
    return folder / f"{config.arch}-{config.size}-{name}.safetensors"


def _learn(
    context: Context, config: Any, path: Path
) -> Generator[Progress, None, None]:
    pixels, labels = yield from _films(config.size)
    ids = [str(number) for number in range(len(pixels))]
    films = Films(pixels, {name: row for row, name in enumerate(ids)})
    settings = replace(
        config,
        batch=BATCH,
        learning_rate=RATE,
        schedule="one-cycle",
        optimiser="adamw",
        average=0.9,
        checks=1,
        dropblock=0.0,
    )
    feed = _batches.Feed(films, ids, settings)
    sampler = ShuffledSampler(range(len(ids)), BATCH, config.seed)
    torch.manual_seed(config.seed)
    model = _classifier_network.network(settings, len(FINDINGS))

    def loss(model: nn.Module, step: int, device: torch.device) -> Tensor:
        rows = sampler(step)
        images, _ = feed.training(rows, step, device)
        return losses.bce(model(images), labels[rows].to(device))

    task = Task(
        model=model,
        loss=loss,
        validate=lambda *_: {},
        steps=STEPS,
        header={"learnt_from": "synthetic films", "findings": list(FINDINGS)},
        criterion="none",
    )
    there = replace(context, resume=None, lock=[])
    for event in fit(task, settings, there, alone=True):
        if isinstance(event, Progress):
            # Its figures are not the run's own, so they are not drawn with them.
            yield Progress(event.step, event.total, "warming up on synthetic films")
        elif isinstance(event, Checkpoint) and event.best:
            checkpoints.write(path, event)


def _films(
    size: int,
) -> Generator[Progress, None, tuple[NDArray[np.uint8], Tensor]]:
    """Return (N, size, size) uint8 films and their (N, K) labels."""
    jobs = [(_FIRST_SEED + number, size) for number in range(FILMS)]
    try:
        made = yield from _in_parallel(jobs)
    except BrokenProcessPool:
        # A script without a main guard cannot start processes; slower is fine.
        made = []
        for number, job in enumerate(jobs):
            made.append(_film(job))
            yield Progress(number + 1, FILMS, "making synthetic films")
    return (
        np.stack([film for film, _ in made]),
        torch.tensor([labels for _, labels in made], dtype=torch.float32),
    )


def _in_parallel(
    jobs: list[tuple[int, int]],
) -> Generator[Progress, None, list[tuple[NDArray[np.uint8], list[bool]]]]:
    made = []
    pool = ProcessPoolExecutor(os.cpu_count(), mp_context=get_context("spawn"))
    with pool:
        for result in pool.map(_film, jobs, chunksize=8):
            made.append(result)
            yield Progress(len(made), len(jobs), "making synthetic films")
    return made


def _film(job: tuple[int, int]) -> tuple[NDArray[np.uint8], list[bool]]:
    seed, size = job
    rng = np.random.default_rng(seed)
    present = [name for name in FINDINGS if rng.random() < _SHARES.get(name, _SHARE)]
    film = generate(seed, size=min(256, max(64, size)), findings=present)
    greys = np.asarray(film.pixels / 4095, np.float32)
    square = geometry.letterbox(greys, size)
    return (
        np.round(square * 255).astype(np.uint8),
        [bool(film.labels[name]) for name in FINDINGS],
    )

"""Masks that no reader drew, from wherever a segmenter's settings say."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from typing import Any

import numpy as np

from napari_wsseg.io import anatomy
from napari_wsseg.io.film_cache import Films
from napari_wsseg.io.project import Project
from napari_wsseg.jobs import DataError, Progress
from napari_wsseg.ops import geometry
from napari_wsseg.pipeline.infer import infer
from napari_wsseg.pipeline.inference import places
from napari_wsseg.schema import ANATOMY
from trainers.data import targets as _targets
from trainers.data.batches import Labels
from trainers.data.targets import Targets
from trainers.engine.recipe import Context
from trainers.tasks import planting as _planting

#: Sources that are no stage of weak masks: nothing is to be tuned to them.
MADE = ("planted", ANATOMY)

#: Structures that are a finding as a whole, by the finding's place.
_STRUCTURES: Mapping[str, tuple[str, ...]] = {
    "heart": ("heart",),
    "mediastinum": ("heart", "mediastinum"),
}


def source(project: Project, config: Any) -> str:
    """Return the run that weak masks come from.

    Raises
    ------
    DataError
        If no run is in use for the stage.
    """
    if config.labels in MADE:
        return anatomy.run_in_use(project)
    return _targets.in_use(project, config.labels, config.labels_run)


def of_films(
    context: Context,
    films: Films,
    labels: Labels,
    rows: Sequence[int],
    config: Any,
    run: str,
) -> Generator[Progress, None, tuple[Films, Labels, Targets]]:
    """Yield progress; return the masks of `rows`, and films and labels they are of.

    Planted films come behind those there are; see `trainers.tasks.planting`.
    """
    if config.labels == "planted":
        return (
            yield from _planting.planted(
                context, films, labels, rows, config.seed, config.device
            )
        )
    if config.labels == ANATOMY:
        found = yield from _structures(context, labels, rows, config, run)
        return films, labels, found
    found = yield from _targets.weak(
        context, labels, rows, config.size, config.labels, run, config.device
    )
    return films, labels, found


def _structures(
    context: Context, labels: Labels, rows: Sequence[int], config: Any, run: str
) -> Generator[Progress, None, Targets]:
    """Return the structure that a finding is, on every film, whatever its label.

    The heart is on films without cardiomegaly, too, and learnt best from all; that they
    stay empty is for the gate.
    """
    project = context.project
    where = places.of_project(project)
    wanted = {
        k: _STRUCTURES[where[name]]
        for k, name in enumerate(labels.findings)
        if where.get(name, "") in _STRUCTURES
    }
    if not wanted:
        raise DataError(
            "labels=anatomy is for findings whose place is heart or mediastinum, and "
            f"none of {', '.join(labels.findings)} has one of them; see [places] in "
            "wsseg.toml, or choose other weak masks"
        )
    yield from infer(project, ANATOMY, run, device=config.device, cancel=context.cancel)
    targets = Targets(config.size, len(labels.findings))
    for row in rows:
        if context.cancel.is_set():
            break
        found = anatomy.masks(project, labels.cases[row])
        for k, names in wanted.items():
            mask = np.logical_or.reduce([found[name] for name in names])
            if mask.any():
                targets.put(row, k, geometry.letterbox_mask(mask, config.size))
    return targets

"""Masks that no reader drew, from wherever a segmenter's settings say."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from typing import Any

import numpy as np
from skimage.morphology import convex_hull_image

from napari_wsseg.io import anatomy
from napari_wsseg.io.film_cache import Films
from napari_wsseg.io.project import Project
from napari_wsseg.jobs import DataError, Progress
from napari_wsseg.ops import geometry
from napari_wsseg.pipeline.infer import infer
from napari_wsseg.pipeline.inference import places
from napari_wsseg.schema import ANATOMY, Mask
from trainers.data import targets as _targets
from trainers.data.batches import Labels
from trainers.data.targets import Targets
from trainers.engine.recipe import Context
from trainers.tasks import look_alikes as _look_alikes
from trainers.tasks import planting as _planting

WEAK_STAGES = ("irnet", "crf", "cam")

#: Sources that plant lesions into films without, and know of these films alone.
GROWN = {"planted", "spots"}

#: Sources that are no stage of weak masks: nothing is to be tuned to them.
MADE = (*GROWN, ANATOMY)

WEAK_SOURCES = (*WEAK_STAGES, "planted", "spots", ANATOMY, "auto")
"""Where weak masks may come from; planted and anatomy need no weak stage, and auto
chooses for each finding, see `trainers.tasks.source_choice`."""

SOURCES_EXPLAINED = (
    "The stage whose masks stand in where no expert has drawn; planted: lesions put "
    "into films without; spots: the same where what they look like is not known, kept "
    "if the classifier takes them for the finding; anatomy: hearts as found on any "
    "film; auto: what suits each finding, from trials on train and val"
)


def source(project: Project, config: Any) -> str:
    """Return the run that weak masks come from; empty if each finding has its own.

    Raises
    ------
    DataError
        If no run is in use for the stage.
    """
    if config.labels == "auto":
        return ""
    if config.labels == "spots":
        return _targets.in_use(project, "cam", config.classifier_run)
    if config.labels in MADE:
        return anatomy.run_in_use(project)
    return _targets.in_use(project, config.labels, config.labels_run)


def named(config: Any, sources: Mapping[str, str]) -> str:
    """Return what weak masks come from, for a message."""
    each = ", ".join(f"{name} from {source}" for name, source in sources.items())
    return f"weak masks ({each or config.labels})"


def weak_targets(
    context: Context,
    films: Films,
    labels: Labels,
    rows: Sequence[int],
    config: Any,
    run: str,
    sources: Mapping[str, str] | None = None,
) -> Generator[Progress, None, tuple[Films, Labels, Targets]]:
    """Yield progress; return the masks of `rows`, and films and labels they are of.

    Planted films come behind those there are; see `trainers.tasks.planting`.

    Parameters
    ----------
    context
        The run; progress and cancelling are its.
    films, labels, rows
        All films, their labels, and those whose masks are wanted.
    config
        Of a recipe that learns from masks.
    run
        See `source`.
    sources
        With labels=auto, each finding's own source; ``planted+STAGE`` plants lesions
        into negative films and takes the stage's masks of positive ones.
    """
    if config.labels == "spots":
        sources = dict.fromkeys(labels.findings, "spots")
    if sources:
        return (yield from _by_source(context, films, labels, rows, config, sources))
    if config.labels == "planted":
        return (
            yield from _planting.planted(
                context, films, labels, rows, config.seed, config.device
            )
        )
    if config.labels == ANATOMY:
        found = yield from structures(context, labels, rows, config, run)
        return films, labels, found
    found = yield from _targets.weak(
        context, labels, rows, config.size, config.labels, run, config.device
    )
    return films, labels, found


def structures(
    context: Context, labels: Labels, rows: Sequence[int], config: Any, run: str
) -> Generator[Progress, None, Targets]:
    """Return the structure that a finding is, on every film, whatever its label.

    The heart is on films without cardiomegaly, too, and learnt best from all; that they
    stay empty is for the gate.

    Parameters
    ----------
    context
        Whose project has the films; what was found by then is returned when cancelled.
    labels
        Of all films.
    rows
        Film numbers.
    config
        Settings with `size` and `device`.
    run
        Run of the anatomy stage, computed first where it is missing.

    Raises
    ------
    DataError
        If none of the findings is a structure grown too large.
    """
    project = context.project
    wanted = {
        labels.findings.index(name): names
        for name, names in places.structures_of(project).items()
    }
    if not wanted:
        raise DataError(
            "labels=anatomy is for findings whose place is heart or mediastinum, and "
            f"none of {', '.join(labels.findings)} has one of them; see [places] in "
            "wsseg.toml, or choose other weak masks"
        )
    yield from infer(project, ANATOMY, run, device=config.device, cancel=context.cancel)
    targets = Targets(config.size, len(labels.findings))
    parts = set(anatomy.LUNGS).union(*wanted.values())
    for row in rows:
        if context.cancel.is_set():
            break
        found = anatomy.masks(
            project, labels.cases[row], run, side=2 * config.size, names=parts
        )
        for k, names in wanted.items():
            mask = organ(found, names)
            if mask.any():
                targets.put(row, k, geometry.letterbox_mask(mask, config.size))
    return targets


def organ(found: Mapping[str, Mask], names: Sequence[str]) -> Mask:
    """Return structures together, their outline without dents, where no lung is.

    Hearts bulge; a dent in the outline of one is the network's.

    Parameters
    ----------
    found
        Structure to (H, W) mask, as the anatomy stage gives them.
    """
    mask = np.logical_or.reduce([found[name] for name in names])
    if not mask.any():
        return mask
    hull = np.asarray(convex_hull_image(mask), bool)
    return hull & (mask | ~(found["left_lung"] | found["right_lung"]))


def _by_source(
    context: Context,
    films: Films,
    labels: Labels,
    rows: Sequence[int],
    config: Any,
    sources: Mapping[str, str],
) -> Generator[Progress, None, tuple[Films, Labels, Targets]]:
    """Return masks of which each finding's come from its own source."""
    together = Targets(config.size, len(labels.findings))
    parts = {name: set(source.split("+")) for name, source in sources.items()}
    known = set().union(*parts.values())

    def add(found: Targets, from_: set[str]) -> None:
        wanted = {k for k, f in enumerate(labels.findings) if parts[f] & from_}
        together.add(found, wanted, over=False)

    for source in sorted(known - GROWN):
        if source == ANATOMY:
            run = anatomy.run_in_use(context.project)
            found = yield from structures(context, labels, rows, config, run)
        else:
            run = stage_run(context.project, config, source)
            found = yield from _targets.weak(
                context, labels, rows, config.size, source, run, config.device
            )
        add(found, {source})
    if not known & GROWN or context.cancel.is_set():
        return films, labels, together
    planted, spots = (
        [name for name, each in parts.items() if source in each]
        for source in ("planted", "spots")
    )
    alike = None
    if spots:
        run = stage_run(context.project, config, "cam")
        how = {"device": config.device, "cancel": context.cancel}
        yield from infer(context.project, "cam", run, **how)
        alike = _look_alikes.asked(
            context.project, films, labels, spots, run, config.device
        )
        if not alike.sites:
            raise DataError(
                f"spots want a classifier that has maps of {' or '.join(spots)} on "
                f"training films with and without; run {run} has none: choose others "
                "(labels=irnet)"
            )
    films, labels, found = yield from _planting.planted(
        context, films, labels, rows, config.seed, config.device, planted, alike
    )
    # A stage's masks of positives count before what planting knows of negatives alone.
    add(found, GROWN)
    return films, labels, together


def stage_run(project: Project, config: Any, stage: str) -> str:
    """Return the run that a weak stage is of, with labels=auto; empty if none is.

    Parameters
    ----------
    project
        Open.
    config
        Settings with `labels_run`, which counts for irnet, and `classifier_run`, which
        counts for the stages of a classifier.
    stage
        A stage of weak masks.
    """
    if stage == "irnet":
        return str(config.labels_run) or project.adopted(stage) or ""
    return str(config.classifier_run) or project.adopted(stage) or ""

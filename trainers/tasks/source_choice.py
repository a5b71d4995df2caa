"""Which weak masks suit each finding: cheap trials, and what they said in words."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from napari_wsseg.io import anatomy, stages
from napari_wsseg.io.film_cache import Films
from napari_wsseg.io.project import Project
from napari_wsseg.jobs import DataError, Progress
from napari_wsseg.ops import metrics
from napari_wsseg.ops.chest import width_ratio
from napari_wsseg.phantom import planting
from napari_wsseg.pipeline import label_conditioned_masks
from napari_wsseg.pipeline.infer import infer
from napari_wsseg.pipeline.inference import evidence, places
from napari_wsseg.schema import ANATOMY, Mask
from trainers.data.batches import Labels
from trainers.engine.recipe import Context
from trainers.tasks import look_alikes
from trainers.tasks import weak_masks as _weak_masks

_LEAST = 3
"""Validation films with an expert mask below which overlap decides nothing."""

_FREE = 4
"""Negative training films with lungs below which nothing is planted."""

_SAMPLE = 32
"""Negative training films that are looked at for lungs, or that spots are put into."""

_TELLS = 0.7
"""AUROC from which a measure that learnt no label is believed to go with it."""

_ENOUGH = 8
"""Films with and without a finding below which an AUROC speaks against nothing."""

_KNOWS = 0.8
"""AUROC of a classifier on val from which its maps are believed to show the finding."""

_TAKEN = 0.1
"""Share of spots taken for a finding from which it is believed to look like one."""

_GOOD = 0.6
"""Mean IoU with val's expert masks from which a weak stage needs no spots."""

_OVERLAPS = 0.35
"""Mean IoU with val's expert masks from which a weak stage teaches beside planting."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """Where the weak masks of a finding come from, and why, for a person to read."""

    source: str
    why: str


def choose(
    context: Context, films: Films, labels: Labels, config: Any
) -> Generator[Progress, None, dict[str, Chosen]]:
    """Yield progress; return, by finding, the weak masks that suit it.

    Where validation films have expert masks, whichever source overlaps them most; else
    whether a measure that has learnt no label goes with the labels, and whether the
    classifier does on validation films. A finding that can be planted is, as is one
    that the classifier sees in spots that are put into films without; a stage that is
    worth little teaches nothing of positive films. Test films are not looked at.

    Parameters
    ----------
    context
        Whose project has the runs; ends early, with nothing chosen, when cancelled.
    films, labels
        All films, decoded, and their labels.
    config
        Settings with `device`, `seed`, `labels_run` and `classifier_run`.

    Raises
    ------
    DataError
        If no weak stage is in use.
    """
    project = context.project
    runs = _runs(project, config)
    for stage, run in runs.items():
        how = {"device": config.device, "cancel": context.cancel}
        yield from infer(project, stage, run, **how)
    organs = places.structures_of(project)
    kinds = [name for name in labels.findings if planting.kind_of(name) is not None]
    if organs or kinds:
        yield from infer(
            project,
            ANATOMY,
            anatomy.run_in_use(project),
            device=config.device,
            cancel=context.cancel,
        )
    if context.cancel.is_set():
        return {}
    unknown = [
        name for name in labels.findings if not (name in organs or name in kinds)
    ]
    taken = _taken_spots(project, films, labels, unknown, runs["cam"], config)
    chosen = {}
    for k, name in enumerate(labels.findings):
        organ = organs.get(name, ())
        chosen[name] = _chosen(project, labels, k, runs, organ, taken.get(k, 0.0))
        message = f"{name}: weak masks from {chosen[name].source}, {chosen[name].why}"
        yield Progress(0, 0, message)
    return chosen


def _runs(project: Project, config: Any) -> dict[str, str]:
    """Return the weak stages there are, and their runs, the last first."""
    each = {
        stage: _weak_masks.stage_run(project, config, stage)
        for stage in ("irnet", "crf", "cam")
    }
    return {stage: run for stage, run in each.items() if run}


def _chosen(
    project: Project,
    labels: Labels,
    k: int,
    runs: Mapping[str, str],
    organ: Sequence[str],
    spots: float,
) -> Chosen:
    overlaps = _overlaps(project, labels, k, runs, organ)
    if overlaps:
        best = max(overlaps, key=lambda source: overlaps[source])
        listed = ", ".join(f"{name} {value:.2f}" for name, value in overlaps.items())
        why = f"overlap with expert masks of validation films: {listed}"
        worth = overlaps[best] >= _OVERLAPS
    elif organ and (tells := _auroc_of_width(project, labels, k, organ)) is not None:
        few = _too_few(labels, k)
        best = ANATOMY if few or tells >= _TELLS else next(iter(runs))
        why = f"AUROC of the {organ[-1]}'s width for the labels: {tells:.2f}"
        why += ", on too few films to speak against it" * (few and tells < _TELLS)
        worth = True
    else:
        best = next(iter(runs))
        knows = _auroc_of_classifier(project, labels, k, runs["cam"])
        worth = (knows or 0.0) >= _KNOWS
        heard = "unknown" if knows is None else f"{knows:.2f}"
        why = f"AUROC of the classifier on validation films: {heard}"
    if best == ANATOMY:
        return Chosen(best, why)
    if spots >= _TAKEN and max(overlaps.values(), default=0.0) < _GOOD:
        took = f"the classifier takes {spots:.0%} of spots in negative films for it"
        return Chosen("spots", f"{took} ({why})")
    if not _plantable(project, labels, k):
        return Chosen(best, why)
    if worth:
        return Chosen(f"planted+{best}", f"planted into negative films, and {why}")
    return Chosen("planted", f"of positive films no stage knows enough ({why})")


def _taken_spots(
    project: Project,
    films: Films,
    labels: Labels,
    findings: Sequence[str],
    run: str,
    config: Any,
) -> dict[int, float]:
    """Return, by number, the share of spots that are taken for a finding.

    Of findings that the classifier tells on validation films alone.
    """
    columns = {name: labels.findings.index(name) for name in findings}
    known = [
        name
        for name, k in columns.items()
        if (_auroc_of_classifier(project, labels, k, run) or 0.0) >= _KNOWS
    ]
    if not known or project.colour:
        return {}
    judge = look_alikes.asked(project, films, labels, known, run, config.device)
    rng = np.random.default_rng(config.seed)
    shares = {}
    for k in judge.sites:
        free = [row for row in labels.known_in("train") if labels.targets[row, k] == 0]
        ids = [labels.cases[row].id for row in free[:_SAMPLE]]
        greys = list(films.take(ids).astype(np.float32) / np.float32(255))
        shares[k] = judge.share(greys, k, rng)
    return shares


def _plantable(project: Project, labels: Labels, k: int) -> bool:
    """Whether the generator knows a finding, and there are lungs to plant it into."""
    if planting.kind_of(labels.findings[k]) is None or project.colour:
        return False
    free = [row for row in labels.known_in("train") if labels.targets[row, k] == 0]
    with_lungs = 0
    for row in free[:_SAMPLE]:
        found = anatomy.masks(project, labels.cases[row], side=evidence.SIDE)
        lungs = [found[name] for name in ("left_lung", "right_lung") if name in found]
        with_lungs += any(lung.mean() > planting.SMALLEST_LUNG for lung in lungs)
    return with_lungs >= _FREE


def _overlaps(
    project: Project,
    labels: Labels,
    k: int,
    runs: Mapping[str, str],
    organ: Sequence[str],
) -> dict[str, float]:
    """Return each source's mean IoU with val's expert masks; empty if few."""
    found: dict[str, list[float]] = {}
    name = labels.findings[k]
    for case_id in project.annotated("val"):
        truth = project.expert_masks(case_id).get(name)
        if truth is None or not truth.any():
            continue
        for source, run in runs.items():
            mask = _weak_mask(project, source, run, case_id, k)
            found.setdefault(source, []).append(metrics.iou(mask, truth))
        if organ:
            wanted = {*organ, *anatomy.LUNGS}
            found_there = anatomy.masks(project, project.case(case_id), names=wanted)
            drawn = _weak_masks.organ(found_there, organ)
            found.setdefault(ANATOMY, []).append(metrics.iou(drawn, truth))
    return {
        source: float(np.mean(each))
        for source, each in found.items()
        if len(each) >= _LEAST
    }


def _weak_mask(project: Project, stage: str, run: str, case_id: str, k: int) -> Mask:
    maps = stages.read(project.folder, stage, run, case_id)
    settings = stages.read_settings(project.folder, stage, run)
    case = project.case(case_id)
    if maps is None or settings is None:
        raise DataError(f"stage {stage} of run {run} lost {case.path}")
    known = [int(finding == k) for finding in range(len(settings.findings))]
    return label_conditioned_masks(maps, settings, case.shape, known)[k]


def _auroc_of_width(
    project: Project, labels: Labels, k: int, organ: Sequence[str]
) -> float | None:
    """Return how well the organ's width tells the labels of train and val."""
    rows = labels.known_in("train") + labels.known_in("val")
    pairs = []
    for row in rows:
        label = float(labels.targets[row, k])
        masks = anatomy.masks(
            project,
            labels.cases[row],
            side=evidence.SIDE,
            names={*organ, *anatomy.LUNGS},
        )
        ratio = width_ratio(masks, organ) if masks else None
        if ratio is not None and label in (0.0, 1.0):
            pairs.append((ratio, int(label)))
    if len(pairs) < len(rows) / 2:
        return None
    return metrics.auroc(*zip(*pairs, strict=True))


def _too_few(labels: Labels, k: int) -> bool:
    known = labels.targets[labels.known_in("train") + labels.known_in("val"), k]
    return min(int((known == 0).sum()), int((known == 1).sum())) < _ENOUGH


def _auroc_of_classifier(
    project: Project, labels: Labels, k: int, run: str
) -> float | None:
    pairs = []
    for row in labels.known_in("val"):
        label = float(labels.targets[row, k])
        present = stages.read_present(project.folder, "cam", run, labels.cases[row].id)
        if present is not None and label in (0.0, 1.0):
            pairs.append((float(present[k]), int(label)))
    return metrics.auroc(*zip(*pairs, strict=True)) if pairs else None

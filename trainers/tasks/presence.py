"""How much each kind of evidence that a finding is there counts, learnt from labels."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import replace
from itertools import combinations
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from napari_wsseg.io import anatomy, stages
from napari_wsseg.io.project import Project
from napari_wsseg.jobs import Checkpoint, Progress
from napari_wsseg.ops import metrics
from napari_wsseg.pipeline.inference import evidence, places
from napari_wsseg.pipeline.inference.networks import device_of
from napari_wsseg.pipeline.inference.organs import segmented
from trainers.data.batches import Feed, Labels
from trainers.engine.recipe import Context, Events

_KINDS = ("classifier", "breadth", "mask")

#: Least films with and without a finding to judge evidence by.
_LEAST = 4

#: How much better evidence parts the films than the classifier alone, to be trusted.
_BETTER = 1.05

#: AUROC from which the chest's measure decides alone.
_TELLS = 0.9


def with_presence(
    events: Events,
    context: Context,
    *,
    joint: bool,
    model: nn.Module,
    feed: Feed,
    labels: Labels,
    classifier_run: str,
    device: str,
    organs: str = "",
) -> Events:
    """Pass a training's events on; checkpoints learn what tells of a finding.

    A measure of the chest decides alone where it goes with the labels of train and val.
    Else evidence of the validation films is held against their image-level labels: the
    kinds that part them best, each standardised, are summed. No mask is looked at.

    Parameters
    ----------
    events, context
        Of the training, and its run.
    joint
        Whether that is wanted at all.
    model, feed, labels
        The segmenter, its films, and their labels.
    classifier_run, device
        Run whose probabilities gate the masks, and where the model is.
    organs
        Run of the stage anatomy that organs are drawn together with; empty: alone.
    """
    if not joint:
        yield from events
        return
    yield from _prepared(context, classifier_run, device)
    for event in events:
        if isinstance(event, Checkpoint) and event.best and not context.cancel.is_set():
            judged = deepcopy(model)
            judged.load_state_dict(dict(event.weights))
            rules = _rules(
                context, judged, feed, labels, classifier_run, device, organs
            )
            measured = any("breadth" in rule["weights"] for rule in rules.values())
            run = anatomy.run_in_use(context.project) if measured else ""
            held = {"findings": rules, "anatomy": run}
            event = replace(event, header={**event.header, "presence": held})
        yield event


def _rules(
    context: Context,
    model: nn.Module,
    feed: Feed,
    labels: Labels,
    classifier_run: str,
    device: str,
    organs: str,
) -> dict[str, Any]:
    val = labels.known_in("val")
    measured = bool(places.structures_of(context.project))
    rows = val + (labels.known_in("train") if measured else [])
    found = _evidence(
        context, model, feed, labels, rows, classifier_run, device, organs
    )
    truth = labels.targets[rows].numpy()
    rules = {}
    for k, name in enumerate(labels.findings):
        known = np.isin(truth[:, k], (0, 1))
        rule = by_measure(found["breadth"][known, k], truth[known, k])
        if rule is None:
            # Of films that it learnt from, a classifier is too sure.
            known[len(val) :] = False
            values = {kind: found[kind][known, k] for kind in _KINDS}
            rule = best_rule(values, truth[known, k])
        if rule is not None:
            rules[name] = rule
    return rules


def by_measure(
    values: NDArray[np.float64], truth: NDArray[np.floating]
) -> dict[str, Any] | None:
    """Return the rule of the chest's measure alone; ``None`` if it tells too little.

    It has learnt no label, so that training films count, too: its cut rests on several
    times as many films as any that the classifier has part in.

    Parameters
    ----------
    values : (N,)
        NaN where unknown.
    truth : (N,) of 0 and 1
    """
    seen = np.isfinite(values)
    values, truth = values[seen], truth[seen]
    if _too_few(truth) or (metrics.auroc(values, truth) or 0.0) < _TELLS:
        return None
    centre, scale = float(values.mean()), float(values.std()) or 1.0
    even = (values - centre) / scale
    return {
        "weights": {"breadth": 1.0},
        "centre": {"breadth": centre},
        "scale": {"breadth": scale},
        "cut": metrics.best_threshold(even, truth, criterion="accuracy"),
    }


def _too_few(truth: NDArray[np.floating]) -> bool:
    there = int(truth.sum())
    return min(there, len(truth) - there) < _LEAST


def best_rule(
    values: Mapping[str, NDArray[np.float64]], truth: NDArray[np.floating]
) -> dict[str, Any] | None:
    """Return the sum of evidence that parts films (N,) best; ``None``: the classifier.

    Parameters
    ----------
    values
        Kind to (N,), NaN where unknown; ``"classifier"`` among them.
    truth : (N,) of 0 and 1
    """
    if _too_few(truth):
        return None
    plain = {kind: each for kind, each in values.items() if np.isfinite(each).any()}
    scale = {kind: float(np.nanstd(each)) or 1.0 for kind, each in plain.items()}
    centre = {kind: float(np.nanmean(each)) for kind, each in plain.items()}
    even = {
        kind: np.nan_to_num((each - centre[kind]) / scale[kind])
        for kind, each in plain.items()
    }
    sums = {
        kinds: np.sum([even[kind] for kind in kinds], axis=0)
        for count in range(1, len(even) + 1)
        for kinds in combinations(even, count)
    }
    parted = {kinds: _distance(each, truth) for kinds, each in sums.items()}
    best = max(parted, key=lambda kinds: parted[kinds])
    if parted[best] <= _BETTER * parted["classifier",]:
        return None
    return {
        "weights": dict.fromkeys(best, 1.0),
        "centre": {kind: centre[kind] for kind in best},
        "scale": {kind: scale[kind] for kind in best},
        "cut": metrics.best_threshold(sums[best], truth, criterion="youden"),
    }


def _distance(values: NDArray[np.float64], truth: NDArray[np.floating]) -> float:
    """Return how far apart films with and without lie, in their own spread (d')."""
    there, absent = values[truth == 1], values[truth == 0]
    pooled_std = np.sqrt((there.var() + absent.var()) / 2)
    return float((there.mean() - absent.mean()) / max(float(pooled_std), 1e-9))


@torch.no_grad()
def _evidence(
    context: Context,
    model: nn.Module,
    feed: Feed,
    labels: Labels,
    rows: Sequence[int],
    classifier_run: str,
    device: str,
    organs: str,
) -> dict[str, NDArray[np.float64]]:
    """Return kind to (N, K) of the films of `rows`."""
    project = context.project
    where = device_of(device)
    model.eval().to(where)
    structures = places.structures_of(project)
    run = anatomy.run_in_use(project)
    found: dict[str, list[NDArray[np.float64]]] = {kind: [] for kind in _KINDS}
    maps = _maps(project, model, feed, labels, rows, where, organs)
    for row, score in zip(rows, maps, strict=True):
        case = labels.cases[row]
        present = stages.read_present(project.folder, "cam", classifier_run, case.id)
        none = np.full(len(labels.findings), 0.5)
        each = evidence.evidence(
            project,
            case,
            labels.findings,
            classifier=none if present is None else present,
            score=score,
            run=run,
            structures=structures,
            joined=bool(organs),
        )
        for kind in _KINDS:
            found[kind].append(each[kind])
    return {kind: np.array(each) for kind, each in found.items()}


def _maps(
    project: Project,
    model: nn.Module,
    feed: Feed,
    labels: Labels,
    rows: Sequence[int],
    device: torch.device,
    organs: str,
) -> Iterator[NDArray[np.float32]]:
    seen = 0
    for images in feed.viewing(list(rows), device):
        cases = [labels.cases[row] for row in rows[seen : seen + len(images)]]
        seen += len(images)
        yield from segmented(
            model, images, cases, project, labels.findings, flip=False, run=organs
        )


def _prepared(context: Context, classifier_run: str, device: str) -> Iterator[Progress]:
    """Yield progress while what evidence is read from is computed where missing."""
    from napari_wsseg.pipeline.infer import infer

    project = context.project
    how = {"device": device, "cancel": context.cancel}
    yield from infer(project, "cam", classifier_run, **how)  # type: ignore[arg-type]
    if places.structures_of(project):
        run = anatomy.run_in_use(project)
        yield from infer(project, "anatomy", run, **how)  # type: ignore[arg-type]

"""CheXseg (Gadgil 2021): expert and weak masks mixed at a sampling ratio p."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np

from napari_wsseg.io import cache
from napari_wsseg.jobs import DataError
from trainers import _data, _masks, _targets
from trainers._loop import fit
from trainers._recipe import Context, Events, recipe
from trainers._samplers import RatioSampler, TenthsSampler


@dataclass(frozen=True, kw_only=True)
class ChexsegConfig(_masks.MaskConfig):
    """Settings of the semi-supervised segmenter."""

    p: Annotated[
        float,
        {
            "min": 0.0,
            "max": 1.0,
            "step": 0.05,
            "basic": True,
            "label": "Expert share p",
            "tooltip": "Share of expert films in every batch, kept exactly",
        },
    ] = 0.8
    n_expert: Annotated[
        int,
        {
            "min": 0,
            "max": 1_000_000,
            "label": "Expert films at most",
            "tooltip": "0: every training film with an expert mask",
        },
    ] = 0
    compat: Annotated[
        bool,
        {
            "label": "Share as published",
            "tooltip": "Draw p film by film in tenths, as CheXseg's code does: 0.6 is "
            "then 0.5, and 0.85 is 0.8; for comparison only",
        },
    ] = False


@recipe(
    "chexseg",
    config=ChexsegConfig,
    stages=("segmentation",),
    summary="Learn masks from expert masks and weak masks, mixed at the share p",
)
def chexseg(context: Context, config: ChexsegConfig) -> Events:
    """Train a segmenter on expert films and weak films at ratio p (CheXseg §3.3).

    Raises
    ------
    DataError
        If p > 0 and no training film has an expert mask.
    """
    project = context.project
    gate = _targets.in_use(project, "cam", config.classifier_run)
    films = yield from cache.films(project, config.size)
    labels = _data.Labels.of(project)
    experts = expert_rows(
        labels, set(project.annotated("train")), config.n_expert, config.seed
    )
    if config.p > 0 and not experts:
        raise DataError(
            "no training film has an expert mask; paint and accept some, import them "
            "with wsseg init --masks, or set p=0"
        )
    targets = _targets.expert(project, labels, experts, config.size)
    context.lock.extend(_targets.lock_rows(project, labels, targets, "expert"))
    others = [row for row in labels.known_in("train") if row not in set(experts)]
    if config.p < 1:
        source = _targets.in_use(project, config.labels, config.labels_run)
        weak = yield from _targets.weak(
            context, labels, others, config.size, config.labels, source, config.device
        )
        if context.cancel.is_set():
            return
        context.lock.extend(_targets.lock_rows(project, labels, weak, config.labels))
        targets.packed.update(weak.packed)
    others = [row for row in others if row in targets.rows()]
    val = _targets.expert(project, labels, labels.split("val"), config.size)
    mix = TenthsSampler if config.compat else RatioSampler
    # One epoch is every film once, however the batches are mixed.
    steps = max(1, round(config.epochs * len(targets.rows()) / config.batch))
    task = _masks.task(
        config,
        model=_masks.network(config, project, len(labels.findings), gate),
        feed=_data.Feed(films, labels.ids, config),
        labels=labels,
        targets=targets,
        validation=val,
        sampler=mix(experts, others, config.p, config.batch, config.seed),
        steps=steps,
        classifier_run=gate,
        tuned=True,
    )
    yield from fit(task, config, context)


def expert_rows(
    labels: _data.Labels, annotated: set[str], most: int, seed: int
) -> list[int]:
    """Return the training films with expert masks, at most `most` of them (0: all).

    Films with and without a finding are drawn in the proportion there is.
    """
    rows = [row for row in labels.split("train") if labels.cases[row].id in annotated]
    if not most or most >= len(rows):
        return rows
    positive = [row for row in rows if (labels.targets[row] == 1).any()]
    negative = [row for row in rows if row not in set(positive)]
    n_positive = round(most * len(positive) / len(rows))
    rng = np.random.default_rng(seed)
    drawn = [
        *rng.permutation(positive)[:n_positive],
        *rng.permutation(negative)[: most - n_positive],
    ]
    return sorted(int(row) for row in drawn)

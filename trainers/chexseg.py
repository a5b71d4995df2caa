"""CheXseg (Gadgil 2021): expert and weak masks mixed at a sampling ratio p."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np

from napari_wsseg.io import film_cache
from napari_wsseg.io.project import Project
from napari_wsseg.jobs import DataError, Progress
from trainers.data import batches as _batches
from trainers.data import targets as _targets
from trainers.data.samplers import RatioSampler, ShareCounter, TenthsSampler
from trainers.engine.recipe import Context, Events, recipe
from trainers.settings import segmenter as _segmenter
from trainers.tasks import masks as _masks
from trainers.tasks import preflight as _preflight
from trainers.tasks import source_choice as _source_choice
from trainers.tasks import weak_masks as _weak_masks


@dataclass(frozen=True, kw_only=True)
class ChexsegConfig(_masks.MaskConfig):
    """Settings of the semi-supervised segmenter."""

    labels: Annotated[
        str,
        {
            # Only here: a segmenter may have learnt expert masks, which the recipe
            # `segmentation` must never see.
            "choices": [*_weak_masks.WEAK_SOURCES, "segmentation"],
            "basic": True,
            "label": "Weak masks from",
            "tooltip": _weak_masks.SOURCES_EXPLAINED
            + "; segmentation: a segmenter trained before, for a second round",
        },
    ] = "irnet"
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
    untested: Annotated[
        bool,
        {
            "label": "Train without test films",
            "tooltip": "Go on although no film is in the test split; nothing can then "
            "say how good the masks are",
        },
    ] = False


@recipe(
    "chexseg",
    config=ChexsegConfig,
    stages=("segmentation",),
    summary="Learn masks from expert masks and weak masks, mixed at the share p",
    title="4 · CheXseg: expert and weak masks",
    order=50,
    network="segmenter",
    needs=("expert masks",),
    judged_by="val_dice",
    builds_on={"classifier_run": "cam", "labels_run": "labels"},
)
def chexseg(context: Context, config: ChexsegConfig) -> Events:
    """Train a segmenter on expert films and weak films at ratio p (CheXseg §3.3).

    At p = 0 it is weakly, at p = 1 fully supervised.

    Raises
    ------
    DataError
        Before anything is computed: if p > 0 and no training film has an expert mask,
        there are masks of unknown findings, or no test film; then if no weak stage is
        in use that p < 1 asks for.
    """
    project, labels = context.project, _batches.Labels.from_project(context.project)
    plain = labels
    known = labels.known_in("train")
    experts, others = _films(project, labels, config)
    gate = _targets.in_use(project, "cam", config.classifier_run)
    source, sources = "", dict[str, str]()
    chosen = dict[str, _source_choice.Chosen]()
    if config.p < 1:
        source = _weak_masks.source(project, config)
    films = yield from film_cache.films(project, config.size)
    targets = _targets.expert(project, labels, experts, config.size)
    context.lock.extend(_targets.lock_rows(project, labels, targets, "expert"))
    if config.p < 1:
        count = len(labels.cases)
        if config.labels == "auto":
            chosen = yield from _source_choice.choose(context, films, labels, config)
        sources = {name: each.source for name, each in chosen.items()}
        films, labels, weak = yield from _weak_masks.weak_targets(
            context, films, labels, others, config, source, sources
        )
        others = [*others, *range(count, len(labels.cases))]
        if context.cancel.is_set():
            return
        context.lock.extend(
            _targets.lock_rows(project, labels, weak, config.labels, sources)
        )
        targets.add(weak, over=True)
    known_rows = targets.rows()
    others = [row for row in others if row in known_rows]
    if not experts and not others:
        raise DataError(
            f"{_weak_masks.named(config, sources)} show nothing of any training film; "
            "train the weak stages longer, lower their thresholds, or give films labels"
        )
    if experts and not others and config.p < 1:
        yield Progress(0, 0, f"no weak film to mix: p is 1, not {config.p:g}")
    model, start = _segmenter.network(config, project, len(labels.findings), gate)
    yield Progress(0, 0, f"the encoder starts from {start}")
    val = _targets.expert(project, labels, labels.split("val"), config.size)
    if not config.absent_weight:
        val = val.shown()  # what is not learnt is not judged; the gate sees to it
    mix = TenthsSampler if config.compat else RatioSampler
    sampler = mix(
        _masks.pool(config.balance, targets, _teaching(config, targets, experts)),
        _masks.pool(config.balance, targets, _teaching(config, targets, others)),
        config.p,
        config.batch,
        config.seed,
    )
    tally = ShareCounter(sampler, frozenset(experts))
    feed = _batches.Feed(films, labels.ids, config)
    organs = _masks.organ_run(project, config)
    task = _masks.task(
        config,
        model=model,
        feed=feed,
        labels=labels,
        targets=targets,
        validation=val,
        sampler=sampler,
        # One epoch is every labelled film once, whatever p is: at p = 1 the few expert
        # films get as many batches as a mix, so that a sweep compares like with like.
        steps=max(1, round(config.epochs * len({*known, *experts}) / config.batch)),
        classifier_run=gate,
        tuned=True,
        start=start,
        source=source,
        chosen=chosen,
        organs=organs,
        extra_metrics=lambda done: {"expert_share": tally.share(done)},
    )
    yield from _masks.fit_with_presence(
        *(task, config, context),
        feed=feed,
        labels=plain,
        classifier_run=gate,
        organs=organs,
    )


def _teaching(
    config: ChexsegConfig, targets: _targets.Targets, rows: list[int]
) -> list[int]:
    """Return the films that teach a mask; without `absent_weight` those that show one.

    The others would only take places of a batch.
    """
    shown = targets.positive_rows()
    teaching = [row for row in rows if config.absent_weight or row in shown]
    return teaching or rows


def _films(
    project: Project, labels: _batches.Labels, config: ChexsegConfig
) -> tuple[list[int], list[int]]:
    """Return the expert films and the films for weak masks, once all is in order."""
    _preflight.findings_exist(project)
    if not config.untested:
        _preflight.can_be_tested(labels)
    drawn = {case for case, names in project.annotated("train").items() if names}
    experts = expert_rows(labels, drawn, config.n_expert, config.seed)
    known = labels.known_in("train")
    if config.p == 0 and not config.n_expert:
        return [], known
    others = [row for row in known if row not in set(experts)]
    _preflight.experts_for(config.p, experts, len(others))
    # At p = 0 their masks must reach nothing, the measured pixel weight included.
    return ([] if config.p == 0 else experts), others


def expert_rows(
    labels: _batches.Labels, annotated: set[str], most: int, seed: int
) -> list[int]:
    """Return the training films with expert masks, or some of them.

    Films with and without a finding are drawn in the proportion there is.

    Parameters
    ----------
    labels
        Of all films.
    annotated
        Ids of the cases that have an expert mask.
    most
        Films at most; 0: all of them.
    seed
        What the draw depends on.

    Returns
    -------
    list
        Film numbers in `labels`, in order.
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

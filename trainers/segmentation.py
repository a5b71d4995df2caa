"""Stage 3 from weak masks alone (WSMIS §3, step 3)."""

from __future__ import annotations

from dataclasses import dataclass

from napari_wsseg.io import film_cache
from napari_wsseg.jobs import DataError, Progress
from trainers.data import batches as _batches
from trainers.data import targets as _targets
from trainers.data.samplers import RatioSampler, ShuffledSampler
from trainers.engine.recipe import Context, Events, recipe
from trainers.settings import segmenter as _segmenter
from trainers.tasks import masks as _masks
from trainers.tasks import source_choice as _source_choice
from trainers.tasks import weak_masks as _weak_masks


@dataclass(frozen=True, kw_only=True)
class SegmentationConfig(_masks.MaskConfig):
    """Settings of the weakly supervised segmenter."""

    balance: _masks.Balance = "presence"


@recipe(
    "segmentation",
    config=SegmentationConfig,
    stages=("segmentation",),
    summary="Learn masks from the weak stages alone; expert masks are not looked at",
    title="3 · Segmentation from weak masks",
    order=40,
    network="segmenter",
    builds_on={"classifier_run": "cam", "labels_run": "labels"},
    in_run=True,
)
def segmentation(context: Context, config: SegmentationConfig) -> Events:
    """Train a segmenter on pseudo-labels, half of each batch with a finding.

    With balance=none films are drawn as they come instead.

    Raises
    ------
    DataError
        If no weak stage is in use, or it shows nothing on any training film.
    """
    project = context.project
    source = _weak_masks.source(project, config)
    gate = _targets.in_use(project, "cam", config.classifier_run)
    films = yield from film_cache.films(project, config.size)
    plain = labels = _batches.Labels.from_project(project)
    known = labels.known_in("train") + labels.known_in("val")
    chosen = {}
    if config.labels == "auto":
        chosen = yield from _source_choice.choose(context, films, labels, config)
    sources = {name: each.source for name, each in chosen.items()}
    films, labels, targets = yield from _weak_masks.weak_targets(
        context, films, labels, known, config, source, sources
    )
    if context.cancel.is_set():
        return
    train, val = labels.known_in("train"), labels.known_in("val")
    in_train, in_val = set(train), set(val)
    learnt = targets.only(in_train)
    if not learnt.positive_rows():
        raise DataError(
            f"{_weak_masks.named(config, sources)} show nothing on any training film; "
            "train the weak stages longer, lower their thresholds, or give more films "
            "labels"
        )
    context.lock.extend(
        _targets.lock_rows(project, labels, learnt, config.labels, sources)
    )
    model, start = _segmenter.network(config, project, len(labels.findings), gate)
    yield Progress(0, 0, f"the encoder starts from {start}")
    feed = _batches.Feed(films, labels.ids, config)
    organs = _masks.organ_run(project, config)
    task = _masks.task(
        config,
        model=model,
        feed=feed,
        labels=labels,
        targets=learnt,
        validation=targets.only(in_val),
        sampler=_sampler(config, learnt),
        # Planted films are more of the same: an epoch is every film of the project.
        steps=max(
            1, round(config.epochs * len(plain.known_in("train")) / config.batch)
        ),
        classifier_run=gate,
        tuned=False,
        start=start,
        source=source,
        chosen=chosen,
        organs=organs,
    )
    yield from _masks.fit_with_presence(
        *(task, config, context),
        feed=feed,
        labels=plain,
        classifier_run=gate,
        organs=organs,
    )


def _sampler(
    config: SegmentationConfig, learnt: _targets.Targets
) -> RatioSampler | ShuffledSampler:
    if config.balance == "none":
        return ShuffledSampler(sorted(learnt.rows()), config.batch, config.seed)
    shown = learnt.positive_rows()
    positive = _masks.pool(config.balance, learnt, sorted(shown))
    negative = sorted(learnt.rows() - shown)
    return RatioSampler(positive, negative, 0.5, config.batch, config.seed)

"""Stage 3 from weak masks alone (WSMIS §3, step 3)."""

from __future__ import annotations

from dataclasses import dataclass

from napari_wsseg.io import cache
from napari_wsseg.jobs import DataError
from trainers import _data, _masks, _targets
from trainers._loop import fit
from trainers._recipe import Context, Events, recipe
from trainers._samplers import RatioSampler


@dataclass(frozen=True, kw_only=True)
class SegmentationConfig(_masks.MaskConfig):
    """Settings of the weakly supervised segmenter."""


@recipe(
    "segmentation",
    config=SegmentationConfig,
    stages=("segmentation",),
    summary="Learn masks from the weak stages alone; expert masks are not looked at",
)
def segmentation(context: Context, config: SegmentationConfig) -> Events:
    """Train a segmenter on pseudo-labels, half of each batch with a finding.

    Raises
    ------
    DataError
        If no weak stage is in use, or it shows nothing on any training film.
    """
    project = context.project
    source = _targets.in_use(project, config.labels, config.labels_run)
    gate = _targets.in_use(project, "cam", config.classifier_run)
    films = yield from cache.films(project, config.size)
    labels = _data.Labels.of(project)
    train, val = labels.known_in("train"), labels.known_in("val")
    targets = yield from _targets.weak(
        context, labels, train + val, config.size, config.labels, source, config.device
    )
    if context.cancel.is_set():
        return
    in_train, in_val = set(train), set(val)
    positive = sorted(targets.positive_rows() & in_train)
    negative = sorted((targets.rows() & in_train) - set(positive))
    if not positive:
        raise DataError(
            f"the stage {config.labels} shows nothing on any training film; "
            "train its recipe longer, or lower its threshold"
        )
    learnt = _only(targets, in_train)
    context.lock.extend(_targets.lock_rows(project, labels, learnt, config.labels))
    sampler = RatioSampler(positive, negative, 0.5, config.batch, config.seed)
    task = _masks.task(
        config,
        model=_masks.network(config, project, len(labels.findings), gate),
        feed=_data.Feed(films, labels.ids, config),
        labels=labels,
        targets=learnt,
        validation=_only(targets, in_val),
        sampler=sampler,
        steps=max(1, round(config.epochs * len(learnt.rows()) / config.batch)),
        classifier_run=gate,
        tuned=False,
    )
    yield from fit(task, config, context)


def _only(targets: _targets.Targets, rows: set[int]) -> _targets.Targets:
    kept = {key: mask for key, mask in targets.packed.items() if key[0] in rows}
    return _targets.Targets(targets.size, targets.n_findings, kept)

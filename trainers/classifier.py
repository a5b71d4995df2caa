"""Stage 1: a classifier from image-level labels (WSMIS §3, step 1)."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from napari_wsseg.io import film_cache
from napari_wsseg.jobs import Progress
from napari_wsseg.nn import losses, ranks
from napari_wsseg.nn.dropblock import strength
from trainers.data import batches as _batches
from trainers.data.augment import mixed
from trainers.engine.loop import Task, fit
from trainers.engine.recipe import Context, Events, recipe
from trainers.settings import classifier as _classifier
from trainers.settings import classifier_network as _classifier_network
from trainers.settings.classifier import ClassifierConfig
from trainers.tasks import image_labels as _image_labels
from trainers.tasks import synthetic_start as _synthetic_start

logger = logging.getLogger(__name__)


@recipe(
    "classifier",
    config=ClassifierConfig,
    stages=("cam", "crf"),
    summary="Learn which findings a film shows, and where the network saw them",
    title="1 · Classifier (CAM, CRF)",
    order=10,
    network="classifier",
    judged_by="val_auroc",
    in_run=True,
)
def classifier(context: Context, config: ClassifierConfig) -> Events:
    """Train the classifier; its maps and seeds are computed by the pipeline.

    Raises
    ------
    DataError
        If no training film has a known label, or there is no finding that is present
        on some and absent on others.
    """
    films = yield from film_cache.films(context.project, config.size)
    labels = _batches.Labels.from_project(context.project, uncertain=config.uncertain)
    train = labels.known_in("train")
    not_learnt = _image_labels.not_learnt(labels, train)
    for finding, why in not_learnt.items():
        logger.warning("%s is not learnt: %s", finding, why)
        yield Progress(0, 0, f"{finding} is not learnt: {why}")
    sampler = _image_labels.sampler(
        labels,
        train,
        share=config.positive_share,
        batch=config.batch,
        seed=config.seed,
    )
    context.lock.extend(labels.lock(train))
    torch.manual_seed(config.seed)
    model = _classifier_network.network(
        config, len(labels.findings), weights=_weights(config.weights)
    )
    if config.weights == "synthetic" and context.resume is None:
        warm = yield from _synthetic_start.warm_weights(context, config)
        if warm is None:
            return
        _synthetic_start.start_from(model, warm, labels.findings)
    feed = _batches.Feed(films, labels.ids, config)
    steps = max(1, round(config.epochs * len(train) / config.batch))

    def loss(model: nn.Module, step: int, device: torch.device) -> Tensor:
        if config.dropblock:
            share = strength(config.dropblock_schedule, step, steps)
            _unwrapped(model).schedule_dropblock(share)
        rows = sampler(step)
        if config.uncertain == "class":
            images, _ = feed.training(rows, step, device)
            logits, unsure = model(images, unsure=True)
            target = labels.targets[ranks.share(rows)].to(device)
            return losses.three_way(logits, unsure, target)
        images, _ = feed.training(rows, step, device, every_rank=True)
        target = _smoothed(labels.targets[rows], config.smoothing)
        images, target = mixed(
            images,
            target.to(device),
            alpha=config.mixup,
            generator=feed.generator(step, stream=1),
        )
        # A film may be mixed with one of another process.
        images, target = ranks.share(images), ranks.share(target)
        return losses.bce(model(images).float(), target)

    def validate(model: nn.Module, device: torch.device) -> Mapping[str, float]:
        return _validated(model, device, feed, labels)

    yield from fit(
        Task(
            model=model,
            loss=loss,
            validate=validate,
            steps=steps,
            header={
                **_classifier.header(config, model, labels.findings),
                "not_learnt": list(not_learnt),
            },
            criterion=config.choose_by,
            higher_is_better=config.choose_by == "val_auroc",
            rates={"extra.": config.head_rate, "linear.": config.head_rate},
            bias_rate=config.bias_rate,
        ),
        config,
        context,
    )


def _smoothed(target: Tensor, smoothing: float) -> Tensor:
    smooth = target * (1 - 2 * smoothing) + smoothing
    return torch.where(losses.known(target), smooth, target)


def _weights(named: str) -> Any:
    if named in ("", "synthetic"):
        return None
    return "imagenet" if named == "imagenet" else Path(named)


def _unwrapped(model: nn.Module) -> Any:
    return getattr(model, "module", model)


def _validated(
    model: nn.Module, device: torch.device, feed: _batches.Feed, labels: _batches.Labels
) -> dict[str, float]:
    rows = labels.known_in("val")
    if not rows:
        return {}
    logits = []
    for images in feed.viewing(ranks.evenly(rows), device):
        logits.append(model(images).float())
    scores = ranks.gathered(torch.cat(logits))[: len(rows)].cpu()
    target = labels.targets[rows]
    loss = {"val_loss": float(losses.bce(scores, target))}
    return loss | _image_labels.auroc_metrics(scores, target)

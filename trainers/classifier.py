"""Stage 1: a classifier from image-level labels (WSMIS §3, step 1)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
from torch import Tensor, nn

from napari_wsseg.cam import methods
from napari_wsseg.io import cache
from napari_wsseg.jobs import DataError
from napari_wsseg.nn import classifier as networks
from napari_wsseg.nn import losses
from napari_wsseg.nn.normalise import KINDS
from napari_wsseg.ops import metrics
from trainers import _data, _synthetic
from trainers._augment import mixed
from trainers._loop import Task, fit
from trainers._recipe import Context, Events, TrainingConfig, recipe
from trainers._samplers import RatioSampler, ShuffledSampler


@dataclass(frozen=True, kw_only=True)
class ClassifierConfig(TrainingConfig):
    """Settings of the classifier, of the maps read off it and of their CRF."""

    arch: Annotated[
        str,
        {
            "choices": ["resnet18", "resnet50", "vgg16", "densenet121"],
            "basic": True,
            "label": "Network",
        },
    ] = "resnet18"
    output_stride: Annotated[
        int,
        {"choices": [8, 16, 32], "tooltip": "Input pixels per pixel of the last map"},
    ] = 16
    cam_stride: Annotated[
        int,
        {
            "choices": [8, 16, 32],
            "label": "Map stride",
            "tooltip": "The same weights, dilated further for finer maps",
        },
    ] = 16
    weights: Annotated[
        str,
        {
            "label": "Start from",
            "tooltip": "Empty: random weights; synthetic: learnt first from films that "
            "the generator makes; imagenet; or a file of the same network's weights",
        },
    ] = ""
    normalisation: Annotated[str, {"choices": list(KINDS)}] = "film"
    channels: Annotated[int, {"choices": [1, 3]}] = 1
    detail: Annotated[
        int,
        {
            "min": 0,
            "max": 2048,
            "label": "Detail (px)",
            "tooltip": "Soften films to what this many pixels a side hold; helps with "
            "few films and large findings, hides small ones; 0: all of it",
        },
    ] = 0
    dropblock: Annotated[float, {"min": 0.0, "max": 0.9, "step": 0.05}] = 0.0
    mixup: Annotated[
        float,
        {
            "min": 0.0,
            "max": 10.0,
            "step": 0.1,
            "label": "Mixup",
            "tooltip": "Blend films and their labels two by two; helps with few films",
        },
    ] = 0.0
    smoothing: Annotated[
        float,
        {
            "min": 0.0,
            "max": 0.4,
            "step": 0.01,
            "label": "Label smoothing",
            "tooltip": "How far labels are drawn towards one half",
        },
    ] = 0.0
    positive_share: Annotated[
        float,
        {
            "min": 0.0,
            "max": 1.0,
            "step": 0.05,
            "tooltip": "Share of films with any finding in each batch; 0: as they come",
        },
    ] = 0.5
    uncertain: Annotated[
        str,
        {
            "choices": ["ignore", "zeros", "ones"],
            "tooltip": "What a label of -1 is taken for",
        },
    ] = "ignore"
    choose_by: Annotated[
        str, {"choices": ["val_auroc", "val_loss", "last"], "label": "Keep the best by"}
    ] = "val_loss"
    cam: Annotated[str, {"choices": methods.names(), "label": "Map method"}] = (
        "grad-cam++"
    )
    cam_level: Annotated[
        int,
        {
            "choices": [3, 4, 5],
            "label": "Map level",
            "tooltip": "5: the last; earlier ones are finer, and want layer-cam",
        },
    ] = 5
    cam_scales: Annotated[
        str,
        {"tooltip": "Sides of the film that maps are summed over, e.g. 1,0.75,1.25"},
    ] = "1"
    cam_threshold: Annotated[float, {"min": 0.0, "max": 1.0, "step": 0.05}] = 0.3
    seed_foreground: Annotated[
        float,
        {
            "min": 0.0,
            "max": 1.0,
            "step": 0.05,
            "tooltip": "Share of the peak above which heat is surely finding",
        },
    ] = 0.3
    seed_background: Annotated[
        float,
        {
            "min": 0.0,
            "max": 1.0,
            "step": 0.05,
            "tooltip": "Share of the peak under which it is surely background",
        },
    ] = 0.05
    crf_backend: Annotated[str, {"choices": ["grid", "pydensecrf"]}] = "grid"


@recipe(
    "classifier",
    config=ClassifierConfig,
    stages=("cam", "crf"),
    summary="Learn which findings a film shows, and where the network saw them",
)
def classifier(context: Context, config: ClassifierConfig) -> Events:
    """Train the classifier; its maps and seeds are computed by the pipeline.

    Raises
    ------
    DataError
        If no training film has a known label, or a finding is never present.
    """
    films = yield from cache.films(context.project, config.size)
    labels = _data.Labels.of(context.project, uncertain=config.uncertain)
    train = labels.known_in("train")
    _check(labels, train)
    sampler = _sampler(labels, train, config)
    context.lock.extend(labels.lock(train))
    torch.manual_seed(config.seed)
    model = networks.build(
        config.arch,
        len(labels.findings),
        in_channels=config.channels,
        output_stride=config.output_stride,
        dropblock=config.dropblock,
        weights=_weights(config.weights),
    )
    if config.weights == "synthetic" and context.resume is None:
        warm = yield from _synthetic.warm_weights(context, config)
        if warm is None:
            return
        _synthetic.start_from(model, warm, labels.findings)
    feed = _data.Feed(films, labels.ids, config)
    steps = max(1, round(config.epochs * len(train) / config.batch))

    def loss(model: nn.Module, step: int, device: torch.device) -> Tensor:
        if config.dropblock:
            _unwrapped(model).schedule_dropblock(step / steps)
        rows = sampler(step)
        images, _ = feed.training(rows, step, device)
        target = _smoothed(labels.targets[rows], config.smoothing)
        images, target = mixed(
            images,
            target.to(device),
            alpha=config.mixup,
            generator=feed.generator(step, stream=1),
        )
        return losses.bce(model(images).float(), target)

    def validate(model: nn.Module, device: torch.device) -> Mapping[str, float]:
        return _validated(model, device, feed, labels)

    yield from fit(
        Task(
            model=model,
            loss=loss,
            validate=validate,
            steps=steps,
            header=_header(config, model, labels),
            criterion=config.choose_by,
            higher_is_better=config.choose_by == "val_auroc",
        ),
        config,
        context,
    )


def _header(
    config: ClassifierConfig, model: networks.Classifier, labels: _data.Labels
) -> dict[str, Any]:
    return {
        "network": {
            "kind": "classifier",
            **model.spec,
            # DropBlock is off when maps are made; the stride may be finer then.
            "output_stride": min(config.cam_stride, config.output_stride),
        },
        "findings": list(labels.findings),
        "size": config.size,
        "normalisation": config.normalisation,
        "detail": config.detail,
        "flip": config.flip,
        "cam": {
            "method": config.cam,
            "level": config.cam_level,
            "scales": [float(scale) for scale in config.cam_scales.split(",")],
        },
        "crf": {
            "backend": config.crf_backend,
            "foreground": config.seed_foreground,
            "background": config.seed_background,
        },
        "thresholds": {"cam": config.cam_threshold},
    }


def _check(labels: _data.Labels, train: list[int]) -> None:
    if not train:
        raise DataError(
            "no training film has an image-level label; "
            "give labels.csv to wsseg init, or set labels in the worklist"
        )
    known = labels.targets[train]
    never = [
        finding
        for k, finding in enumerate(labels.findings)
        if not (known[:, k] == 1).any() or not (known[:, k] == 0).any()
    ]
    if len(never) == len(labels.findings):
        raise DataError(
            "no finding is present on some training films and absent on others "
            f"({', '.join(never)}); a classifier needs both"
        )


def _sampler(
    labels: _data.Labels, train: list[int], config: ClassifierConfig
) -> RatioSampler | ShuffledSampler:
    positive = [row for row in train if (labels.targets[row] == 1).any()]
    negative = [row for row in train if row not in set(positive)]
    if config.positive_share == 0 or not positive or not negative:
        return ShuffledSampler(train, config.batch, config.seed)
    return RatioSampler(
        positive, negative, config.positive_share, config.batch, config.seed
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
    model: nn.Module, device: torch.device, feed: _data.Feed, labels: _data.Labels
) -> dict[str, float]:
    rows = labels.known_in("val")
    if not rows:
        return {}
    logits = []
    for images in feed.viewing(rows, device):
        logits.append(model(images).float().cpu())
    scores, target = torch.cat(logits), labels.targets[rows]
    figures = {"val_loss": float(losses.bce(scores, target))}
    areas = []
    for k in range(target.shape[1]):
        counted = losses.known(target[:, k])
        area = metrics.auroc(scores[counted, k].numpy(), target[counted, k].numpy())
        if area is not None:
            areas.append(area)
    if areas:
        figures["val_auroc"] = float(np.mean(areas))
    return figures

"""An encoder from films alone: no label is looked at (MoCo-CXR, Sowrirajan 2021)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from napari_wsseg.io import film_cache
from napari_wsseg.jobs import Checkpoint, DataError
from napari_wsseg.nn import backbones as _backbones
from napari_wsseg.nn import pretrained, ranks
from napari_wsseg.nn.moco import Moco
from trainers.data import batches as _batches
from trainers.data.samplers import ShuffledSampler
from trainers.engine.loop import Task, fit
from trainers.engine.recipe import Context, Events, InputConfig, recipe

#: Most validation films that are told apart.
_TOLD_APART = 256

_BACKBONE = "encoder_q.backbone."


@dataclass(frozen=True, kw_only=True)
class MocoConfig(InputConfig):
    """Settings of momentum contrast."""

    arch: Annotated[
        str, {"choices": list(_backbones.BACKBONES), "basic": True, "label": "Network"}
    ] = "resnet18"
    init: Annotated[str, {"choices": ["random", "imagenet"], "label": "Start from"}] = (
        "random"
    )
    queue: Annotated[
        int,
        {
            "min": 8,
            "max": 65536,
            "tooltip": "How many earlier views a film is told apart from; no more than "
            "there are films",
        },
    ] = 1024
    follow: Annotated[
        float,
        {
            "min": 0.0,
            "max": 0.9999,
            "step": 0.001,
            "label": "Key momentum",
            "tooltip": "How slowly the second network follows; 0.999 for a long run",
        },
    ] = 0.99
    temperature: Annotated[float, {"min": 0.01, "max": 1.0, "step": 0.01}] = 0.2
    code: Annotated[
        int, {"min": 8, "max": 1024, "tooltip": "Numbers that a view is known by"}
    ] = 128

    passes: ClassVar[int] = 2

    def networks(self, n_findings: int, built_on: Mapping[str, Any]) -> list[nn.Module]:
        """Return the encoder that learns; the other follows it."""
        return [Moco(self.arch, in_channels=self.channels, dim=self.code).encoder_q]


@recipe(
    "moco",
    config=MocoConfig,
    stages=(),
    summary="Learn an encoder from films alone, for segmenters and classifiers",
    title="0 · MoCo: a start without labels",
    order=70,
    network="encoder",
)
def moco(context: Context, config: MocoConfig) -> Events:
    """Train an encoder to know a film again; its run is what init=moco starts from.

    Raises
    ------
    DataError
        If there are fewer than two training films.
    """
    labels = _batches.Labels.from_project(context.project)
    train, val = labels.split("train"), labels.split("val")[:_TOLD_APART]
    if len(train) < 2:
        raise DataError(
            f"{len(train)} training films are too few to be told apart; import more, "
            "with or without labels"
        )
    films = yield from film_cache.films(context.project, config.size)
    context.lock.extend(
        {"case": labels.cases[row].id, "source": "film"} for row in train
    )
    model = _network(config, len(train))
    feed = _batches.Feed(films, labels.ids, config)
    sampler = ShuffledSampler(train, config.batch, config.seed)

    def loss(model: nn.Module, step: int, device: torch.device) -> Tensor:
        if step == 0:
            _fill(_unwrapped(model), feed, train, config, device)
        rows = sampler(step)
        views = [feed.training(rows, step, device, stream=n)[0] for n in (0, 1)]
        return model(*views, torch.tensor(ranks.share(rows), device=device))

    def validate(model: nn.Module, device: torch.device) -> Mapping[str, float]:
        return _validated(model, feed, val, config, device)

    task = Task(
        model=model,
        loss=loss,
        validate=validate,
        steps=max(1, round(config.epochs * len(train) / config.batch)),
        header=_header(config, model, labels.findings),
        criterion="val_loss",
        higher_is_better=False,
    )
    for event in fit(task, config, context):
        yield _encoder_alone(event) if isinstance(event, Checkpoint) else event


def _network(config: MocoConfig, n_films: int) -> Moco:
    torch.manual_seed(config.seed)
    model = Moco(
        config.arch,
        in_channels=config.channels,
        dim=config.code,
        queue=min(config.queue, n_films),
        momentum=config.follow,
        temperature=config.temperature,
    )
    if config.init == "imagenet":
        pretrained.load(model.encoder_q.backbone, pretrained.imagenet(config.arch))
        model.start_keys()
    return model


def _header(
    config: MocoConfig, model: Moco, findings: tuple[str, ...]
) -> dict[str, Any]:
    return {
        "network": {"kind": "encoder", **model.spec},
        "findings": list(findings),
        **config.input_header(),
    }


def _fill(
    model: Moco,
    feed: _batches.Feed,
    train: list[int],
    config: MocoConfig,
    device: torch.device,
) -> None:
    """Fill the queue, so that the first batch has as much to be told from as the last.

    Or the loss would rise for as long as the queue grows.
    """
    sampler = ShuffledSampler(train, config.batch, config.seed + 1)
    for step in range(-(-len(model.queue) // config.batch)):
        rows = sampler(step)
        images, _ = feed.training(rows, step, device, stream=2)
        mine = torch.tensor(ranks.share(rows), device=device)
        model.enqueue(model.keys(images), mine)


def _validated(
    model: Any,
    feed: _batches.Feed,
    rows: list[int],
    config: MocoConfig,
    device: torch.device,
) -> dict[str, float]:
    """Return how surely, and how often, validation films are known again.

    Among all of them, by two views that are the same at every validation.
    """
    if len(rows) < 2:
        return {}
    codes: tuple[list[Tensor], list[Tensor]] = ([], [])
    for start in range(0, len(rows), config.batch):
        some = rows[start : start + config.batch]
        for view, found in enumerate(codes):
            images, _ = feed.training(
                some, start, device, stream=3 + view, every_rank=True
            )
            found.append(model.encoder_q(images))
    first, second = (torch.cat(found) for found in codes)
    likeness = first @ second.T
    own = torch.arange(len(rows), device=likeness.device)
    loss = functional.cross_entropy(likeness / config.temperature, own)
    known = (likeness.argmax(1) == own).float().mean()
    return {"val_loss": float(loss), "val_known_again": float(known)}


def _unwrapped(model: nn.Module) -> Any:
    return getattr(model, "module", model)


def _encoder_alone(event: Checkpoint) -> Checkpoint:
    """Leave a checkpoint to offer the trunk of the queries, by its own names."""
    return replace(
        event,
        weights={
            name.removeprefix(_BACKBONE): value
            for name, value in event.weights.items()
            if name.startswith(_BACKBONE)
        },
    )

"""Tied deconvolution network: finer maps, stage by stage (Kim & Hwang 2016)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from napari_wsseg.io import film_cache
from napari_wsseg.jobs import DataError, Progress
from napari_wsseg.nn import losses, pretrained, ranks, tied_maps
from napari_wsseg.nn.tied_deconv import LAST_STAGE, TiedDeconv
from napari_wsseg.nn.tied_encoder import Encoder, FirstClassifier, from_vgg, imagenet
from trainers.data import batches as _batches
from trainers.engine.loop import Task
from trainers.engine.phases import Kept, Phase, fit_in_turn
from trainers.engine.recipe import Context, Events, recipe
from trainers.settings.tied_deconv import TiedDeconvConfig
from trainers.tasks import image_labels as _image_labels

FIRST = "classification network"
#: From a network's output (B, …) and labels (B, K) to a scalar.
Loss = Callable[[Tensor, Tensor], Tensor]


@recipe(
    "tied_deconv",
    config=TiedDeconvConfig,
    stages=("cam", "crf"),
    summary="Learn where findings are, coarse to fine, by going back through layers",
    title="1 · TDN instead (tied deconvolution)",
    order=20,
    network="tied_deconv",
    judged_by="val_auroc",
)
def tied_deconv(context: Context, config: TiedDeconvConfig) -> Events:
    """Train the classification network, the baseline, then stage after stage.

    Raises
    ------
    DataError
        If no training film has a label, or there is no finding that is present on
        some and absent on others; if weights to start from do not fit.
    """
    films = yield from film_cache.films(context.project, config.side)
    labels = _batches.Labels.from_project(context.project, uncertain=config.uncertain)
    train = labels.known_in("train")
    not_learnt = _image_labels.not_learnt(labels, train)
    for finding, why in not_learnt.items():
        yield Progress(0, 0, f"{finding} is not learnt: {why}")
    context.lock.extend(labels.lock(train))
    lesson = _Lesson(
        config,
        labels,
        _batches.Feed(films, labels.ids, config),
        _image_labels.sampler(
            labels,
            train,
            share=config.positive_share,
            batch=config.batch,
            seed=config.seed,
        ),
        n_train=len(train),
        not_learnt=tuple(not_learnt),
    )
    yield from fit_in_turn(lesson.phases(), context, _gathered)


@dataclass(frozen=True, slots=True, eq=False)
class _Lesson:
    """What is learnt from, and the phases that learn from it."""

    config: TiedDeconvConfig
    labels: _batches.Labels
    feed: _batches.Feed
    sampler: Callable[[int], list[int]]
    n_train: int
    not_learnt: tuple[str, ...]

    @property
    def spec(self) -> dict[str, Any]:
        return self.config.spec(len(self.labels.findings))

    def phases(self) -> list[Phase]:
        config = self.config
        first, baseline, later = (
            replace(config, learning_rate=rate, epochs=epochs)
            for rate, epochs in (
                (config.learning_rate, config.epochs),
                (config.baseline_rate, config.baseline_epochs),
                (config.stage_rate, config.stage_epochs),
            )
        )
        if config.schedule == "step":
            # Section 4.2: the stages' few epochs go without decay.
            later = replace(later, schedule="constant")
        found = []
        if config.first_network != "none":
            steps = self._steps(first)
            found.append(
                Phase(FIRST, first, steps, self._first, keeps="encoder.", offers=False)
            )
        for stage in range(config.stages + 1):
            settings = later if stage else baseline
            task = partial(self._stage, stage)
            found.append(Phase(_name(stage), settings, self._steps(settings), task))
        return found

    def _steps(self, config: TiedDeconvConfig) -> int:
        return max(1, round(config.epochs * self.n_train / config.batch))

    def _first(self, kept: Kept, begun: int, steps: int) -> Task:
        config = self.config
        torch.manual_seed(config.seed)
        model = FirstClassifier(
            config.arch,
            len(self.labels.findings),
            size=config.size,
            in_channels=config.channels,
            width=config.width,
            fully_connected=config.first_network == "fully connected",
        )
        _start(model.encoder, config)
        return self._task(model, begun, steps, losses.bce, torch.sigmoid, {})

    def _stage(self, stage: int, kept: Kept, begun: int, steps: int) -> Task:
        config = self.config
        torch.manual_seed(config.seed + stage + 1)
        model = TiedDeconv(**self.spec)
        if stage == 0:
            _start(model.encoder, config)
            model.load_state_dict(kept.get(FIRST, {}), strict=False)
        else:
            source = stage - 1 if config.layerwise else 0
            model = TiedDeconv(**self.spec, stage=source)
            model.load_state_dict(kept[_name(source)])
            for _ in range(source, stage):
                model = model.grow()
        if config.freeze_untied:
            model.freeze_untied()
        form, s = model.form, model.s
        return self._task(
            model,
            begun,
            steps,
            lambda maps, target: tied_maps.loss(maps, target, form, s),
            lambda maps: tied_maps.present(maps, form, s),
            {
                **config.header(self.labels.findings, stage),
                "not_learnt": list(self.not_learnt),
            },
        )

    def _task(
        self,
        model: nn.Module,
        begun: int,
        steps: int,
        measure: Loss,
        present: Callable[[Tensor], Tensor],
        header: Mapping[str, object],
    ) -> Task:
        config, labels, feed = self.config, self.labels, self.feed

        def loss(model: nn.Module, step: int, device: torch.device) -> Tensor:
            step += begun
            rows = self.sampler(step)
            images, _ = feed.training(rows, step, device, every_rank=True)
            images = _window(images, config.size, feed.generator(step, stream=1))
            images, target = ranks.share(images), ranks.share(labels.targets[rows])
            return measure(model(images), target.to(device))

        def validate(model: nn.Module, device: torch.device) -> Mapping[str, float]:
            size = config.size
            return _validated(model, device, feed, labels, measure, present, size)

        return Task(
            model=model,
            loss=loss,
            validate=validate,
            steps=steps,
            header=header,
            criterion=config.choose_by,
            higher_is_better=config.choose_by == "val_auroc",
        )


def _name(stage: int) -> str:
    return f"stage {stage}" if stage else "baseline"


def _gathered(kept: Kept) -> dict[str, Tensor]:
    """Return the tensors of every stage as `nn.tied_deconv.Stages` names them."""
    return {
        f"stages.{stage}.{name}": tensor
        for stage in range(LAST_STAGE + 1)
        for name, tensor in kept.get(_name(stage), {}).items()
    }


def _start(encoder: Encoder, config: TiedDeconvConfig) -> None:
    """Fill the convolutions with weights learnt elsewhere, if any are asked for."""
    if not config.weights:
        return
    imported = config.weights == "imagenet"
    state = imagenet() if imported else pretrained.read(Path(config.weights))
    report = pretrained.load(encoder, from_vgg(state))
    if report.missing:
        raise DataError(
            f"{config.weights} lacks {len(report.missing)} tensors of VGG-16, "
            f"{report.missing[0]} first; give weights of a whole vgg16"
        )


def _window(images: Tensor, size: int, generator: torch.Generator) -> Tensor:
    """Cut a random window (B, C, size, size) out of each of (B, C, S, S) films.

    The paper takes 320 px of 340. Nothing is resampled, so that what a film shows is
    as large in training as it is later.
    """
    room = images.shape[-1] - size
    if room <= 0:
        return images
    corners = torch.randint(room + 1, (len(images), 2), generator=generator).tolist()
    return torch.stack(
        [
            image[:, top : top + size, left : left + size]
            for image, (top, left) in zip(images, corners, strict=True)
        ]
    )


def _middle(images: Tensor, size: int) -> Tensor:
    """Return the middle (B, C, size, size) of films."""
    room = images.shape[-1] - size
    begin = slice(room // 2, room // 2 + size)
    return images[..., begin, begin]


def _validated(
    model: nn.Module,
    device: torch.device,
    feed: _batches.Feed,
    labels: _batches.Labels,
    measure: Loss,
    present: Callable[[Tensor], Tensor],
    size: int,
) -> dict[str, float]:
    rows = labels.known_in("val")
    if not rows:
        return {}
    targets = labels.targets[rows]
    scores: list[Tensor] = []
    total, place = 0.0, 0
    for images in feed.viewing(rows, device):
        # Fully connected layers take no film but of their own size.
        logits = (
            model.maps_of_any_size(images)
            if isinstance(model, TiedDeconv)
            else model(_middle(images, size))
        ).float()
        batch = targets[place : place + len(images)]
        total += float(measure(logits, batch.to(device))) * len(images)
        scores.append(present(logits).cpu())
        place += len(images)
    loss = {"val_loss": total / len(rows)}
    return loss | _image_labels.auroc_metrics(torch.cat(scores), targets)

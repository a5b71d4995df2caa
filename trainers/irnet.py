"""Stage 2: IRNet learns boundaries from the classifier's seeds (Ahn 2019)."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
from torch import Tensor, nn

from napari_wsseg.io import film_cache, stages
from napari_wsseg.io.project import Project
from napari_wsseg.jobs import DataError, Progress
from napari_wsseg.nn import classifier, irnet_loss, pretrained, ranks
from napari_wsseg.nn.backbones import BACKBONES
from napari_wsseg.nn.classifier import Classifier
from napari_wsseg.nn.irnet import IRNet
from napari_wsseg.pipeline import infer
from napari_wsseg.pipeline.inference import networks
from napari_wsseg.schema import IGNORE
from trainers.data import batches as _batches
from trainers.data import targets as _targets
from trainers.data.samplers import ShuffledSampler
from trainers.engine.loop import Task, fit
from trainers.engine.recipe import Context, Events, TrainingConfig, recipe
from trainers.settings import post_processing as _post_processing
from trainers.settings.post_processing import PostCrf, PostMinArea

logger = logging.getLogger(__name__)

#: Least share of films with both sides of a boundary before a warning is given.
_SHARE_WITH_PAIRS = 0.5

#: Most training films whose mean displacement is taken off.
_CENTRING = 256


@dataclass(frozen=True, kw_only=True)
class IrnetConfig(TrainingConfig):
    """Settings of IRNet and of the random walk on its boundaries."""

    classifier_run: Annotated[
        str, {"tooltip": "Classifier to build on; empty: the one in use"}
    ] = ""
    trunk: Annotated[
        str,
        {
            "choices": ["classifier", *BACKBONES],
            "label": "Network",
            "tooltip": "classifier: the one that it builds on; the papers' IRNet looks "
            "at films with a resnet50 of its own",
        },
    ] = "classifier"
    trunk_weights: Annotated[
        str,
        {
            "label": "Its weights",
            "tooltip": "imagenet, or a file of that network's weights; they stay as "
            "they are",
        },
    ] = "imagenet"
    radius: Annotated[
        int,
        {
            "min": 2,
            "max": 20,
            "label": "Pair radius",
            "tooltip": "Pixel pairs nearer than this are compared, on a quarter grid",
        },
    ] = 10
    positives_only: Annotated[
        bool, {"tooltip": "Learn from films with a finding alone, as WSMIS does"}
    ] = True
    displacement: Annotated[
        bool,
        {
            "label": "Learn displacement",
            "tooltip": "Only splitting a mask into separate lesions needs it",
        },
    ] = False
    walk_radius: Annotated[int, {"min": 2, "max": 20}] = 5
    walk_beta: Annotated[float, {"min": 1.0, "max": 50.0, "step": 1.0}] = 10.0
    walk_steps: Annotated[int, {"min": 1, "max": 4096}] = 256
    walk_threshold: Annotated[float, {"min": 0.0, "max": 1.0, "step": 0.05}] = 0.3
    post_crf: PostCrf = False
    post_min_area: PostMinArea = 0.0

    def networks(self, n_findings: int, built_on: Mapping[str, Any]) -> list[nn.Module]:
        """Return both branches, on their own network, the classifier or a usual one."""
        if self.trunk != "classifier":
            return [IRNet(_own_backbone(self, n_findings, None))]
        spec = dict(built_on.get("network", {}))
        spec.pop("kind", None)
        usual = {"arch": "resnet18", "n_findings": n_findings}
        return [IRNet(classifier.build(**spec or usual))]

    def film_input(self, built_on: Mapping[str, Any]) -> tuple[int, int]:
        """Return the classifier's side, and channels."""
        own = self.trunk != "classifier"
        channels = 3 if own else built_on.get("network", {}).get("in_channels", 1)
        return int(built_on.get("size", 256)), int(channels)


@recipe(
    "irnet",
    config=IrnetConfig,
    stages=("irnet",),
    summary="Learn where one thing ends, and let heat flow up to there",
    title="2 · IRNet",
    order=30,
    network="irnet",
    builds_on={"classifier_run": "cam"},
    in_run=True,
)
def irnet(context: Context, config: IrnetConfig) -> Events:
    """Train both branches on a frozen network: the classifier, or one of their own.

    Films are as large as the classifier's, whose maps the walk spreads.

    Raises
    ------
    DataError
        If no classifier is in use, no training film has a seed, or weights of their
        own network do not fit.
    """
    project = context.project
    run = _targets.in_use(project, "cam", config.classifier_run)
    backbone, header = _frozen_network(project, run, config)
    yield from infer.infer(
        project, "crf", run, device=config.device, cancel=context.cancel
    )
    if context.cancel.is_set():
        return
    films = yield from film_cache.films(project, header["size"])
    labels = _batches.Labels.from_project(project)
    seeded = _seeded(labels, labels.known_in("train"), config.positives_only)
    if not seeded:
        raise DataError(
            "no training film is labelled with a finding, so there is nothing to learn "
            "boundaries from; label some films as present"
        )
    exclusive = bool(header.get("exclusive", False))
    pairs = _with_pairs(
        project, run, labels, seeded, films.size, config.radius, exclusive=exclusive
    )
    yield Progress(0, 0, pairs)
    context.lock.extend(labels.lock(seeded))
    torch.manual_seed(config.seed)
    placed = header["cam"].get("placement", "looks") == "looks"
    model = _network(backbone, placed=placed)
    if not config.displacement:
        for parameter in model.displacement_parameters():
            parameter.requires_grad_(False)
    steps = max(1, round(config.epochs * len(seeded) / config.batch))
    sampler = ShuffledSampler(seeded, config.batch, config.seed)
    feed = _batches.Feed(films, labels.ids, _Feeding(config, header))

    def seeds(rows: Sequence[int]) -> Tensor:
        return _seeds(project, run, labels, rows, films.size, exclusive=exclusive)

    def loss(model: nn.Module, step: int, device: torch.device) -> Tensor:
        rows = sampler(step)
        mine = ranks.share(rows)
        images, moved = feed.training(rows, step, device, seeds(mine))
        return _loss(model, images, moved, config)

    def validate(model: nn.Module, device: torch.device) -> Mapping[str, float]:
        if config.displacement:
            _centre(model, feed.viewing(_evenly_spaced(seeded), device))
        rows = _seeded(labels, labels.known_in("val"), True)
        return _validated(model, device, feed, rows, seeds, config)

    yield from fit(
        Task(
            model=model,
            loss=loss,
            validate=validate,
            steps=steps,
            header={
                **header,
                "network": {**header["network"], "kind": "irnet", "placed": placed},
                "classifier": run,
                "seeds": pairs,
                **_spreading(config),
            },
            criterion="val_loss",
            higher_is_better=False,
            # The published settings learn displacement ten times as fast.
            rates={"displacement": 10.0},
        ),
        config,
        context,
    )


def _frozen_network(
    project: Project, run: str, config: IrnetConfig
) -> tuple[nn.Module, Mapping[str, Any]]:
    """Return the network whose features the branches read, and its header."""
    backbone, header = networks.load(project.folder, run)
    networks.require(header, "classifier", run)
    if config.trunk == "classifier":
        return backbone, header
    weights: pretrained.Weights = "imagenet"
    if config.trunk_weights != "imagenet":
        weights = Path(config.trunk_weights).expanduser()
    backbone = _own_backbone(config, len(header["findings"]), weights)
    return backbone, _with_own_backbone(header, backbone)


def _spreading(config: IrnetConfig) -> dict[str, object]:
    """Return what a checkpoint's header says of how heat is spread and cut."""
    return {
        "displacement": config.displacement,
        "walk": {
            "radius": config.walk_radius,
            "beta": config.walk_beta,
            "steps": config.walk_steps,
        },
        "thresholds": {"irnet": 0.5 if config.post_crf else config.walk_threshold},
        "post": _post_processing.header(
            crf=config.post_crf,
            min_area=config.post_min_area,
            cut=config.walk_threshold,
        ),
    }


@dataclass(frozen=True, slots=True)
class _Feeding:
    """The recipe's own drawing, the classifier's own input."""

    config: IrnetConfig
    header: Mapping[str, object]

    @property
    def batch(self) -> int:
        return self.config.batch

    @property
    def seed(self) -> int:
        return self.config.seed

    @property
    def augment(self) -> float:
        return self.config.augment

    @property
    def tone(self) -> float:
        return self.config.tone

    @property
    def flip(self) -> bool:
        return self.config.flip

    @property
    def normalisation(self) -> str:
        return str(self.header["normalisation"])

    @property
    def detail(self) -> int:
        return int(str(self.header.get("detail", 0)))

    @property
    def channels(self) -> int:
        network = self.header["network"]
        return int(network["in_channels"]) if isinstance(network, dict) else 1


def _own_backbone(
    config: IrnetConfig, n_findings: int, weights: pretrained.Weights
) -> Classifier:
    """Return the papers' trunk: stride 16, and nothing behind it."""
    return classifier.build(
        config.trunk,
        n_findings,
        in_channels=3,
        output_stride=16,
        extra_convs=False,
        weights=weights,
    )


def _with_own_backbone(
    header: Mapping[str, Any], backbone: Classifier
) -> dict[str, Any]:
    """Return the classifier's header with the network and the input of its own."""
    colour = header["normalisation"] == "imagenet-rgb"
    return {
        **header,
        "network": dict(backbone.spec),
        "normalisation": "imagenet-rgb" if colour else "imagenet",
        "detail": 0,
    }


def _network(backbone: nn.Module, *, placed: bool = False) -> IRNet:
    if not isinstance(backbone, Classifier):
        raise TypeError(f"IRNet builds on a Classifier, not {type(backbone).__name__}")
    return IRNet(backbone, placed=placed)


def _seeded(
    labels: _batches.Labels, rows: list[int], positives_only: bool
) -> list[int]:
    present = (labels.targets == 1).any(1)
    return [row for row in rows if present[row] or not positives_only]


def _seeds(
    project: Project,
    run: str,
    labels: _batches.Labels,
    rows: Sequence[int],
    size: int,
    *,
    exclusive: bool = False,
) -> Tensor:
    """Return (B, K, size, size) seeds, conditioned on the image-level labels.

    A finding that is absent, or not known to be there, gives no pairs: the film's
    other findings may have boundaries where it has none. Of findings that exclude each
    other there is one map (B, 1, size, size), on which every two of them differ.
    """
    found = []
    for row in rows:
        maps = stages.read(project.folder, "crf", run, labels.cases[row].id)
        if maps is None:
            raise DataError(
                f"the seeds of {labels.cases[row].path} are gone; infer crf"
            )
        seed = np.array(maps.extra["seed"], np.uint8)
        target = labels.targets[row]
        seed[(target != 1).numpy()] = IGNORE
        if (target == 0).all():
            seed[:] = 0
        found.append(torch.from_numpy(seed))
    stacked = torch.stack(found)
    if exclusive:
        stacked = _on_one_map(stacked)
    return nn.functional.interpolate(stacked, (size, size), mode="nearest-exact")


def _on_one_map(seeds: Tensor) -> Tensor:
    """Return (B, 1, h, w): 0 background, k + 1 where finding k is, `IGNORE` elsewhere.

    Findings of one CRF have no pixel in common, and share their background.
    """
    found = seeds == 1
    number = torch.full_like(seeds[:, :1], IGNORE)
    number[(seeds == 0).any(1, keepdim=True)] = 0
    for k in range(seeds.shape[1]):
        number[:, 0][found[:, k]] = k + 1
    return number


def _with_pairs(
    project: Project,
    run: str,
    labels: _batches.Labels,
    rows: list[int],
    size: int,
    radius: int,
    *,
    exclusive: bool = False,
) -> str:
    """Return how many films with a finding have seeds of both sides of a boundary.

    Where that is less than half of them it is a warning: such seeds teach no boundary.
    """
    some, grid = _evenly_spaced(_seeded(labels, rows, True)), max(1, size // 4)
    parted = sum(
        bool(irnet_loss.pairs(seeds[None], radius=radius).different.any())
        for row in some
        for seeds in _seeds(project, run, labels, [row], grid, exclusive=exclusive)
    )
    if parted < _SHARE_WITH_PAIRS * len(some):
        logger.warning(
            "the seeds of %d of %d films have no finding beside background, so IRNet "
            "learns little of boundaries; bring the classifier's seed_foreground and "
            "seed_background closer together",
            len(some) - parted,
            len(some),
        )
    return f"{parted} of {len(some)} films with a finding have seeds of a boundary"


def _evenly_spaced(rows: list[int]) -> list[int]:
    """Return at most `_CENTRING` rows, evenly."""
    return rows[:: max(1, -(-len(rows) // _CENTRING))]


def _centre(model: nn.Module, batches: Iterable[Tensor]) -> None:
    """Take the mean displacement of some training films off all later fields."""
    if not isinstance(model, IRNet):
        raise TypeError(f"only IRNet has a displacement, not {type(model).__name__}")
    mean = model.mean_shift.mean
    mean.zero_()
    films, total = 0, torch.zeros_like(mean)
    for images in batches:
        films += len(images)
        levels = model.backbone.stages(images)
        fields = model.displacement(levels, images.shape[-2:])
        total += fields.mean((2, 3)).sum(0)
    mean += total / max(1, films)


def _loss(
    model: nn.Module, images: Tensor, seeds: Tensor | None, config: IrnetConfig
) -> Tensor:
    edge, field = model(images, displacement=config.displacement)
    if seeds is None:
        raise ValueError("IRNet needs seeds")
    pairs = irnet_loss.pairs(irnet_loss.on_grid(seeds, edge), radius=config.radius)
    total = irnet_loss.boundary(edge.float(), pairs).total
    if field is not None:
        total = total + irnet_loss.displacement(field.float(), pairs).total
    return total


def _validated(
    model: nn.Module,
    device: torch.device,
    feed: _batches.Feed,
    rows: list[int],
    seeds: Callable[[Sequence[int]], Tensor],
    config: IrnetConfig,
) -> dict[str, float]:
    if not rows:
        return {}
    losses, place = [], 0
    for images in feed.viewing(rows, device):
        batch = rows[place : place + len(images)]
        place += len(images)
        targets = seeds(batch).to(device)
        losses.append(float(_loss(model, images, targets, config)))
    return {"val_loss": float(np.mean(losses))}

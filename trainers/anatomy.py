"""Heart, lungs and the rest of what every film shows, learnt from synthetic films."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
import torch
from torch import Tensor, nn

from napari_wsseg.io import film_cache
from napari_wsseg.jobs import DataError, Progress, UsageError
from napari_wsseg.nn import anatomy as _anatomy
from napari_wsseg.nn import losses, ranks
from napari_wsseg.nn.normalise import as_planes, normalise
from napari_wsseg.phantom import STRUCTURES
from napari_wsseg.pipeline.inference import anatomy as shipped
from trainers.data import synthetic_anatomy as _synthetic_anatomy
from trainers.data.randomise import randomised
from trainers.data.samplers import ShuffledSampler
from trainers.engine.loop import Task, fit
from trainers.engine.recipe import Context, Events, TrainingConfig, recipe

_FIRST_SEED, _FIRST_SEED_OF_VAL, _VAL = 7_000_000, 8_000_000, 64

#: Synthetic films are made larger than they are learnt, since they are turned.
_MARGIN = 1.125


@dataclass(frozen=True, kw_only=True)
class AnatomyConfig(TrainingConfig):
    """Settings of the anatomy network."""

    size: Annotated[
        int, {"min": 64, "max": 512, "step": 32, "label": "Working size (px)"}
    ] = 128
    epochs: Annotated[
        int,
        {
            "min": 1,
            "max": 1000,
            "basic": True,
            "tooltip": "How often the synthetic films are gone through",
        },
    ] = 4
    learning_rate: Annotated[float, {"min": 1e-7, "max": 10.0, "step": 1e-4}] = 5e-4
    start: Annotated[
        str,
        {
            "choices": ["shipped", "random"],
            "basic": True,
            "label": "Start from",
            "tooltip": "shipped: the weights that come with the program; random: "
            "learn everything anew, from synthetic films alone",
        },
    ] = "shipped"
    synthetic: Annotated[
        int,
        {
            "min": 8,
            "max": 100_000,
            "basic": True,
            "label": "Synthetic films",
            "tooltip": "How many are made to learn from; a tenth of a second each",
        },
    ] = 300
    own: Annotated[
        float,
        {
            "min": 0.0,
            "max": 0.9,
            "step": 0.05,
            "basic": True,
            "label": "Own films",
            "tooltip": "Share of every batch that are training films of this project, "
            "with what the network itself draws on them; no label and no mask is read",
        },
    ] = 0.5

    def __post_init__(self) -> None:
        if self.start == "random" and self.own:
            raise UsageError(
                "start=random knows nothing to teach itself on own films; set own=0"
            )

    def networks(self, n_findings: int, built_on: Mapping[str, Any]) -> list[nn.Module]:
        """Return the anatomy network, whatever the findings are."""
        return [_anatomy.build(len(STRUCTURES))]


@recipe(
    "anatomy",
    config=AnatomyConfig,
    stages=("anatomy",),
    summary="Find heart and lungs on every film: learnt from synthetic films and, "
    "without labels or masks, from this project's",
    title="0 · Anatomy: heart and lungs",
    order=80,
    network="anatomy",
)
def anatomy(context: Context, config: AnatomyConfig) -> Events:
    """Train the anatomy network on synthetic films, randomised beyond what is real.

    Its own films are taught by what the network it starts from draws on them, three
    zooms averaged (Xie 2020, noisy student); pixels of which that is unsure teach
    nothing.

    Raises
    ------
    DataError
        If own films are asked for and there is no training film.
    """
    size = round(config.size * _MARGIN)
    first = _FIRST_SEED + 100_000 * config.seed
    learnt = yield from _synthetic_anatomy.films(
        range(first, first + config.synthetic), size
    )
    unseen = yield from _synthetic_anatomy.films(
        range(_FIRST_SEED_OF_VAL, _FIRST_SEED_OF_VAL + min(_VAL, config.synthetic)),
        config.size,
    )
    if context.cancel.is_set():
        return
    torch.manual_seed(config.seed)
    model: nn.Module = _anatomy.build(len(STRUCTURES))
    if config.start == "shipped":
        model, _ = shipped.shipped()
    own = None
    if config.own:
        own = yield from _own_films(context, config, model)
    n_own = round(config.own * config.batch) if own else 0
    yield from fit(
        Task(
            model=model,
            loss=_loss(config, learnt, own, n_own),
            validate=lambda model, device: _validated(model, device, unseen),
            steps=max(1, config.epochs * config.synthetic // (config.batch - n_own)),
            header=_header(config, context),
            criterion="val_iou",
        ),
        config,
        context,
    )


def _header(config: AnatomyConfig, context: Context) -> dict[str, Any]:
    return {
        "network": {"kind": "anatomy", "n_structures": len(STRUCTURES)},
        "recipe": "anatomy",
        "size": config.size,
        "normalisation": "film",
        "findings": [finding.name for finding in context.project.findings],
        "structures": list(STRUCTURES),
        "flip": False,
        "learnt_from": "synthetic films"
        + (" and this project's films, without labels" if config.own else ""),
    }


@dataclass(frozen=True, slots=True, eq=False)
class _Own:
    """Films (N, 1, S, S) in [0, 1], and what is drawn on them, NaN where unsure."""

    films: Tensor
    masks: Tensor


def _own_films(
    context: Context, config: AnatomyConfig, model: nn.Module
) -> Generator[Progress, None, _Own]:
    films = yield from film_cache.films(context.project, config.size)
    ids = context.project.case_ids("train")
    if not ids:
        raise DataError("no film is in the training split; set own=0")
    context.lock.extend({"case": name, "source": "film alone"} for name in ids)
    model.eval()
    greys, drawn = [], []
    for start in range(0, len(ids), 8):
        pixels = torch.from_numpy(films.take(ids[start : start + 8]))
        plane = as_planes(pixels, 1)
        greys.append(plane)
        drawn.append(_sure(averaged(model, plane)))
        yield Progress(start, len(ids), "drawing on the project's own films")
    return _Own(torch.cat(greys), torch.cat(drawn))


def _sure(odds: Tensor) -> Tensor:
    """Return 0 and 1 where it is sure, NaN elsewhere."""
    unsure = (odds > 0.3) & (odds < 0.7)
    return (odds >= 0.5).float().masked_fill(unsure, float("nan"))


@torch.no_grad()
def averaged(model: nn.Module, films: Tensor) -> Tensor:
    """Return probabilities (B, K, S, S) of films in [0, 1], three zooms averaged."""
    return shipped.probabilities(model, normalise(films, "film"))


def _loss(
    config: AnatomyConfig,
    learnt: _synthetic_anatomy.SyntheticFilms,
    own: _Own | None,
    n_own: int,
) -> Any:
    count = config.batch - n_own
    made = ShuffledSampler(range(len(learnt.pixels)), count, config.seed)
    real = own and ShuffledSampler(range(len(own.films)), n_own, config.seed)

    def loss(model: nn.Module, step: int, device: torch.device) -> Tensor:
        seed = np.random.SeedSequence([config.seed, step]).generate_state(1)[0]
        generator = torch.Generator().manual_seed(int(seed))
        films, masks = randomised(*learnt.take(made(step)), config.size, generator)
        if own and real:
            rows = real(step)
            pair = own.films[rows], own.masks[rows]
            theirs = randomised(*pair, config.size, generator, strength=0.6)
            films, masks = torch.cat([films, theirs[0]]), torch.cat([masks, theirs[1]])
        films, masks = ranks.share(films), ranks.share(masks)
        logits = model(normalise(films, "film").to(device))
        masks = masks.to(device)
        return losses.bce(logits, masks) + losses.dice(logits, masks)

    return loss


def _validated(
    model: nn.Module, device: torch.device, films: _synthetic_anatomy.SyntheticFilms
) -> dict[str, float]:
    """Return IoU on synthetic films of other seeds, mean of heart and lungs."""
    both = either = torch.zeros(len(STRUCTURES))
    for start in range(0, len(films.pixels), 16):
        rows = range(start, min(start + 16, len(films.pixels)))
        greys, masks = films.take(rows)
        found = (model(normalise(greys, "film").to(device)) >= 0).cpu()
        both = both + (found & (masks > 0.5)).sum((0, 2, 3))
        either = either + (found | (masks > 0.5)).sum((0, 2, 3))
    each = (both / either.clamp(min=1)).tolist()
    return {"val_iou": float(np.mean(each[:3]))} | {
        f"val_{name}": value for name, value in zip(STRUCTURES, each, strict=True)
    }

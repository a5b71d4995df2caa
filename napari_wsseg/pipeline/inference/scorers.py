"""How each stage's maps are computed, film by film."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import special
from torch import Tensor

from napari_wsseg.cam import fusion, methods
from napari_wsseg.cam.level import AtLevel
from napari_wsseg.io import stages
from napari_wsseg.nn import cell_centres
from napari_wsseg.nn.classifier import Classifier
from napari_wsseg.nn.irnet import IRNet
from napari_wsseg.ops import affinity, seeds
from napari_wsseg.ops import crf as _crf
from napari_wsseg.pipeline.inference import (
    evidence,
    organs,
    places,
    refining,
    truth_free,
    variants,
)
from napari_wsseg.pipeline.inference.work import Work, resized
from napari_wsseg.schema import Case, StageMaps


@torch.inference_mode()
def cam(work: Work, batch: list[Case]) -> Iterator[StageMaps]:
    """Read a classifier's maps, each divided by its own peak."""
    model = work.model
    if not isinstance(model, Classifier):
        raise TypeError(f"{work.run} is a {type(model).__name__}, not a Classifier")
    images = work.input(batch)
    logits = _Logits(images.shape)
    heat = _heat(work, model, images, flip=work.flip, logits=logits)
    scores = seeds.normalise(heat.float().cpu().numpy())
    extras: list[dict[str, NDArray[np.float16]]] = [{} for _ in batch]
    if work.header.get("cut") == "agreement":
        extras = _views(work, model, images, scores.shape[-1])
    gates = _present(work, model, images, batch, logits.looks)
    for score, gate, extra in zip(scores, gates, extras, strict=True):
        yield StageMaps(score=score, present=gate, extra=extra)


class _Logits:
    """The logits (B, K) of looks at films of one size, as a method comes by them."""

    def __init__(self, shape: torch.Size) -> None:
        self._shape = shape
        self.looks: list[Tensor] = []

    def hear(self, images: Tensor, logits: Tensor) -> None:
        """Keep the logits of a look, if it is at films of that size."""
        if images.shape == self._shape:
            self.looks.append(logits)


class _Heard(AtLevel):
    """Also tells the logits of every look, once."""

    def __init__(self, classifier: Classifier, level: int, logits: _Logits) -> None:
        super().__init__(classifier, level)
        self._logits = logits
        self._seen: Tensor | None = None

    def features(self, x: Tensor, /) -> Tensor:
        """Return the level's map; see `AtLevel.features`."""
        maps = super().features(x)
        if self.level == 5:  # whose methods need no head
            self._logits.hear(x, self.classifier.head(maps))
        else:
            self._seen = x
        return maps

    def head(self, features: Tensor, /) -> Tensor:
        """Return the level's logits; see `AtLevel.head`."""
        logits = super().head(features)
        if self._seen is not None:
            self._logits.hear(self._seen, logits.detach())
            self._seen = None
        return logits


def _heat(
    work: Work,
    model: Classifier,
    images: Tensor,
    *,
    flip: bool,
    scale: float = 1.0,
    logits: _Logits | None = None,
) -> Tensor:
    """Return the heat (B, K, h, w) of the variant asked for.

    `logits` are told those of the films, and of their mirror images, where the method
    came by them.
    """
    method, levels = variants.parts(work.variant)
    header = work.header["cam"]
    looks = header.get("placement", "looks") == "looks"
    # A quarter is IRNet's grid; finer than the cells, so that placing blurs nothing.
    how: dict[str, Any] = {
        "scales": [scale * each for each in header["scales"]],
        "flip": flip,
        "grid": max(1, work.films.size // 4) if looks else None,
    }
    logits = logits or _Logits(images.shape)
    if len(levels) > 1:
        how["heard"] = logits.hear
        return fusion.multi_level(model, images, levels=levels, **how)
    cut = _Heard(model, levels[0], logits)
    how["cells"] = cell_centres.levels(model)[levels[0] - 1] if looks else None
    return fusion.multi_scale(methods[method], cut, images, **how)


def _views(
    work: Work, model: Classifier, images: Tensor, side: int
) -> list[dict[str, NDArray[np.float16]]]:
    """Return every film's maps (2, K, h, w) by two views of it.

    The film and its mirror image; the film smaller, where no mirrored film was learnt.
    """
    one = _heat(work, model, images, flip=False)
    if work.flip:
        other = _heat(work, model, images.flip(-1), flip=False).flip(-1)
    else:
        other = _heat(work, model, images, flip=False, scale=0.85)
    both = [
        np.stack([resized(each, side) for each in view])
        for view in (
            seeds.normalise(heat.float().cpu().numpy()) for heat in (one, other)
        )
    ]
    stacked = np.stack(both, 1).astype(np.float16)
    return [{truth_free.VIEWS: views} for views in stacked]


def _present(
    work: Work,
    model: Classifier,
    images: Tensor,
    batch: list[Case],
    looks: list[Tensor],
) -> NDArray[np.float32]:
    """Return the (B, K) probabilities, from another of the run's maps if it has them.

    They are the classifier's, whichever way its maps are read. `looks` are its logits
    of the films, and of their mirror images, if it was asked for them already.
    """
    folder = work.project.folder
    known = [stages.read_present(folder, "cam", work.run, case.id) for case in batch]
    if not work.again and all(one is not None for one in known):
        return np.stack([one for one in known if one is not None])
    if len(looks) != 1 + work.flip:
        looks = [model(images)]
        if work.flip:
            looks.append(model(images.flip(-1)))
    logits = sum(looks[1:], looks[0]) / len(looks)
    return np.asarray(logits.sigmoid().float().cpu().numpy(), np.float32)


def crf(work: Work, batch: list[Case]) -> Iterator[StageMaps]:
    """Draw maps to the edges of the film, and cut seeds."""
    how = work.header["crf"]
    size = work.films.size
    soft = how.get("odds", "hard") == "soft"
    threshold = work.header.get("thresholds", {}).get("cam", 0.5)
    params = refining.params_for(size, soft=soft)
    for case in batch:
        maps = work.below("cam", case)
        heat = resized(maps.score, size)
        image = refining.image_of(work, case)
        if work.header.get("exclusive"):
            sure, seed = refining.exclusive_seeds(
                heat,
                image,
                refining.contenders(work, case, maps.present),
                cuts=(how["foreground"], how["background"]),
                params=params,
                backend=how["backend"],
            )
        elif soft:
            sure, seed = _soft_seeds(
                heat, image, params, {"threshold": threshold, **how}
            )
        else:
            sure, seed = crf_seeds(
                heat,
                image,
                cuts=(how["foreground"], how["background"]),
                params=params,
                backend=how["backend"],
            )
        # Half the size keeps disks small; IRNet reads a quarter.
        yield StageMaps(
            score=resized(sure, size // 2),
            present=maps.present,
            extra={"seed": seed[:, ::2, ::2]},
        )


def crf_seeds(
    heat: NDArray[np.float32],
    image: NDArray[np.float32],
    *,
    cuts: tuple[float, float] = (seeds.FOREGROUND, seeds.BACKGROUND),
    params: _crf.CrfParams = _crf.DEFAULTS,
    backend: _crf.Backend = "grid",
) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """Make IRNet's seeds by two CRF passes, a strict and a generous one.

    Parameters
    ----------
    heat : (K, H, W) in [0, 1]
        Of each finding, divided by its peak.
    image : (H, W) or (H, W, 3) in [0, 1]
    cuts
        Heat from which a pixel starts as finding in the strict and in the generous
        pass.
    params, backend
        As in `napari_wsseg.ops.crf.dense_crf`.

    Returns
    -------
    probability : (K, H, W)
        Of each finding, by the strict pass.
    seeds : (K, H, W)
        1 finding, 0 background, `napari_wsseg.schema.IGNORE` between.
    """
    sure, maybe = (refining.alone(heat >= cut, image, params, backend) for cut in cuts)
    return sure, seeds.combine(sure >= 0.5, maybe >= 0.5)


def _soft_seeds(
    heat: NDArray[np.float32],
    image: NDArray[np.float32],
    params: _crf.CrfParams,
    how: Mapping[str, Any],
) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """Return the map and seeds of one pass that starts from the heat's own odds."""
    odds = special.expit(how["steepness"] * (heat - how["threshold"]))
    refined = np.asarray(
        _crf.dense_crf_binary(
            odds.astype(np.float32), image, params=params, backend=how["backend"]
        )
    )
    # A map without heat has no finding, whatever its neighbours are.
    refined[heat.max((1, 2)) <= 0] = 0
    return refined, seeds.combine(
        refined >= how["foreground"], refined >= how["background"]
    )


@torch.inference_mode()
def irnet(work: Work, batch: list[Case]) -> Iterator[StageMaps]:
    """Let the classifier's heat flow up to the boundaries that IRNet sees."""
    if not isinstance(work.model, IRNet):
        raise TypeError(f"{work.run} is a {type(work.model).__name__}, not an IRNet")
    images = work.input(batch)
    boundaries = work.model.boundary(images, flip=work.flip)[:, 0].float()
    extras = _displacements(work, work.model, images)
    how = work.header["walk"]
    for case, boundary, extra in zip(batch, boundaries, extras, strict=True):
        maps = work.below("cam", case, work.header["classifier"])
        heat = torch.from_numpy(resized(maps.score, boundary.shape[-1]))
        walked = affinity.random_walk(
            heat.to(boundary),
            boundary,
            radius=how["radius"],
            beta=how["beta"],
            steps=how["steps"],
        )
        score = refining.relative(
            work, case, walked.float().cpu().numpy(), maps.present
        )
        yield StageMaps(
            score=refining.behind(work, case, score, maps.present),
            present=maps.present,
            extra={
                "boundary": boundary[None].cpu().numpy().astype(np.float16),
                **extra,
            },
        )


def _displacements(
    work: Work, model: IRNet, images: Tensor
) -> list[dict[str, NDArray[np.float16]]]:
    """Return each film's displacement field by name, where the run learned one."""
    if not work.header.get("displacement"):
        return [{} for _ in images]
    levels = model.backbone.stages(images)
    fields = model.displacement(levels, images.shape[-2:]).float().cpu().numpy()
    return [{"displacement": field.astype(np.float16)} for field in fields]


@torch.inference_mode()
def segmentation(work: Work, batch: list[Case]) -> Iterator[StageMaps]:
    """Ask a segmenter; the gate is the word of the classifier it goes back to.

    Joined with what else tells that a finding is there, where its run has learnt that.
    """
    rules = work.header.get("presence", {})
    organ_run = str(work.header.get("organs", ""))
    scores = organs.segmented(
        work.model,
        work.input(batch),
        batch,
        work.project,
        work.header["findings"],
        flip=work.flip,
        run=organ_run,
    )
    size = min(256, scores.shape[-1])
    for case, score in zip(batch, scores, strict=True):
        # The classifier learnt from every labelled film.
        gate = work.below("cam", case, work.header["classifier"]).present
        if rules.get("findings"):
            gate = evidence.joined(
                _evidence(work, case, gate, score, str(rules["anatomy"])),
                rules["findings"],
                work.header["findings"],
            )
        found = refining.behind(work, case, score, gate)
        yield StageMaps(score=resized(found, min(size, found.shape[-1])), present=gate)


def _evidence(
    work: Work,
    case: Case,
    gate: NDArray[np.float32],
    score: NDArray[np.float32],
    anatomy_run: str,
) -> dict[str, NDArray[np.float64]]:
    return evidence.evidence(
        work.project,
        case,
        work.header["findings"],
        classifier=gate,
        score=score,
        run=anatomy_run,
        structures=places.structures_of(work.project) if anatomy_run else {},
        joined=bool(work.header.get("organs")),
    )

"""Computing a stage's maps for every film of a project."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from napari_wsseg import cam
from napari_wsseg.cam import fusion
from napari_wsseg.cam.level import AtLevel
from napari_wsseg.io import cache, stages
from napari_wsseg.io.cache import Films
from napari_wsseg.io.project import Project
from napari_wsseg.jobs import DataError, Progress
from napari_wsseg.nn.classifier import Classifier
from napari_wsseg.nn.irnet import IRNet
from napari_wsseg.nn.normalise import as_input
from napari_wsseg.ops import affinity, crf, seeds
from napari_wsseg.pipeline import networks, thresholds
from napari_wsseg.schema import Case, StageMaps

#: Films that go through a network together.
BATCH = 8


def infer(
    project: Project,
    stage: str,
    run: str,
    *,
    device: str = "auto",
    cancel: threading.Event | None = None,
    again: bool = False,
) -> Generator[Progress, None, None]:
    """Yield progress while computing the maps of `stage` by `run`, where missing.

    A stage that this one builds on is computed first where it is missing. Default
    thresholds and gates are set once every film is seen.

    Parameters
    ----------
    stage
        ``"cam"`` and ``"crf"`` of a classifier's run, ``"irnet"`` of an IRNet's,
        ``"segmentation"`` of a segmenter's.
    again
        Compute what is there already, too.

    Raises
    ------
    DataError
        If the run does not make that stage, or a film cannot be read.
    """
    if stage not in _SCORERS:
        raise DataError(f"no stage {stage!r}; there are: {', '.join(_SCORERS)}")
    kind, below, score = _SCORERS[stage]
    model, header = networks.load(
        project.folder, run, device=networks.device_of(device)
    )
    networks.require(header, kind, run)
    if below:
        source = str(header.get("classifier", run))
        yield from infer(project, below, source, device=device, cancel=cancel)
    films = yield from cache.films(project, header["size"])
    work = _Work(project, run, model, header, films)
    seen = set() if again else stages.seen(project.folder, stage, run)
    cases = [case for case in project.cases() if case.id not in seen]
    for start in range(0, len(cases), BATCH):
        if cancel is not None and cancel.is_set():
            return
        batch = cases[start : start + BATCH]
        for case, maps in zip(batch, score(work, batch), strict=True):
            stages.write(project.folder, stage, run, case.id, maps)
        yield Progress(
            min(start + BATCH, len(cases)), len(cases), f"scoring films: {stage}"
        )
    if cases or stages.read_settings(project.folder, stage, run) is None:
        settings = thresholds.defaults(project, stage, run, header)
        stages.write_settings(project.folder, stage, run, settings)


@dataclass(frozen=True, slots=True, eq=False)
class _Work:
    """A run whose stage is being computed, and what it is computed from."""

    project: Project
    run: str
    model: nn.Module
    header: dict[str, Any]
    films: Films

    @property
    def flip(self) -> bool:
        """Whether mirrored films are asked about: not if none was ever learnt from."""
        return bool(self.header.get("flip", True))

    def input(self, batch: list[Case]) -> Tensor:
        """Return films (B, C, S, S) as the network is used to them, on its device."""
        pixels = torch.from_numpy(self.films.take([case.id for case in batch]))
        images = as_input(
            pixels,
            self.header["normalisation"],
            int(self.header["network"].get("in_channels", 1)),
            detail=self.header.get("detail", 0),
        )
        return images.to(next(self.model.parameters()).device)

    def below(self, stage: str, case: Case, run: str | None = None) -> StageMaps:
        """Return the maps of a stage that this one builds on."""
        run = run or self.run
        maps = stages.read(self.project.folder, stage, run, case.id)
        if maps is None:
            raise DataError(
                f"stage {stage} of run {run} has not seen {case.path}; run: "
                f"wsseg infer {stage} -p {self.project.folder} --run {run}"
            )
        return maps


@torch.no_grad()
def _cam(work: _Work, batch: list[Case]) -> Iterator[StageMaps]:
    model = work.model
    if not isinstance(model, Classifier):
        raise TypeError(f"{work.run} is a {type(model).__name__}, not a Classifier")
    images = work.input(batch)
    logits = model(images)
    if work.flip:
        logits = (logits + model(images.flip(-1))) / 2
    how = work.header["cam"]
    heat = fusion.multi_scale(
        cam.methods[how["method"]],
        AtLevel(model, how["level"]),
        images,
        scales=how["scales"],
        flip=work.flip,
    )
    scores = seeds.normalise(heat.float().cpu().numpy())
    present = logits.sigmoid().float().cpu().numpy()
    for score, gate in zip(scores, present, strict=True):
        yield StageMaps(score=score, present=gate)


def _crf(work: _Work, batch: list[Case]) -> Iterator[StageMaps]:
    how = work.header["crf"]
    size = work.films.size
    # The papers' 50 and 3 px are those of films of 512 px.
    plain = crf.CrfParams()
    params = replace(
        plain,
        bilateral_sigma_xy=plain.bilateral_sigma_xy * size / 512,
        smooth_sigma_xy=max(0.5, plain.smooth_sigma_xy * size / 512),
    )
    for case in batch:
        maps = work.below("cam", case)
        heat = _resized(maps.score, size)
        image = work.films.take([case.id])[0].astype(np.float32) / 255
        sure = _refined(heat >= how["foreground"], image, params, how["backend"])
        maybe = _refined(heat >= how["background"], image, params, how["backend"])
        # Half the size keeps disks small; IRNet reads a quarter.
        yield StageMaps(
            score=_resized(sure, size // 2),
            present=maps.present,
            extra={
                "seed": seeds.combine(sure >= 0.5, maybe >= 0.5)[:, ::2, ::2],
            },
        )


def _refined(
    mask: NDArray[np.bool_],
    image: NDArray[np.float32],
    params: crf.CrfParams,
    backend: crf.Backend,
) -> NDArray[np.float32]:
    """Run one two-label CRF per finding on masks held with certainty 0.7."""
    unary = np.where(mask, 0.7, 0.3).astype(np.float32)
    return np.asarray(
        crf.dense_crf_binary(unary, image, params=params, backend=backend)
    )


@torch.no_grad()
def _irnet(work: _Work, batch: list[Case]) -> Iterator[StageMaps]:
    if not isinstance(work.model, IRNet):
        raise TypeError(f"{work.run} is a {type(work.model).__name__}, not an IRNet")
    boundaries = work.model.boundary(work.input(batch), flip=work.flip)[:, 0].float()
    how = work.header["walk"]
    for case, boundary in zip(batch, boundaries, strict=True):
        maps = work.below("cam", case, work.header["classifier"])
        heat = torch.from_numpy(_resized(maps.score, boundary.shape[-1]))
        walked = affinity.random_walk(
            heat.to(boundary),
            boundary,
            radius=how["radius"],
            beta=how["beta"],
            steps=how["steps"],
        )
        yield StageMaps(
            score=seeds.normalise(walked.float().cpu().numpy()),
            present=maps.present,
            extra={"boundary": boundary[None].cpu().numpy().astype(np.float16)},
        )


@torch.no_grad()
def _segmentation(work: _Work, batch: list[Case]) -> Iterator[StageMaps]:
    images = work.input(batch)
    masks, _ = work.model(images)
    if work.flip:
        masks = (masks + work.model(images.flip(-1))[0].flip(-1)) / 2
    scores = masks.sigmoid().float().cpu().numpy()
    size = min(256, scores.shape[-1])
    for case, score in zip(batch, scores, strict=True):
        # The gate is the classifier's word, which learnt from every labelled film.
        gate = work.below("cam", case, work.header["classifier"]).present
        yield StageMaps(score=_resized(score, size), present=gate)


def _resized(maps: NDArray[np.float32], size: int) -> NDArray[np.float32]:
    if maps.shape[-1] == size:
        return maps
    shrinks = size < maps.shape[-1]
    resized = functional.interpolate(
        torch.from_numpy(np.ascontiguousarray(maps, np.float32))[None],
        (size, size),
        mode="bilinear",
        align_corners=False,
        antialias=shrinks,
    )
    return resized[0].numpy()


#: Per stage: the kind of network, the stage it builds on, and how it is computed.
_SCORERS: dict[str, tuple[str, str | None, Callable[..., Iterator[StageMaps]]]] = {
    "cam": ("classifier", None, _cam),
    "crf": ("classifier", "cam", _crf),
    "irnet": ("irnet", "cam", _irnet),
    "segmentation": ("segmenter", "cam", _segmentation),
}

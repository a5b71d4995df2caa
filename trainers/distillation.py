"""A student learns what a teacher thinks of films, softened (CheXseg §3.4)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any

import torch
from torch import Tensor, nn

from napari_wsseg.io import checkpoints, film_cache, runs
from napari_wsseg.io.project import Project
from napari_wsseg.jobs import DataError, Progress
from napari_wsseg.nn import losses, ranks
from napari_wsseg.pipeline.inference import networks
from trainers.data import batches as _batches
from trainers.data import targets as _targets
from trainers.data.samplers import ShuffledSampler
from trainers.engine.loop import Task, fit
from trainers.engine.recipe import Context, Events, recipe
from trainers.settings import segmenter as _segmenter
from trainers.tasks import masks as _masks
from trainers.tasks import teacher as _teacher


@dataclass(frozen=True, kw_only=True)
class DistillationConfig(_segmenter.SegmenterConfig):
    """Settings of a student."""

    teacher_run: Annotated[
        str,
        {
            "basic": True,
            "label": "Teacher",
            "tooltip": "Run of a segmenter; empty: the one in use",
        },
    ] = ""
    student: Annotated[
        str,
        {
            "choices": ["same", "other"],
            "tooltip": "same: network and input are the teacher's; other: as set here",
        },
    ] = "same"
    temperature: Annotated[
        float,
        {
            "min": 0.5,
            "max": 100.0,
            "step": 0.5,
            "label": "Temperature τ",
            "tooltip": "What both logits are divided by; 10 in CheXseg",
        },
    ] = 10.0
    rescale: Annotated[
        bool,
        {
            "label": "Multiply by τ²",
            "tooltip": "So that the gradient is as large at any τ; not in CheXseg, "
            "which counts on Adam for that",
        },
    ] = False
    keep: Annotated[
        str,
        {
            "choices": ["float16", "float32"],
            "tooltip": "How the teacher's logits are kept in the run's cache folder",
        },
    ] = "float16"


@recipe(
    "distillation",
    config=DistillationConfig,
    stages=("segmentation",),
    summary="Learn a segmenter's masks on all films, labelled or not, from its logits",
    title="5 · Distillation: teacher and student",
    order=60,
    network="segmenter",
    builds_on={"classifier_run": "cam", "teacher_run": "segmentation"},
)
def distillation(context: Context, config: DistillationConfig) -> Events:
    """Train a student on every training film, labelled or not.

    Raises
    ------
    DataError
        If no segmenter is in use, the run named is not one, or there is no training
        film.
    """
    project, labels = context.project, _batches.Labels.from_project(context.project)
    teacher = _targets.in_use(project, "segmentation", config.teacher_run)
    taught = _header(project, teacher, labels)
    config = _as_teacher(config, taught)
    gate = config.classifier_run or str(taught["classifier"])
    train, val = labels.split("train"), labels.split("val")
    if not train:
        raise DataError("there is no training film to ask the teacher about")
    teacher_logits = yield from _teacher.logits(
        context,
        teacher,
        labels.ids,
        [*train, *val],
        size=config.size,
        keep=config.keep,
        device=config.device,
    )
    if teacher_logits is None:
        return
    films = yield from film_cache.films(project, config.size)
    context.lock.extend(
        {"case": labels.cases[row].id, "source": "teacher", "run": teacher}
        for row in train
    )
    model, start = _segmenter.network(config, project, len(labels.findings), gate)
    yield Progress(0, 0, f"the encoder starts from {start}")
    feed = _batches.Feed(films, labels.ids, config)
    sampler = ShuffledSampler(train, config.batch, config.seed)
    compare = _Comparison.from_labels(project, labels, teacher_logits, val, config.size)
    tuned = bool(taught.get("tune_on_expert_masks"))

    def loss(model: nn.Module, step: int, device: torch.device) -> Tensor:
        rows = sampler(step)
        images, targets = feed.training(
            rows, step, device, teacher_logits.take(ranks.share(rows))
        )
        return _loss(config, model(images), targets)

    def validate(model: nn.Module, device: torch.device) -> Mapping[str, float]:
        return compare(model, feed, device)

    task = Task(
        model=model,
        loss=loss,
        validate=validate,
        steps=max(1, round(config.epochs * len(train) / config.batch)),
        header={
            **_masks.header(
                config,
                model,
                labels.findings,
                classifier_run=gate,
                tuned=tuned,
                start=start,
                weak=taught.get("weak"),
            ),
            "teacher": teacher,
        },
        # A student of a weak teacher is not to be picked by expert masks.
        criterion="val_dice" if tuned and compare.can_judge else "val_agreement",
        rates=config.rates,
    )
    yield from fit(task, config, context)


def _header(project: Project, run: str, labels: _batches.Labels) -> dict[str, Any]:
    header, _ = checkpoints.read(runs.find(project.folder, run).best)
    networks.require(header, "segmenter", run)
    if tuple(header["findings"]) != labels.findings:
        raise DataError(
            f"the teacher {run} knows {', '.join(header['findings'])}, the project has "
            f"{', '.join(labels.findings)}; train a teacher of the same findings"
        )
    return header


def _as_teacher(
    config: DistillationConfig, header: Mapping[str, Any]
) -> DistillationConfig:
    if config.student == "other":
        return config
    network = header["network"]
    return replace(
        config,
        arch=network["arch"],
        encoder=network["encoder"],
        channels=network["in_channels"],
        size=header["size"],
        normalisation=header["normalisation"],
        detail=header.get("detail", 0),
    )


def _loss(
    config: DistillationConfig,
    logits: tuple[Tensor, Tensor],
    teacher_logits: Tensor | None,
) -> Tensor:
    if teacher_logits is None:
        raise ValueError("a student needs what its teacher said")
    masks, present = logits
    total = losses.distillation(
        masks, teacher_logits, temperature=config.temperature, rescale=config.rescale
    )
    # Presence is the classifier's to say; its head here learns nothing.
    return total + 0 * present.sum()


@dataclass(frozen=True, slots=True)
class _Comparison:
    """Teacher and student on the validation films.

    Parameters
    ----------
    expert, teacher
        Their masks of the validation films.
    of_teacher
        The teacher's figures against the experts' masks.
    """

    expert: _targets.Targets
    teacher: _targets.Targets
    of_teacher: Mapping[str, float]

    @classmethod
    def from_labels(
        cls,
        project: Project,
        labels: _batches.Labels,
        teacher_logits: _teacher.Logits,
        val: list[int],
        size: int,
    ) -> _Comparison:
        expert = _targets.expert(project, labels, val, size)
        teacher = _targets.Targets(size, len(labels.findings))
        for row in val:
            for k, mask in enumerate(teacher_logits.take([row])[0] >= 0):
                teacher.put(row, k, mask.numpy())
        shown = (teacher_logits.take([row]) >= 0 for row in sorted(expert.rows()))
        metrics = _masks.pooled(shown, expert)
        of_teacher = {
            name.replace("val_", "teacher_"): value for name, value in metrics.items()
        }
        return cls(expert, teacher, of_teacher)

    @property
    def can_judge(self) -> bool:
        """Whether an expert has drawn a finding on a validation film."""
        return bool(self.expert.positive_rows())

    def __call__(
        self, model: nn.Module, feed: _batches.Feed, device: torch.device
    ) -> dict[str, float]:
        """Return the student's figures, the teacher's, and how they agree."""
        metrics = _masks.validated(model, device, feed, self.expert)
        agreed = _masks.validated(model, device, feed, self.teacher)
        if agreed:
            metrics["val_agreement"] = agreed["val_dice"]
        return {**metrics, **self.of_teacher}

"""What the two segmentation recipes share: settings, network, loss, validation."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Annotated, Any

import torch
from torch import Tensor, nn

from napari_wsseg.io import anatomy
from napari_wsseg.io.project import Project
from napari_wsseg.nn import losses, ranks, segmenter
from napari_wsseg.pipeline.inference.places import structures_of
from trainers.data import batches as _batches
from trainers.data.samplers import balanced
from trainers.data.targets import Targets
from trainers.engine.loop import Task, fit
from trainers.engine.recipe import Context, Events
from trainers.settings import post_processing as _post_processing
from trainers.settings.segmenter import SegmenterConfig
from trainers.tasks import presence as _presence
from trainers.tasks.source_choice import Chosen
from trainers.tasks.weak_masks import (
    GROWN,
    SOURCES_EXPLAINED,
    WEAK_SOURCES,
    WEAK_STAGES,
)

Balance = Annotated[
    str,
    {
        "choices": ["none", "presence", "findings"],
        "label": "Balance",
        "tooltip": "none: films as they come; presence: films with any finding as "
        "often as films without; findings: every finding as often as any other",
    },
]


@dataclass(frozen=True, kw_only=True)
class MaskConfig(SegmenterConfig):
    """Settings of a segmenter that learns masks."""

    labels: Annotated[
        str,
        {
            "choices": list(WEAK_SOURCES),
            "basic": True,
            "label": "Weak masks from",
            "tooltip": SOURCES_EXPLAINED,
        },
    ] = "irnet"
    labels_run: Annotated[
        str, {"tooltip": "Run that made those masks; empty: the one in use"}
    ] = ""
    loss: Annotated[
        str,
        {
            "choices": ["bce+dice", "bce", "dice", "softmax"],
            "tooltip": "softmax: findings and background share each pixel, for those "
            "that exclude each other",
        },
    ] = "bce+dice"
    positive_weight: Annotated[
        float,
        {
            "min": 0.0,
            "max": 1000.0,
            "step": 0.5,
            "tooltip": "Weight of finding pixels in BCE; 0: measured, at most 20",
        },
    ] = 0.0
    balance: Balance = "none"
    absent_weight: Annotated[
        float,
        {
            "min": 0.0,
            "max": 1.0,
            "step": 0.05,
            "tooltip": "Share of the films without a finding that teach its mask; "
            "the gate keeps them empty as well",
        },
    ] = 1.0
    places: Annotated[
        bool,
        {
            "label": "Keep to places",
            "tooltip": "Dim what lies where the finding cannot be, see [places] in "
            "wsseg.toml; needs no training",
        },
    ] = False
    with_anatomy: Annotated[
        bool,
        {
            "label": "Draw organs with anatomy",
            "tooltip": "A finding that is heart or mediastinum grown too large is the "
            "mean of the segmenter's map and the anatomy stage's",
        },
    ] = False
    joint_gate: Annotated[
        bool,
        {
            "label": "Gate by all evidence",
            "tooltip": "Whether a finding is there is told by the classifier and, "
            "where that parts the validation films better, by the chest's measures and "
            "by what the segmenter finds",
        },
    ] = False
    present_weight: Annotated[
        float,
        {
            "min": 0.0,
            "max": 10.0,
            "step": 0.1,
            "tooltip": "Weight of learning, beside the mask, if the finding is there",
        },
    ] = 0.3


def organ_run(project: Project, config: MaskConfig) -> str:
    """Return the run of anatomy that organs are drawn together with; empty: none."""
    if not config.with_anatomy or not structures_of(project):
        return ""
    return anatomy.run_in_use(project)


def pool(balance: str, targets: Targets, rows: Sequence[int]) -> list[int]:
    """Return films to draw from, those that are rare more than once.

    Parameters
    ----------
    balance
        See `Balance`; what a film shows is what its masks show.
    targets, rows
        Masks by film, and the films to draw from.
    """
    if balance == "none":
        return list(rows)
    positive = targets.positive_rows()
    without = [row for row in rows if row not in positive]
    if balance == "presence":
        return balanced([[row for row in rows if row in positive], without])
    each = [
        [row for row in rows if row in shown]
        for shown in map(targets.positive_rows, range(targets.n_findings))
    ]
    return balanced([*each, without])


def task(
    config: MaskConfig,
    *,
    model: segmenter.Segmenter,
    feed: _batches.Feed,
    labels: _batches.Labels,
    targets: Targets,
    validation: Targets,
    sampler: Callable[[int], Sequence[int]],
    steps: int,
    classifier_run: str,
    tuned: bool,
    start: str,
    source: str,
    chosen: Mapping[str, Chosen] | None = None,
    organs: str = "",
    extra_metrics: Callable[[int], Mapping[str, float]] = lambda _done: {},
) -> Task:
    """Return the loop's task for a segmenter that learns `targets`.

    Parameters
    ----------
    config, model
        Settings, and the segmenter that is trained.
    feed, labels
        Batches of films, and the project's films by number.
    targets, sampler
        Masks that are learnt; and the film numbers of a step's batch.
    validation
        Masks that the best checkpoint is picked by.
    steps
        Batches in all.
    classifier_run
        Run whose probabilities gate the masks.
    tuned
        Whether thresholds may be tuned on expert masks of the validation films.
    start
        What the encoder starts from, in words.
    source
        Run of the weak stage that is learnt from.
    chosen
        What each finding is learnt from, where that differs.
    organs
        Run of the stage anatomy that organs are drawn together with, if they are.
    extra_metrics
        See `Task`.
    """
    weight = (
        [config.positive_weight] * len(labels.findings)
        if config.positive_weight
        else targets.positive_weights()
    )
    pos_weight = torch.tensor(weight)

    def loss(model: nn.Module, step: int, device: torch.device) -> Tensor:
        rows = list(sampler(step))
        mine = ranks.share(rows)
        images, masks = feed.training(rows, step, device, targets.take(mine))
        present = labels.targets[mine].to(device)
        # Before the network, which may draw as many numbers as it has films.
        drawn = ranks.share(torch.rand(len(rows), len(labels.findings)))
        return mask_loss(
            config, model(images), masks, present, pos_weight.to(device), drawn
        )

    def validate(model: nn.Module, device: torch.device) -> Mapping[str, float]:
        return validated(model, device, feed, validation)

    return Task(
        model=model,
        loss=loss,
        validate=validate,
        steps=steps,
        header={
            **header(
                config,
                model,
                labels.findings,
                classifier_run=classifier_run,
                tuned=tuned,
                start=start,
                weak={"stage": config.labels, "run": source}
                if not tuned and config.labels in WEAK_STAGES
                else None,
                organs=organs,
            ),
            "chosen": {name: asdict(each) for name, each in (chosen or {}).items()},
            "exact": _exact(config, labels.findings, chosen or {}),
        },
        criterion="val_dice",
        rates=config.rates,
        extra_metrics=extra_metrics,
    )


def fit_with_presence(
    task: Task,
    config: MaskConfig,
    context: Context,
    *,
    feed: _batches.Feed,
    labels: _batches.Labels,
    classifier_run: str,
    organs: str,
) -> Events:
    """Train a segmenter; its checkpoints learn what tells of a finding, if wanted.

    Parameters
    ----------
    task, config, context
        As in `trainers.engine.loop.fit`.
    feed, labels
        The films, and their image-level labels.
    classifier_run
        Run whose probabilities gate the masks.
    organs
        Run of the stage anatomy that organs are drawn together with; empty: alone.
    """
    yield from _presence.with_presence(
        fit(task, config, context),
        context,
        joint=config.joint_gate,
        model=task.model,
        feed=feed,
        labels=labels,
        classifier_run=classifier_run,
        device=config.device,
        organs=organs,
    )


def _exact(
    config: MaskConfig, findings: Sequence[str], chosen: Mapping[str, Chosen]
) -> list[str]:
    """Return the findings that films without are learnt of to the pixel."""
    sources = {name: each.source for name, each in chosen.items()}
    usual = "" if chosen else config.labels
    return [
        name for name in findings if sources.get(name, usual).partition("+")[0] in GROWN
    ]


def header(
    config: SegmenterConfig,
    model: segmenter.Segmenter,
    findings: Sequence[str],
    *,
    classifier_run: str,
    tuned: bool,
    start: str,
    weak: Mapping[str, str] | None = None,
    organs: str = "",
) -> dict[str, Any]:
    """Return what a segmenter's weights carry to be built, fed and read again.

    Parameters
    ----------
    config, model, findings
        Settings, the segmenter, and what its outputs stand for.
    classifier_run
        Run whose probabilities gate the masks.
    tuned, start
        As in `task`.
    weak
        ``stage`` and ``run`` of the masks that all it learns from are of, if so.
    organs
        Run of the stage anatomy that organs are drawn together with, if so.
    """
    return {
        "network": {"kind": "segmenter", **model.spec},
        "findings": list(findings),
        **config.input_header(),
        "classifier": classifier_run,
        "tune_on_expert_masks": tuned,
        "start": start,
        "weak": dict(weak or {}),
        "places": getattr(config, "places", False),
        "organs": organs,
        "post": _post_processing.header(
            crf=config.post_crf, min_area=config.post_min_area
        ),
        "exclusive": config.exclusive,
    }


def mask_loss(
    config: MaskConfig,
    logits: tuple[Tensor, Tensor],
    masks: Tensor | None,
    present: Tensor,
    pos_weight: Tensor,
    drawn: Tensor,
) -> Tensor:
    """Return the loss of a segmenter's two outputs.

    Films on which a finding is absent count `absent_weight` in its mask's loss: they
    are left out of a batch's loss by that share, film by film.

    Parameters
    ----------
    config
        Which losses are added up, and their weights.
    logits
        Of the masks, (B, K, S, S), and of the findings' presence, (B, K).
    masks : (B, K, S, S) uint8
        1 finding, 0 none, 255 unknown.
    present : (B, K)
        Image-level labels; what is not in [0, 1] counts in no loss.
    pos_weight : (K,)
        How often a finding's pixel counts in binary cross-entropy.
    drawn : (B, K)
        Uniform in [0, 1): which of the films without a finding are left out.

    Returns
    -------
    scalar

    Raises
    ------
    ValueError
        Without masks.
    """
    if masks is None:
        raise ValueError("a segmenter needs targets")
    mask_logits, present_logits = logits[0].float(), logits[1].float()
    total = mask_logits.new_zeros(())
    if config.absent_weight < 1:
        absent = ~(masks == 1).flatten(2).any(2)
        dropped = absent & (drawn > config.absent_weight).to(absent)
        masks = torch.where(dropped[:, :, None, None], 255, masks)
    if "bce" in config.loss:
        total = total + losses.bce(mask_logits, masks, pos_weight=pos_weight)
    if "dice" in config.loss:
        total = total + losses.dice(mask_logits, masks)
    if config.loss == "softmax":
        total = total + losses.exclusive(mask_logits, masks)
    if config.present_weight:
        total = total + config.present_weight * losses.bce(present_logits, present)
    return total


def validated(
    model: nn.Module, device: torch.device, feed: _batches.Feed, validation: Targets
) -> dict[str, float]:
    """Return Dice and IoU of a segmenter on the films of `validation`, see `pooled`.

    Parameters
    ----------
    model
        A segmenter in eval mode.
    device
        Where it is.
    feed
        Its films as input.
    validation
        The masks that it is held against.
    """
    rows = ranks.share(sorted(validation.rows()))
    return pooled(
        (model(images)[0].float().cpu() >= 0 for images in feed.viewing(rows, device)),
        validation,
        rows=rows,
        summed=lambda counts: ranks.total(counts.to(device)).cpu(),
    )


def pooled(
    found: Iterable[Tensor],
    validation: Targets,
    *,
    rows: Sequence[int] | None = None,
    summed: Callable[[Tensor], Tensor] = lambda counts: counts,
) -> dict[str, float]:
    """Return Dice and IoU pooled over films, then averaged over the findings shown.

    Parameters
    ----------
    found : (B, K, size, size) bool, one batch after the other
        Masks of the films of `validation`, by their number.
    validation
        What they are held against; without any finding in it nothing is returned.
    rows
        The films that were looked at; by default all of `validation`.
    summed
        Adds up the counts of all processes, where each looked at its share.
    """
    if not validation.positive_rows():
        return {}
    rows = sorted(validation.rows()) if rows is None else rows
    both = pred = truth = torch.zeros(validation.n_findings)
    place = 0
    for masks in found:
        target = validation.take(rows[place : place + len(masks)])
        place += len(masks)
        known, actual = target <= 1, target == 1
        masks = masks & known
        both = both + (masks & actual).sum((0, 2, 3))
        pred = pred + masks.sum((0, 2, 3))
        truth = truth + actual.sum((0, 2, 3))
    both, pred, truth = summed(torch.stack([both, pred, truth]))
    seen = truth > 0
    dice = (2 * both[seen] / (pred[seen] + truth[seen])).mean()
    union = pred[seen] + truth[seen] - both[seen]
    return {"val_dice": float(dice), "val_miou": float((both[seen] / union).mean())}

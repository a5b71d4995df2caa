"""What the two segmentation recipes share: settings, network, loss, validation."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import torch
from torch import Tensor, nn

from napari_wsseg.io import checkpoints, runs
from napari_wsseg.io.project import Project
from napari_wsseg.nn import losses, segmenter
from trainers import _data
from trainers._loop import Task
from trainers._recipe import InputConfig
from trainers._targets import Targets

WEAK_STAGES = ("irnet", "crf", "cam")


@dataclass(frozen=True, kw_only=True)
class MaskConfig(InputConfig):
    """Settings of a segmenter."""

    arch: Annotated[
        str,
        {"choices": ["unet", "deeplabv3plus"], "basic": True, "label": "Network"},
    ] = "unet"
    encoder: Annotated[
        str, {"choices": ["resnet18", "resnet34", "resnet50", "se_resnext50_32x4d"]}
    ] = "resnet18"
    init: Annotated[
        str,
        {
            "choices": ["classifier", "random", "imagenet"],
            "label": "Start from",
            "tooltip": "classifier: the encoder starts as the project's classifier, "
            "where the two are the same network",
        },
    ] = "classifier"
    labels: Annotated[
        str,
        {
            "choices": list(WEAK_STAGES),
            "basic": True,
            "label": "Weak masks from",
            "tooltip": "The stage whose masks stand in where no expert has drawn",
        },
    ] = "irnet"
    labels_run: Annotated[
        str, {"tooltip": "Run that made those masks; empty: the one in use"}
    ] = ""
    classifier_run: Annotated[
        str,
        {"tooltip": "Classifier whose probability gates masks; empty: the one in use"},
    ] = ""
    loss: Annotated[str, {"choices": ["bce+dice", "bce", "dice"]}] = "bce+dice"
    positive_weight: Annotated[
        float,
        {
            "min": 0.0,
            "max": 1000.0,
            "step": 0.5,
            "tooltip": "Weight of finding pixels in BCE; 0: measured, at most 20",
        },
    ] = 0.0
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
    present_weight: Annotated[
        float,
        {
            "min": 0.0,
            "max": 10.0,
            "step": 0.1,
            "tooltip": "Weight of learning, beside the mask, if the finding is there",
        },
    ] = 0.3


def network(
    config: MaskConfig, project: Project, n_findings: int, classifier_run: str
) -> segmenter.Segmenter:
    """Build the segmenter, its encoder started as the config says."""
    weights: Any = "imagenet" if config.init == "imagenet" else None
    if config.init == "classifier":
        header, state = checkpoints.read(runs.find(project.folder, classifier_run).best)
        same = header["network"]["arch"] == config.encoder
        if same and header["network"]["in_channels"] == config.channels:
            weights = state
    torch.manual_seed(config.seed)
    return segmenter.build(
        config.arch,
        config.encoder,
        n_findings,
        in_channels=config.channels,
        weights=weights,
    )


def task(
    config: MaskConfig,
    *,
    model: segmenter.Segmenter,
    feed: _data.Feed,
    labels: _data.Labels,
    targets: Targets,
    validation: Targets,
    sampler: Callable[[int], Sequence[int]],
    steps: int,
    classifier_run: str,
    tuned: bool,
) -> Task:
    """Return the loop's task for a segmenter that learns `targets`.

    Parameters
    ----------
    validation
        Masks that the best checkpoint is picked by.
    tuned
        Whether thresholds may be tuned on expert masks of the validation films.
    """
    weight = (
        [config.positive_weight] * len(labels.findings)
        if config.positive_weight
        else targets.positive_weights()
    )
    pos_weight = torch.tensor(weight)

    def loss(model: nn.Module, step: int, device: torch.device) -> Tensor:
        rows = list(sampler(step))
        images, masks = feed.training(rows, step, device, targets.take(rows))
        present = labels.targets[rows].to(device)
        return mask_loss(config, model(images), masks, present, pos_weight.to(device))

    def validate(model: nn.Module, device: torch.device) -> Mapping[str, float]:
        return _validated(model, device, feed, validation)

    header = {
        "network": {"kind": "segmenter", **model.spec},
        "findings": list(labels.findings),
        "size": config.size,
        "normalisation": config.normalisation,
        "detail": config.detail,
        "flip": config.flip,
        "classifier": classifier_run,
        "tune_on_expert_masks": tuned,
    }
    return Task(
        model=model,
        loss=loss,
        validate=validate,
        steps=steps,
        header=header,
        criterion="val_dice",
    )


def mask_loss(
    config: MaskConfig,
    logits: tuple[Tensor, Tensor],
    masks: Tensor | None,
    present: Tensor,
    pos_weight: Tensor,
) -> Tensor:
    """Return the loss of (mask logits, present logits).

    Films on which a finding is absent count `absent_weight` in its mask's loss: they
    are left out of a batch's loss by that share, film by film.
    """
    if masks is None:
        raise ValueError("a segmenter needs targets")
    mask_logits, present_logits = logits[0].float(), logits[1].float()
    total = mask_logits.new_zeros(())
    if config.absent_weight < 1:
        absent = ~(masks == 1).flatten(2).any(2)
        dropped = absent & (torch.rand(absent.shape) > config.absent_weight).to(absent)
        masks = torch.where(dropped[:, :, None, None], 255, masks)
    if "bce" in config.loss:
        total = total + losses.bce(mask_logits, masks, pos_weight=pos_weight)
    if "dice" in config.loss:
        total = total + losses.dice(mask_logits, masks)
    if config.present_weight:
        total = total + config.present_weight * losses.bce(present_logits, present)
    return total


def _validated(
    model: nn.Module, device: torch.device, feed: _data.Feed, validation: Targets
) -> dict[str, float]:
    """Pooled Dice and loss-free figures on the validation masks, K averaged."""
    rows = sorted(validation.rows())
    if not validation.positive_rows():
        return {}
    both = pred = truth = torch.zeros(validation.n_findings)
    place = 0
    for images in feed.viewing(rows, device):
        found = model(images)[0].float().cpu() >= 0
        target = validation.take(rows[place : place + len(images)])
        place += len(images)
        known, actual = target <= 1, target == 1
        found = found & known
        both = both + (found & actual).sum((0, 2, 3))
        pred = pred + found.sum((0, 2, 3))
        truth = truth + actual.sum((0, 2, 3))
    seen = truth > 0
    dice = (2 * both[seen] / (pred[seen] + truth[seen])).mean()
    union = pred[seen] + truth[seen] - both[seen]
    return {"val_dice": float(dice), "val_miou": float((both[seen] / union).mean())}

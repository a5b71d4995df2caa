"""What an evaluation should make a person stop and look at."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise

from napari_wsseg.pipeline.evaluation.result import (
    BlankScores,
    EvaluationWarning,
    Interval,
    StageDifference,
    StageScores,
)

_TITLES = {
    "cam": "the CAM",
    "crf": "the CRF",
    "irnet": "IRNet",
    "segmentation": "the segmenter",
}

#: What may help where a stage hurts.
_REMEDY = {
    "crf": "The CRF draws masks to edges of grey; where the finding has none, lower "
    "its reach or train on the CAM's masks (labels=cam).",
    "irnet": "The walk may spread too far: fewer steps or a higher walk_threshold; or "
    "train the segmenter on the stage before (labels=crf or labels=cam).",
    "segmentation": "It may have trained too briefly or on masks worse than it could "
    "draw; until it does better, review drafts of the stage before.",
}


def evaluation_warnings(
    stages: Mapping[str, StageScores],
    differences: Sequence[StageDifference],
    blank: BlankScores,
) -> tuple[EvaluationWarning, ...]:
    """Return the warnings of an evaluation.

    Parameters
    ----------
    stages, differences
        The stages in order, and each less those before it.
    blank
        What masks score that are empty everywhere.
    """
    return (
        *_worse_than_before(stages, differences),
        *_below_blank(stages, blank.mean.all_iou),
    )


def _worse_than_before(
    stages: Mapping[str, StageScores], differences: Sequence[StageDifference]
) -> Iterator[EvaluationWarning]:
    paired = {(pair.stage, pair.against): pair.metrics.pos_iou for pair in differences}
    for before, stage in pairwise(stages):
        ours, theirs = (stages[name].scores.mean.pos_iou for name in (stage, before))
        if ours is None or theirs is None or not ours < theirs:
            continue
        message = (
            f"{_TITLES[stage]} scores below {_TITLES[before]}, the stage before it: "
            f"pos_iou {ours:.3f} against {theirs:.3f}"
            f"{_chance(paired[stage, before].interval)}. {_REMEDY[stage]}"
        )
        yield EvaluationWarning(
            kind="below-the-stage-before",
            stage=stage,
            against=before,
            message=message[0].upper() + message[1:],
        )


def _chance(interval: Interval) -> str:
    if interval is None:
        return ""
    low, high = interval
    text = f" (difference {low:+.3f} to {high:+.3f}, 95 % interval"
    return text + (", so it may be chance)" if high >= 0 else ")")


def _below_blank(
    stages: Mapping[str, StageScores], blank: float | None
) -> Iterator[EvaluationWarning]:
    if blank is None:
        return
    scored = {name: stage.scores.mean.all_iou for name, stage in stages.items()}
    below = {
        name: value
        for name, value in scored.items()
        if value is not None and value < blank
    }
    if not below:
        return
    scores = ", ".join(f"{name} {value:.3f}" for name, value in below.items())
    who = "No stage reaches" if len(below) == len(stages) else "Not up to"
    yield EvaluationWarning(
        kind="below-blank",
        stages=tuple(below),
        message=f"{who} what empty masks score in all_iou ({blank:.3f}): "
        f"{scores}. Films without the finding are being marked, or too few of "
        "those with it are met; emptiness and pos_iou say which. A higher gate "
        "leaves more films empty.",
    )

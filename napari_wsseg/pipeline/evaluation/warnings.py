"""What an evaluation should make a person stop and look at."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

_WORDS = {
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


def evaluation_warnings(result: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the warnings of an evaluation, each with a ``message`` for a person.

    Parameters
    ----------
    result
        With ``stages``, ``blank`` and ``differences`` as `evaluate` returns them.
    """
    return [*_worse_than_before(result), *_below_blank(result)]


def _worse_than_before(result: Mapping[str, Any]) -> list[dict[str, Any]]:
    found = []
    for before, stage in pairwise(result["stages"]):
        ours, theirs = (result["stages"][name]["pos_iou"] for name in (stage, before))
        if ours is None or theirs is None or not ours < theirs:
            continue
        pair = next(
            (
                row
                for row in result.get("differences", ())
                if (row["stage"], row["against"]) == (stage, before)
            ),
            None,
        )
        span = pair["pos_iou"]["interval"] if pair else None
        message = (
            f"{_WORDS[stage]} scores below {_WORDS[before]}, the stage before it: "
            f"pos_iou {ours:.3f} against {theirs:.3f}{_chance(span)}. {_REMEDY[stage]}"
        )
        found.append(
            {
                "kind": "below-the-stage-before",
                "stage": stage,
                "against": before,
                "message": message[0].upper() + message[1:],
            }
        )
    return found


def _chance(span: list[float] | None) -> str:
    if span is None:
        return ""
    low, high = span
    text = f" (difference {low:+.3f} to {high:+.3f}, 95 % interval"
    return text + (", so it may be chance)" if high >= 0 else ")")


def _below_blank(result: Mapping[str, Any]) -> list[dict[str, Any]]:
    blank = result["blank"]["all_iou"]
    below = [
        stage
        for stage, metrics in result["stages"].items()
        if blank is not None
        and metrics["all_iou"] is not None
        and metrics["all_iou"] < blank
    ]
    if not below:
        return []
    scored = ", ".join(f"{s} {result['stages'][s]['all_iou']:.3f}" for s in below)
    who = "No stage reaches" if len(below) == len(result["stages"]) else "Not up to"
    return [
        {
            "kind": "below-blank",
            "stages": below,
            "message": f"{who} what empty masks score in all_iou ({blank:.3f}): "
            f"{scored}. Films without the finding are being marked, or too few of "
            "those with it are met; emptiness and pos_iou say which. A higher gate "
            "leaves more films empty.",
        }
    ]

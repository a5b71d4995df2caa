"""``wsseg evaluate``: every stage against expert masks, beside the blank baseline."""

from __future__ import annotations

import argparse
from typing import Any

from napari_wsseg.cli import _say, add_json, add_project

_FIGURES = ("pos_iou", "all_iou", "pooled_miou", "dice", "emptiness")


def add(command: argparse.ArgumentParser) -> None:
    """Fill in the command's parser."""
    add_project(command)
    command.add_argument(
        "--split", default="test", choices=["train", "val", "test", "all"]
    )
    add_json(command)


def run(arguments: argparse.Namespace) -> int:
    """Score the runs in use."""
    from napari_wsseg.io.project import Project
    from napari_wsseg.pipeline.evaluate import evaluate

    with Project.open(arguments.project) as project:
        result = _say.through(
            evaluate(project, arguments.split), _say.Teller(arguments.json)
        )
    _say.person(words(result))
    if arguments.json:
        _say.program(result)
    return 0


def words(result: dict[str, Any]) -> str:
    """Return the figures as a table for a person."""
    rows: list[list[object]] = [["stage", *_FIGURES]]
    for stage, figures in result["stages"].items():
        rows.append([stage, *(figures[name] for name in _FIGURES)])
    rows.append(["blank masks", None, result["blank"]["all_iou"], None, None, None])
    told = [
        f"split {result['split']}: {result['n_cases']} films, "
        f"{result['n_positive']} with a finding, "
        f"{result['n_with_expert_masks']} with expert masks",
        _say.table(rows),
        "pos_iou: mean IoU of films with the finding; all_iou and dice: of all films, "
        "empty against empty = 1; pooled_miou: summed over films; emptiness: share of "
        "films without it left empty. Per finding, then averaged.",
    ]
    classifier = result["classifier"]
    if classifier["auroc"] is not None:
        told.append(
            f"classifier: AUROC {classifier['auroc']:.3f}, F1 {classifier['f1']:.3f}"
        )
    return "\n".join(told)

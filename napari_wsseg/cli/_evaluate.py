"""``wsseg evaluate``: every stage against expert masks, beside the blank baseline."""

from __future__ import annotations

import argparse
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from napari_wsseg.cli import _output, add_json, add_project
from napari_wsseg.jobs import DataError
from napari_wsseg.ops.tally import METRICS

if TYPE_CHECKING:
    from napari_wsseg.io.runs import RunFolder


def add(command: argparse.ArgumentParser) -> None:
    """Fill in the command's parser."""
    add_project(command)
    command.add_argument(
        "--split", default="test", choices=["train", "val", "test", "all"]
    )
    command.add_argument(
        "--run",
        dest="run_id",
        help="score this run alone, and keep its figures; default: those in use",
    )
    command.add_argument(
        "--draws",
        type=int,
        default=2000,
        metavar="N",
        help="resamples of the films for intervals; 0: none",
    )
    command.add_argument("--seed", type=int, default=0, help="where they begin")
    add_json(command)


def run(arguments: argparse.Namespace) -> int:
    """Score the runs in use, or one run."""
    from napari_wsseg.io import runs
    from napari_wsseg.io.project import Project
    from napari_wsseg.pipeline.evaluate import evaluate

    folder = (
        runs.find(arguments.project, arguments.run_id) if arguments.run_id else None
    )
    with Project.open(arguments.project) as project:
        result = _output.through(
            evaluate(
                project,
                arguments.split,
                runs=_stages_of(folder) if folder else None,
                n_resamples=max(0, arguments.draws),
                seed=arguments.seed,
            ),
            _output.Reporter(arguments.json),
        )
    _refuse_nothing(arguments, result)
    if folder:
        folder.keep_evaluation(arguments.split, result)
    _output.person(evaluation_text(result))
    if arguments.json:
        _output.program(result)
    return 0


def _refuse_nothing(arguments: argparse.Namespace, result: dict[str, Any]) -> None:
    """Raise `DataError` where there is no figure at all, and say what to do."""
    scored, split = result["n_with_expert_masks"], result["split"]
    known = result["classifier"]["auroc"] is not None or result["anatomy"]
    if known or (scored and result["stages"]):
        return
    if not scored:
        raise DataError(
            f"nothing to score: no film of the split {split!r} has an expert mask; "
            f"draw or accept some (wsseg open {arguments.project}), import them "
            "(wsseg import png), or choose another --split"
        )
    raise DataError(
        f"nothing to score: no run is in use; train with wsseg run -p "
        f"{arguments.project}, or name one with --run"
    )


def _stages_of(folder: RunFolder) -> dict[str, str]:
    return dict.fromkeys(folder.info().facts.stages, folder.id)


def evaluation_text(result: dict[str, Any]) -> str:
    """Return the figures for a person: tables, warnings, and what each figure means."""
    lines = [
        f"split {result['split']}: {result['n_cases']} films, "
        f"{result['n_positive']} with a finding, "
        f"{result['n_with_expert_masks']} with expert masks",
        _output.table(_stage_rows(result)),
        *_label_conditioned(result),
        *_differences(result),
        *_findings(result),
        *_experts(result),
    ]
    teacher = result["teacher"]
    if teacher and "student_less_teacher" in teacher:
        pair = teacher["student_less_teacher"]["pos_iou"]
        lines.append(
            f"student less teacher: pos_iou "
            f"{_with(pair['difference'], pair['interval'], sign='+')}"
        )
    classifier = result["classifier"]
    if classifier["auroc"] is not None:
        bounds = classifier["interval"]
        lines.append(
            f"classifier: AUROC {_with(classifier['auroc'], bounds['auroc'])}, "
            f"F1 {_with(classifier['f1'], bounds['f1'])}"
        )
    lines += [f"WARNING: {each['message']}" for each in result["warnings"]]
    lines.append(_conventions(result))
    return "\n".join(lines)


def _stage_rows(result: dict[str, Any]) -> list[list[object]]:
    rows: list[list[object]] = [["stage", *METRICS]]
    for stage, metrics in result["stages"].items():
        bounds = metrics["interval"]
        rows.append([stage, *(_with(metrics[name], bounds[name]) for name in METRICS)])
    experts = result["experts"]
    if experts:
        bounds = experts["interval"]
        rows.append(
            ["experts", *(_with(experts[name], bounds[name]) for name in METRICS)]
        )
    rows.append(["blank masks", None, result["blank"]["all_iou"], None, None, None])
    return rows


def _label_conditioned(result: dict[str, Any]) -> list[str]:
    """Return what the stages have where image-level labels open and shut the gates."""
    lines = []
    for metric in ("pos_iou", "all_iou"):
        known = {
            stage: metrics["label_conditioned"][metric]
            for stage, metrics in result["stages"].items()
        }
        values = ", ".join(f"{s} {v:.3f}" for s, v in known.items() if v is not None)
        if values:
            lines.append(f"label-conditioned {metric}: {values}")
    return lines


def _differences(result: dict[str, Any]) -> list[str]:
    """Return each stage against the one before it."""
    lines = []
    for before, stage in pairwise(result["stages"]):
        pair = next(
            row
            for row in result["differences"]
            if (row["stage"], row["against"]) == (stage, before)
        )["pos_iou"]
        if pair["difference"] is not None:
            value = _with(pair["difference"], pair["interval"], sign="+")
            lines.append(f"{stage} less {before}: pos_iou {value}")
    return lines


def _findings(result: dict[str, Any]) -> list[str]:
    """Return pos_iou per finding, in all and by size, as a table."""
    rows: list[list[object]] = [
        [
            *("pos_iou of finding · stage", "films", "with it", "all"),
            *("small third", "middle third", "large third"),
        ]
    ]
    for stage, metrics in result["stages"].items():
        for finding, row in metrics["per_finding"].items():
            sizes = {part["size"]: part for part in metrics["by_size"][finding]}
            bounds = metrics["interval"]["per_finding"][finding]["pos_iou"]
            rows.append(
                [
                    f"{finding} · {stage}",
                    row["n"],
                    row["n_positive"],
                    _with(row["pos_iou"], bounds),
                    *(
                        sizes[size]["pos_iou"] if size in sizes else None
                        for size in ("small", "middle", "large")
                    ),
                ]
            )
    return [_output.table(rows)] if len(rows) > 1 else []


def _experts(result: dict[str, Any]) -> list[str]:
    found = result["experts"]
    if not found:
        return ["experts: no film has masks of two independent readers"]
    same = ", ".join(
        f"{stage} {metrics['pos_iou']:.3f}"
        for stage, metrics in found["stages"].items()
        if metrics["pos_iou"] is not None
    )
    return [
        f"experts: {found['n_pairs']} comparisons of readers on {found['n_films']} "
        f"films; pos_iou on the same films: {same or '–'}"
    ]


def _conventions(result: dict[str, Any]) -> str:
    lines = [f"  {name}: {words}" for name, words in result["conventions"].items()]
    drawn = result["bootstrap"]
    return "\n".join(
        [
            f"What the figures mean ({drawn['draws']} draws, seed {drawn['seed']}):",
            *lines,
        ]
    )


def _with(value: float | None, bounds: list[float] | None, sign: str = "") -> str:
    """Return a figure with its interval."""
    if value is None:
        return "–"
    lines = f"{value:{sign}.3f}"
    if bounds:
        lines += f" [{bounds[0]:{sign}.3f}, {bounds[1]:{sign}.3f}]"
    return lines

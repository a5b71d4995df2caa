"""``wsseg evaluate``: every stage against expert masks, beside the blank baseline."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from napari_wsseg.cli import _output, add_json, add_project, add_workers
from napari_wsseg.jobs import DataError

if TYPE_CHECKING:
    from napari_wsseg.io.runs import RunFolder
    from napari_wsseg.pipeline.evaluation.result import Evaluation


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
    add_workers(command)
    add_json(command)


def run(arguments: argparse.Namespace) -> int:
    """Score the runs in use, or one run."""
    from napari_wsseg.io import runs
    from napari_wsseg.io.project import Project
    from napari_wsseg.pipeline.evaluate import evaluate
    from napari_wsseg.pipeline.film_workers import Workers

    folder = (
        runs.find(arguments.project, arguments.run_id) if arguments.run_id else None
    )
    workers = Workers(arguments.processes, arguments.dask)
    with Project.open(arguments.project) as project:
        result = _output.through(
            evaluate(
                project,
                arguments.split,
                runs=_stages_of(folder) if folder else None,
                n_resamples=max(0, arguments.draws),
                seed=arguments.seed,
                workers=workers,
            ),
            _output.Reporter(arguments.json),
        )
    _refuse_nothing(arguments, result)
    if folder:
        folder.keep_evaluation(arguments.split, result.to_json())
    _output.person(evaluation_text(result))
    if arguments.json:
        _output.program(result.to_json())
    return 0


def _refuse_nothing(arguments: argparse.Namespace, result: Evaluation) -> None:
    """Raise `DataError` where there is no figure at all, and say what to do."""
    scored, split = result.n_with_expert_masks, result.split
    known = result.classifier.auroc is not None or result.anatomy
    if known or (scored and result.stages):
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


def evaluation_text(result: Evaluation) -> str:
    """Return the figures for a person: tables, warnings, and what each figure means."""
    from napari_wsseg.pipeline.evaluation.tables import tables

    lines = []
    for each in tables(result):
        lines += [each.title, *([each.note] if each.note else [])]
        if each.rows:
            lines.append(_output.table([each.head, *each.rows]))
        lines.append("")
    lines += [f"WARNING: {each.message}" for each in result.warnings]
    drawn = result.bootstrap
    lines.append(f"What the figures mean ({drawn.draws} draws, seed {drawn.seed}):")
    lines += [f"  {name}: {meaning}" for name, meaning in result.conventions.items()]
    return "\n".join(lines)

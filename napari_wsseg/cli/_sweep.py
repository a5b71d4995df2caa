"""``wsseg sweep``: one setting at several values, several trials of each."""

from __future__ import annotations

import argparse
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_wsseg import protocol
from napari_wsseg.cli import _output, _training, add_json, add_project
from napari_wsseg.ops.tally import METRICS

if TYPE_CHECKING:
    from trainers.sweep.plan import Cell
    from trainers.sweep.results import Sheet


def add(command: argparse.ArgumentParser) -> None:
    """Fill in the command's parser."""
    command.add_argument("recipe", help="chexseg, or any other")
    add_project(command)
    command.add_argument(
        "--values", required=True, metavar="0,0.2,1", help="what the setting takes"
    )
    command.add_argument("--key", default="p", help="the setting (default: p)")
    command.add_argument(
        "--trials", type=int, default=3, help="seeds per value (default: 3)"
    )
    command.add_argument("--name", help="its folder in sweeps/ (default: a hash)")
    _training.add_settings(command, adopts=False)
    add_json(command)


def run(arguments: argparse.Namespace) -> int:
    """Train and score every cell that is not there yet; adopt none."""
    from napari_wsseg.io.project import Project
    from trainers.__main__ import settings_from
    from trainers.sweep import plan as _plan
    from trainers.sweep.results import Sheet

    began = time.monotonic()
    settings = _training.suited_settings(
        arguments.project, arguments.preset, arguments.recipe
    )
    settings |= settings_from(arguments.set)
    if arguments.key not in settings_from(arguments.set):
        settings.pop(arguments.key, None)
    values = [word.strip() for word in arguments.values.split(",") if word.strip()]
    sweep = (arguments.recipe, arguments.key, values, arguments.trials)
    plan = _plan.plan(*sweep, settings)
    with Project.open(arguments.project) as project:
        splits = _plan.check(project, plan)
        plan = _plan.plan(*sweep, _plan.pinned(project, plan.recipe, plan.base))
        stamp = _plan.truth_stamp(project)
    folder = _plan.folder_of(arguments.project, arguments.name or plan.name)
    sheet = Sheet(folder, plan, splits, stamp)
    cancel = threading.Event()
    end: _training.End = {"status": "done", "message": "", "exit_code": 0}
    with _training.watched(arguments, cancel) as reporter:
        for cell in plan.cells:
            end = _cell(arguments.project, cell, sheet, reporter, cancel)
            reporter.close()
            if end["status"] != "done":
                break
            _report(sheet, end["row"], arguments.json)
    return _finish(arguments, sheet, end, time.monotonic() - began)


def _report(sheet: Sheet, row: Mapping[str, Any], as_json: bool) -> None:
    """Tell how many cells are done, and the figures of this one."""
    done, total = len(sheet.done), len(sheet.plan.cells)
    metrics = {
        split: {name: row[split][name] for name in METRICS} for split in sheet.splits
    }
    if as_json:
        _output.program(
            protocol.cell(
                key=sheet.plan.key,
                value=row["value"],
                trial=row["trial"],
                run=row["run"],
                metrics=metrics,
                done=done,
                total=total,
                folder=str(sheet.folder),
            )
        )
    value = metrics["test"]["pos_iou"]
    _output.person(
        f"{sheet.plan.key}={row['value']} trial {row['trial'] + 1}: test pos_iou "
        f"{'–' if value is None else format(value, '.3f')} ({done} of {total})"
    )


def _cell(
    project: Path,
    cell: Cell,
    sheet: Sheet,
    reporter: _output.Reporter,
    cancel: threading.Event,
) -> _training.End:
    """Train and score one cell, or keep what is there; return its ``finished`` line."""
    from napari_wsseg.io.project import Project
    from trainers.engine import fingerprint as _fingerprint

    recipe = sheet.plan.recipe
    with Project.open(project) as opened:
        known = _fingerprint.same(opened, recipe, cell.settings)
    end: _training.End = {"status": "done", "run": known.done, "exit_code": 0}
    end |= {"message": "", "metrics": dict(known.metrics), "seconds": 0.0}
    if cancel.is_set():
        return {**end, "status": "stopped", "run": "", "exit_code": 130}
    if not known.done:
        end = _training.execute(
            project,
            recipe,
            cell.settings,
            reporter,
            cancel=cancel,
            resume=known.resumable,
        )
    if end["status"] == "done":
        run = end["run"]
        scores = sheet.known(run) or _scores(project, sheet, run, reporter, cancel)
        if not scores:
            return {**end, "status": "stopped", "exit_code": 130}
        end["row"] = sheet.put(cell, run, scores)
    return end


def _scores(
    project: Path,
    sheet: Sheet,
    run: str,
    reporter: _output.Reporter,
    cancel: threading.Event,
) -> dict[str, Any]:
    """Score a run's last stage on every split; empty if it was stopped."""
    from napari_wsseg.io.project import Project
    from napari_wsseg.pipeline import infer
    from napari_wsseg.pipeline.evaluate import evaluate
    from trainers import recipes

    stages = recipes[sheet.plan.recipe].stages
    scores = {}
    with Project.open(project) as opened:
        for stage in stages:
            # A sweep that was killed while it computed maps has some of them only.
            _output.through(infer.infer(opened, stage, run, cancel=cancel), reporter)
        for split in sheet.splits:
            if cancel.is_set():
                return {}
            job = evaluate(opened, split, runs={stages[-1]: run}, n_resamples=0)
            result = _output.through(job, reporter).to_json()["stages"][stages[-1]]
            scores[split] = {
                name: result[name]
                for name in result
                if name not in ("interval", "by_size")
            }
    return scores


def _finish(
    arguments: argparse.Namespace, sheet: Sheet, end: _training.End, seconds: float
) -> int:
    """Tell the end, with the runs and test figures of all that is done."""
    from trainers.sweep.results import means

    last = protocol.finished(
        end["status"],
        runs=sheet.runs(),
        metrics=means(sheet.rows, "test"),
        seconds=round(seconds, 1),
        message=end.get("message", ""),
        exit_code=int(end["exit_code"]),
        folder=str(sheet.folder),
    )
    if end["status"] == "done":
        _output.person(sweep_text(sheet))
    elif end["status"] == "stopped":
        _output.person("stopped; the same command goes on with this sweep")
    else:
        _output.person(f"wsseg: a training failed: {last['message']}")
    if arguments.json:
        _output.program(last)
    return int(end["exit_code"])


def sweep_text(sheet: Sheet) -> str:
    """Return the table of a sweep on test for a person."""
    shown = ("pos_iou", "pooled_miou", "emptiness")
    rows: list[list[object]] = [[sheet.plan.key, "finding", "trials", *shown]]
    for row in sheet.rows:
        if row["split"] == "test":
            cells = [_with_std(row[metric]) for metric in shown]
            rows.append([str(row["value"]), row["finding"], row["trials"], *cells])
    return "\n".join(
        [
            "test, mean ± spread (standard deviation over trials):",
            _output.table(rows),
            f"written: {sheet.folder}",
        ]
    )


def _with_std(cell: Mapping[str, Any]) -> str:
    if cell["mean"] is None:
        return "–"
    std = "" if cell["spread"] is None else f" ± {cell['spread']:.3f}"
    return f"{cell['mean']:.3f}{std}"

"""``wsseg sweep``: one setting at several values, several trials of each."""

from __future__ import annotations

import argparse
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_wsseg import protocol
from napari_wsseg.cli import _output as _say
from napari_wsseg.cli import _training as _jobs
from napari_wsseg.cli import add_json, add_project
from napari_wsseg.ops.tally import FIGURES

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
    _jobs.add_settings(command, adopts=False)
    add_json(command)


def run(arguments: argparse.Namespace) -> int:
    """Train and score every cell that is not there yet; adopt none."""
    from napari_wsseg.io.project import Project
    from trainers.__main__ import settings_from
    from trainers.sweep import plan as _sweep
    from trainers.sweep.results import Sheet

    began = time.monotonic()
    settings = _jobs.preset_settings(arguments.preset, arguments.recipe)
    settings |= settings_from(arguments.set)
    if arguments.key not in settings_from(arguments.set):
        settings.pop(arguments.key, None)
    values = [word.strip() for word in arguments.values.split(",") if word.strip()]
    words = (arguments.recipe, arguments.key, values, arguments.trials)
    plan = _sweep.plan(*words, settings)
    with Project.open(arguments.project) as project:
        splits = _sweep.check(project, plan)
        plan = _sweep.plan(*words, _sweep.pinned(project, plan.recipe, plan.base))
        stamp = _sweep.truth_stamp(project)
    folder = _sweep.folder_of(arguments.project, arguments.name or plan.name)
    sheet = Sheet(folder, plan, splits, stamp)
    cancel = threading.Event()
    end: _jobs.End = {"status": "done", "message": "", "exit_code": 0}
    with _jobs.watched(arguments, cancel) as told:
        for cell in plan.cells:
            end = _cell(arguments.project, cell, sheet, told, cancel)
            told.close()
            if end["status"] != "done":
                break
            _tell(sheet, end["row"], arguments.json)
    return _finish(arguments, sheet, end, time.monotonic() - began)


def _tell(sheet: Sheet, row: Mapping[str, Any], as_json: bool) -> None:
    """Tell how many cells are done, and the figures of this one."""
    done, total = len(sheet.done), len(sheet.plan.cells)
    figures = {
        split: {name: row[split][name] for name in FIGURES} for split in sheet.splits
    }
    if as_json:
        _say.program(
            protocol.cell(
                key=sheet.plan.key,
                value=row["value"],
                trial=row["trial"],
                run=row["run"],
                metrics=figures,
                done=done,
                total=total,
                folder=str(sheet.folder),
            )
        )
    value = figures["test"]["pos_iou"]
    _say.person(
        f"{sheet.plan.key}={row['value']} trial {row['trial'] + 1}: test pos_iou "
        f"{'–' if value is None else format(value, '.3f')} ({done} of {total})"
    )


def _cell(
    project: Path,
    cell: Cell,
    sheet: Sheet,
    told: _say.Teller,
    cancel: threading.Event,
) -> _jobs.End:
    """Train and score one cell, or keep what is there; return its ``finished`` line."""
    from napari_wsseg.io.project import Project
    from trainers.engine import fingerprint as _inputs

    recipe = sheet.plan.recipe
    with Project.open(project) as opened:
        known = _inputs.same(opened, recipe, cell.settings)
    end: _jobs.End = {"status": "done", "run": known.done, "exit_code": 0}
    end |= {"message": "", "metrics": dict(known.metrics), "seconds": 0.0}
    if cancel.is_set():
        return {**end, "status": "stopped", "run": "", "exit_code": 130}
    if not known.done:
        end = _jobs.execute(
            project,
            recipe,
            cell.settings,
            told,
            cancel=cancel,
            resume=known.resumable,
        )
    if end["status"] == "done":
        run = end["run"]
        scores = sheet.known(run) or _scores(project, sheet, run, told, cancel)
        if not scores:
            return {**end, "status": "stopped", "exit_code": 130}
        end["row"] = sheet.put(cell, run, scores)
    return end


def _scores(
    project: Path,
    sheet: Sheet,
    run: str,
    told: _say.Teller,
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
            _say.through(infer.infer(opened, stage, run, cancel=cancel), told)
        for split in sheet.splits:
            if cancel.is_set():
                return {}
            job = evaluate(opened, split, runs={stages[-1]: run}, draws=0)
            result = _say.through(job, told)["stages"][stages[-1]]
            scores[split] = {
                name: result[name]
                for name in result
                if name not in ("interval", "by_size")
            }
    return scores


def _finish(
    arguments: argparse.Namespace, sheet: Sheet, end: _jobs.End, seconds: float
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
        _say.person(words(sheet))
    elif end["status"] == "stopped":
        _say.person("stopped; the same command goes on with this sweep")
    else:
        _say.person(f"wsseg: a training failed: {last['message']}")
    if arguments.json:
        _say.program(last)
    return int(end["exit_code"])


def words(sheet: Sheet) -> str:
    """Return the table of a sweep on test for a person."""
    shown = ("pos_iou", "pooled_miou", "emptiness")
    rows: list[list[object]] = [[sheet.plan.key, "finding", "trials", *shown]]
    for row in sheet.rows:
        if row["split"] == "test":
            cells = [_with_spread(row[figure]) for figure in shown]
            rows.append([str(row["value"]), row["finding"], row["trials"], *cells])
    return "\n".join(
        [
            "test, mean ± spread (standard deviation over trials):",
            _say.table(rows),
            f"written: {sheet.folder}",
        ]
    )


def _with_spread(cell: Mapping[str, Any]) -> str:
    if cell["mean"] is None:
        return "–"
    spread = "" if cell["spread"] is None else f" ± {cell['spread']:.3f}"
    return f"{cell['mean']:.3f}{spread}"

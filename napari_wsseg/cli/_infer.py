"""``wsseg infer``: a stage's maps for every film."""

from __future__ import annotations

import argparse
import threading

from napari_wsseg.cli import _say, add_json, add_project
from napari_wsseg.schema import STAGES


def add(command: argparse.ArgumentParser) -> None:
    """Fill in the command's parser."""
    command.add_argument("stage", choices=STAGES)
    add_project(command)
    command.add_argument("--run", dest="run_id", help="default: the run in use")
    command.add_argument("--again", action="store_true", help="also what is there")
    add_json(command)


def run(arguments: argparse.Namespace) -> int:
    """Compute what is missing of the stage's maps."""
    from napari_wsseg.io import stages
    from napari_wsseg.io.project import Project
    from napari_wsseg.jobs import DataError
    from napari_wsseg.pipeline.infer import infer
    from trainers import _watch

    cancel = threading.Event()
    _watch.on_signals(cancel)
    with Project.open(arguments.project) as project:
        run_id = arguments.run_id or project.adopted(arguments.stage)
        if not run_id:
            raise DataError(
                f"no run is in use for the stage {arguments.stage}; train one, or "
                "name one with --run"
            )
        job = infer(
            project, arguments.stage, run_id, cancel=cancel, again=arguments.again
        )
        _say.through(job, _say.Teller(arguments.json))
        seen = len(stages.seen(project.folder, arguments.stage, run_id))
        total = len(project.cases())
    _say.person(f"{arguments.stage}: {seen} of {total} films by run {run_id}")
    status = "stopped" if cancel.is_set() else "done"
    if arguments.json:
        _say.program({"status": status, "run": run_id, "films": seen, "of": total})
    return 130 if cancel.is_set() else 0

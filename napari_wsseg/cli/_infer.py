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
    command.add_argument(
        "--map",
        metavar="VARIANT",
        help="another of the run's maps than its own, e.g. layer-cam@4 or tdn-2",
    )
    command.add_argument(
        "--first", metavar="CASE_ID", help="the film to do before all others"
    )
    command.add_argument("--again", action="store_true", help="also what is there")
    add_json(command)


def run(arguments: argparse.Namespace) -> int:
    """Compute what is missing of the stage's maps."""
    from napari_wsseg.io import runs, stages
    from napari_wsseg.io.project import Project
    from napari_wsseg.jobs import DataError
    from napari_wsseg.pipeline import variants
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
            project,
            arguments.stage,
            run_id,
            variant=arguments.map,
            first=arguments.first,
            cancel=cancel,
            again=arguments.again,
        )
        _say.through(job, _say.Teller(arguments.json))
        kept, what = arguments.stage, arguments.stage
        if arguments.map:
            config = runs.find(project.folder, run_id).config()
            kept = variants.stage_name(arguments.map, config)
            what = f"{kept.partition('~')[0]} ({variants.words(arguments.map)})"
        seen = len(stages.seen(project.folder, kept, run_id))
        total = len(project.cases())
    _say.person(f"{what}: {seen} of {total} films by run {run_id}")
    end = {"status": "stopped" if cancel.is_set() else "done", "run": run_id}
    if arguments.map:
        end["map"] = arguments.map
    if arguments.json:
        _say.program({**end, "films": seen, "of": total})
    return 130 if cancel.is_set() else 0

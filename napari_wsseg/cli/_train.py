"""``wsseg train``: one recipe; its run is used from then on."""

from __future__ import annotations

import argparse
import threading

from napari_wsseg.cli import _output, _training, add_json, add_project


def add(command: argparse.ArgumentParser) -> None:
    """Fill in the command's parser."""
    command.add_argument("recipe", help="classifier, irnet, segmentation, chexseg …")
    add_project(command)
    _training.add_settings(command, preset=None)
    command.add_argument("--resume", metavar="RUN", help="go on with a stopped run")
    command.add_argument(
        "--processes",
        type=int,
        default=1,
        metavar="N",
        help="train in N processes on this machine, each on its own GPU or its share "
        "of the processor; each takes its share of every batch",
    )
    add_json(command)


def run(arguments: argparse.Namespace) -> int:
    """Train, compute the run's maps, and use it."""
    from trainers.__main__ import settings_from

    cancel = threading.Event()
    with _training.watched(arguments, cancel) as reporter:
        preset = arguments.preset or _training.preset_in_use(arguments.project)
        settings = _training.suited_settings(
            arguments.project, preset, arguments.recipe
        )
        settings |= settings_from(arguments.set)
        if settings:
            _training.report_notes(preset)
        end = _training.execute(
            arguments.project,
            arguments.recipe,
            settings,
            reporter,
            cancel=cancel,
            resume=arguments.resume,
            processes=arguments.processes,
        )
        if end["status"] == "done" and not arguments.no_adopt:
            _training.adopt(arguments.project, {arguments.recipe: end["run"]})
    reporter.close()
    _training.report_end(end, arguments.project, arguments.recipe)
    if end["status"] == "done":
        _training.report_choices(arguments.project, {arguments.recipe: end["run"]})
    if arguments.json:
        _output.program(end)
    return int(end["exit_code"])

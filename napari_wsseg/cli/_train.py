"""``wsseg train``: one recipe; its run is used from then on."""

from __future__ import annotations

import argparse
import threading

from napari_wsseg.cli import _output as _say
from napari_wsseg.cli import _training as _jobs
from napari_wsseg.cli import add_json, add_project


def add(command: argparse.ArgumentParser) -> None:
    """Fill in the command's parser."""
    command.add_argument("recipe", help="classifier, irnet, segmentation, chexseg …")
    add_project(command)
    _jobs.add_settings(command)
    command.add_argument("--resume", metavar="RUN", help="go on with a stopped run")
    add_json(command)


def run(arguments: argparse.Namespace) -> int:
    """Train, compute the run's maps, and use it."""
    from trainers.__main__ import settings_from

    cancel = threading.Event()
    with _jobs.watched(arguments, cancel) as told:
        settings = _jobs.suited_settings(
            arguments.project, arguments.preset, arguments.recipe
        )
        settings |= settings_from(arguments.set)
        if settings:
            _jobs.tell_notes(arguments.preset)
        end = _jobs.execute(
            arguments.project,
            arguments.recipe,
            settings,
            told,
            cancel=cancel,
            resume=arguments.resume,
        )
        if end["status"] == "done" and not arguments.no_adopt:
            _jobs.adopt(arguments.project, {arguments.recipe: end["run"]})
    told.close()
    _jobs.tell_end(end, arguments.project, arguments.recipe)
    if end["status"] == "done":
        _jobs.tell_choices(arguments.project, {arguments.recipe: end["run"]})
    if arguments.json:
        _say.program(end)
    return int(end["exit_code"])

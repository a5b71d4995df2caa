"""``wsseg learn``: go on learning from films as they are accepted."""

from __future__ import annotations

import argparse
import threading
from pathlib import Path
from typing import Any

from napari_wsseg.cli import _output, _training, add_json, add_project

_RECIPE = "live"
_ENDS = ("stopped", "interrupted", "failed")
"""How runs ended that can be gone on with."""


def add(command: argparse.ArgumentParser) -> None:
    """Fill in the command's parser."""
    command.description = (
        "Begin from the segmenter in use and learn some twenty steps after each film "
        "of train that is accepted, here or in a window; offer drafts of the next "
        "films from averaged weights; undo by itself what makes held-out films worse. "
        "It goes on until it is stopped (Ctrl-C, SIGTERM, or a file RUN/stop), and the "
        "next time from where it stood."
    )
    add_project(command)
    command.add_argument(
        "--once", action="store_true", help="end when every accepted film is learnt"
    )
    command.add_argument(
        "--reader",
        default="",
        help="learn the masks of this reader alone; default: those that count",
    )
    command.add_argument(
        "--new", action="store_true", help="begin anew, whatever was learnt before"
    )
    command.add_argument(
        "--set", nargs="+", action="extend", default=[], metavar="key=value"
    )
    command.add_argument(
        "--no-adopt",
        action="store_true",
        help="with --once: leave the runs in use as they are",
    )
    command.add_argument("--parent", type=int, help="stop when this process is gone")
    add_json(command)


def run(arguments: argparse.Namespace) -> int:
    """Learn until stopped, or until all is learnt."""
    from trainers.__main__ import settings_from

    given = settings_from(arguments.set)
    cancel = threading.Event()
    with _training.watched(arguments, cancel) as reporter:
        wanted = {"reader": arguments.reader, "wait": not arguments.once}
        resume, settings = _plan(arguments.project, wanted, given, arguments.new)
        end = _training.execute(
            arguments.project,
            _RECIPE,
            settings,
            reporter,
            cancel=cancel,
            resume=resume,
        )
        if end["status"] == "done" and not arguments.no_adopt:
            _training.adopt(arguments.project, {_RECIPE: end["run"]})
    reporter.close()
    _report_end(end, arguments.project)
    if arguments.json:
        _output.program(end)
    return int(end["exit_code"])


def _plan(
    project: Path, wanted: dict[str, Any], given: dict[str, str], new: bool
) -> tuple[str | None, dict[str, Any]]:
    """Return the run to go on with, or the settings of a new one.

    A new one has the settings that the segmenter was trained by where both have them.
    """
    from napari_wsseg.io import runs
    from napari_wsseg.io.project import Project
    from napari_wsseg.jobs import DataError
    from trainers.live import inherited

    with Project.open(project) as opened:
        start = given.get("start_run") or opened.adopted("segmentation") or ""
    if not new and not given:
        for info in runs.listing(project):
            same = all(info.config.get(key) == value for key, value in wanted.items())
            on_it = start in (info.config.get("start_run"), info.id)
            if info.recipe == _RECIPE and info.state in _ENDS and same and on_it:
                return info.id, {}
    begun = runs.find(project, start) if start else None
    if begun is not None and begun.lacks_weights:
        raise DataError(begun.lacks_weights)
    own = inherited(begun.info().config) if begun is not None else {}
    return None, {**own, **wanted, "start_run": start, **given}


def _report_end(end: dict[str, Any], project: Path) -> None:
    if end["status"] == "stopped":
        _output.person(
            f"stopped; what was learnt is kept in run {end['run']}. Go on with: wsseg "
            f"learn -p {project}; use it for all films with: wsseg infer segmentation "
            f"-p {project} --run {end['run']}, then wsseg adopt {end['run']} -p "
            f"{project}"
        )
    else:
        _training.report_end(end, project, _RECIPE)

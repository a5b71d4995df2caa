"""``wsseg names``: which file a film is, kept apart from the project or not."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from napari_wsseg.cli import _output, add_json, add_project
from napari_wsseg.io import film_names, names_left
from napari_wsseg.io.project import Project
from napari_wsseg.jobs import DataError, UsageError


def add(command: argparse.ArgumentParser) -> None:
    """Fill in the command's parser."""
    add_project(command)
    add_json(command)
    command.add_argument(
        "--hide",
        action="store_true",
        help="take the file names out of the project, into a key file outside",
    )
    command.add_argument(
        "--move-out",
        type=Path,
        metavar="DIR",
        help="with --hide: move exports and other files of yours that tell file names "
        "from the project to this folder",
    )
    command.add_argument(
        "--images",
        type=Path,
        metavar="DIR",
        help="the films lie in this folder now; they are found by their pixels",
    )


def run(arguments: argparse.Namespace) -> int:
    """Hide names, or find films again; else list what each is called."""
    if arguments.hide and arguments.images:
        raise UsageError("--hide and --images are two steps; take one at a time")
    if arguments.move_out and not arguments.hide:
        raise UsageError("--move-out goes with --hide")
    if arguments.hide:
        return _hide(arguments)
    if arguments.images:
        return _find(arguments)
    with Project.open(arguments.project) as project:
        rows = [
            (case.path, project.films.films.get(case.path, case.path))
            for case in project.cases()
        ]
        key = project.films.key
    if key:
        _output.person(f"key file: {film_names.key_file(key)}")
    if arguments.json:
        _output.program({"status": "done", "key": key, "films": dict(rows)})
    else:
        sys.stdout.write(_output.table([("in the project", "file"), *rows]) + "\n")
    return 0


def _hide(arguments: argparse.Namespace) -> int:
    with Project.open(arguments.project, write=True) as project:
        if not project.settings.key:
            project.hide_names()
        films = project.films.films
        key_file = film_names.key_file(project.films.key)
        left = names_left.left(project, list(films.values()))
        if arguments.move_out:
            names_left.move_out(project.folder, left, arguments.move_out)
            left = [path for path in left if not names_left.is_external(path)]
    _output.person(f"{len(films)} file names are now in {key_file} alone")
    for path in left:
        _output.person(
            f"warning: {path} still tells some of them: {names_left.advice(path)}"
        )
    if arguments.json:
        answer = {"status": "done", "key_file": str(key_file), "left": left}
        _output.program(answer)
    return 3 if left else 0


def _find(arguments: argparse.Namespace) -> int:
    if not arguments.images.is_dir():
        raise DataError(f"{arguments.images}: no such folder")
    with Project.open(arguments.project, write=True) as project:
        missing = _output.through(
            project.find_films(arguments.images.absolute()),
            _output.Reporter(arguments.json),
        )
        total = project.n_cases()
    _output.person(f"{total - len(missing)} of {total} films found")
    for case in missing:
        _output.person(f"not there: {case.path}")
    if arguments.json:
        answer = {"found": total - len(missing), "missing": [c.path for c in missing]}
        _output.program({"status": "done", **answer})
    return 3 if missing else 0

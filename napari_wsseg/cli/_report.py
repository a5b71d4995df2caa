"""``wsseg report``: one self-contained page."""

from __future__ import annotations

import argparse
from pathlib import Path

from napari_wsseg.cli import _output, add_json, add_project, add_workers


def add(command: argparse.ArgumentParser) -> None:
    """Fill in the command's parser."""
    add_project(command)
    command.add_argument("-o", "--out", type=Path, required=True, metavar="DIR")
    command.add_argument(
        "--split", default="test", choices=["train", "val", "test", "all"]
    )
    command.add_argument(
        "--names",
        action="store_true",
        help="name films by their file names, which may name a patient; without it "
        "only where names are hidden or films synthetic",
    )
    add_workers(command)
    add_json(command)


def run(arguments: argparse.Namespace) -> int:
    """Write the page."""
    from napari_wsseg.io.project import Project
    from napari_wsseg.pipeline import report
    from napari_wsseg.pipeline.film_workers import Workers

    workers = Workers(arguments.processes, arguments.dask)
    with Project.open(arguments.project) as project:
        path = _output.through(
            report.write(
                *(project, arguments.out, arguments.split),
                names=arguments.names,
                workers=workers,
            ),
            _output.Reporter(arguments.json),
        )
    _output.person(f"written: {path}")
    if arguments.json:
        _output.program({"status": "done", "report": str(path)})
    return 0

"""``wsseg export``: reviewed masks in a format that others read."""

from __future__ import annotations

import argparse
from pathlib import Path

from napari_wsseg.cli import _say, add_json, add_project


def add(command: argparse.ArgumentParser) -> None:
    """Fill in the command's parser."""
    from napari_wsseg.export import formats

    command.add_argument("format", choices=formats.names())
    add_project(command)
    command.add_argument("-o", "--out", type=Path, required=True)
    add_json(command)


def run(arguments: argparse.Namespace) -> int:
    """Write the newest expert masks."""
    from napari_wsseg.export import formats
    from napari_wsseg.io.project import Project

    with Project.open(arguments.project) as project:
        written = formats[arguments.format](project, arguments.out)
    _say.person(f"{len(written)} files written to {arguments.out}")
    if arguments.json:
        _say.program({"status": "done", "files": [str(path) for path in written]})
    return 0

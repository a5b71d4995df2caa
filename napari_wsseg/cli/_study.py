"""``wsseg study``: what masks cost their readers, by arm and round."""

from __future__ import annotations

import argparse
from pathlib import Path

from napari_wsseg.cli import _output, add_json, add_project


def add(command: argparse.ArgumentParser) -> None:
    """Fill in the command's parser."""
    add_project(command)
    add_json(command)
    command.add_argument(
        "-o",
        "--out",
        type=Path,
        help="also write a CSV file, a row a film and finding; it names nobody",
    )


def run(arguments: argparse.Namespace) -> int:
    """Tell the work that was recorded; readers and films are not named."""
    from napari_wsseg.io import atomic
    from napari_wsseg.io.external import spreadsheet
    from napari_wsseg.io.project import Project
    from napari_wsseg.pipeline import study

    with Project.open(arguments.project) as project:
        table = study.table(project)
        films = list(study.films(project)) if arguments.out else []
    if not table["rows"]:
        _output.person(
            "no work was recorded yet: read films with "
            f"`wsseg open {arguments.project} --arm blank|draft|loop|random`"
        )
    else:
        _output.person(_output.table([study.HEADS, *study.cells(table)]))
        _output.person(study.RULE)
        if table["synthetic"]:
            _output.person("These films are synthetic, not of patients.")
    if films:
        heads = list(films[0])
        data = spreadsheet.table(
            heads, [[row[name] for name in heads] for row in films]
        )
        atomic.write(arguments.out, lambda file: file.write(data))
        _output.person(f"written: {arguments.out}")
    if arguments.json:
        _output.program(table)
    return 0

"""``wsseg adopt``: use a run, or go back to an earlier one."""

from __future__ import annotations

import argparse

from napari_wsseg.cli import _output, add_project


def add(command: argparse.ArgumentParser) -> None:
    """Fill in the command's parser."""
    command.add_argument("run_id", metavar="RUN")
    add_project(command)


def run(arguments: argparse.Namespace) -> int:
    """Use the run for every stage that it makes."""
    from napari_wsseg.io import runs
    from napari_wsseg.io.project import Project
    from napari_wsseg.jobs import DataError

    folder = runs.find(arguments.project, arguments.run_id)
    if not folder.best.exists() and not folder.info().is_draft:
        raise DataError(f"run {folder.id} has no finished weights to use")
    stages = folder.info().facts.stages
    if not stages:
        raise DataError(
            f"run {folder.id} makes no stage to be adopted for; other trainings start "
            "from it, or the package of its recipe is not installed"
        )
    with Project.open(arguments.project, write=True) as project:
        for stage in stages:
            project.adopt(stage, folder.id, actor="command line")
            _output.person(f"{stage}: run {folder.id} is in use")
    return 0

"""``wsseg fsck``: look for damage."""

from __future__ import annotations

import argparse

from napari_wsseg.cli import _output, add_project
from napari_wsseg.jobs import counted


def add(command: argparse.ArgumentParser) -> None:
    """Fill in the command's parser."""
    add_project(command)
    command.add_argument("--repair", action="store_true")


def run(arguments: argparse.Namespace) -> int:
    """List what is wrong; exit 3 if anything still is."""
    from napari_wsseg.io.project import Project

    with Project.open(arguments.project, write=arguments.repair) as project:
        problems = project.fsck(repair=arguments.repair)
        left = project.fsck() if arguments.repair else problems
    for problem in problems:
        _output.person(problem)
    _output.person(
        f"{counted(len(problems), 'problem')}, {len(left)} left"
        if problems
        else "no damage"
    )
    return 3 if left else 0

"""``wsseg audit verify``: whether the audit trail is whole."""

from __future__ import annotations

import argparse

from napari_wsseg.cli import _output, add_project


def add(command: argparse.ArgumentParser) -> None:
    """Fill in the command's parser."""
    command.add_argument("action", choices=["verify"])
    add_project(command)


def run(arguments: argparse.Namespace) -> int:
    """Check every link of the chain."""
    from napari_wsseg.io.project import Project

    with Project.open(arguments.project) as project:
        project.verify_audit()
    _output.person("the audit trail is whole")
    return 0

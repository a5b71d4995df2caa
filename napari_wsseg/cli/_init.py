"""``wsseg init``: a folder of films becomes a project."""

from __future__ import annotations

import argparse
from pathlib import Path

from napari_wsseg.cli import _say, add_json


def add(command: argparse.ArgumentParser) -> None:
    """Fill in the command's parser."""
    from napari_wsseg.datasets import datasets

    command.add_argument("project", type=Path, help="a new folder")
    command.add_argument(
        "--images",
        type=Path,
        required=True,
        metavar="DIR",
        help="a folder, with whatever is below it; or a zip archive or DICOMDIR",
    )
    command.add_argument(
        "--labels",
        type=Path,
        metavar="CSV",
        help="image,<finding>…[,split]; or the data set's own table",
    )
    command.add_argument(
        "--masks",
        type=Path,
        metavar="PATH",
        help="expert masks: <finding>/<image stem>.png; or the data set's own",
    )
    command.add_argument(
        "--dataset",
        default="folder",
        choices=datasets.names(),
        help="whose layout it is; see docs/datasets.md",
    )
    command.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="CHOICE=yes",
        help="a choice of the data set: " + "; ".join(_choices_of_all()),
    )
    add_json(command)


def _choices_of_all() -> list[str]:
    from napari_wsseg.datasets import _choices, datasets

    choices = {name: _choices.of(datasets[name]) for name in datasets}
    return [f"{name}: {', '.join(own)}" for name, own in choices.items() if own]


def run(arguments: argparse.Namespace) -> int:
    """Import the films; say which were rejected and why."""
    from napari_wsseg.datasets import _choices, datasets

    name = arguments.dataset
    importer = _choices.made(name, datasets[name], arguments.set)
    report = _say.through(
        importer(
            arguments.project,
            images=arguments.images,
            labels=arguments.labels,
            masks=arguments.masks,
        ),
        _say.Teller(arguments.json),
    )
    for warning in report.warnings:
        _say.person(f"warning: {warning}")
    for rejected in report.rejected:
        _say.person(f"rejected: {rejected.path}: {rejected.reason}")
    _say.person(
        f"{report.imported} films imported into {arguments.project}"
        + (f", {len(report.rejected)} files rejected" if report.rejected else "")
    )
    if arguments.json:
        _say.program(
            {
                "status": "done",
                "project": str(arguments.project),
                "imported": report.imported,
                "rejected": [
                    {"path": str(each.path), "reason": each.reason}
                    for each in report.rejected
                ],
                "warnings": list(report.warnings),
            }
        )
    return 0

"""``wsseg init``: a folder of films becomes a project."""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from napari_wsseg.cli import _output as _say
from napari_wsseg.cli import add_json
from napari_wsseg.jobs import UsageError

if TYPE_CHECKING:
    from napari_wsseg.datasets import Importer


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
        metavar="CHOICE=yes|NUMBER",
        help="a choice of the data set: " + "; ".join(_choices_of_all()),
    )
    command.add_argument(
        "--names",
        default="auto",
        choices=["auto", "keep", "hide"],
        help="whether the project has the films' file names, or other ones and a key "
        "file outside; auto hides those of DICOM files that do not say that identity "
        "was removed (docs/trust.md)",
    )
    add_json(command)


def _choices_of_all() -> list[str]:
    from napari_wsseg.datasets import _options as _choices
    from napari_wsseg.datasets import datasets

    choices = {name: _choices.of(datasets[name]) for name in datasets}
    return [f"{name}: {', '.join(own)}" for name, own in choices.items() if own]


def _named(name: str, importer: Importer, names: str) -> Importer:
    """Return the importer that keeps or hides names, as a plain folder's can."""
    if name == "folder":
        return partial(importer, names=names)  # type: ignore[call-arg]
    if names == "hide":
        raise UsageError(
            f"data set {name!r} is public and keeps its names; --names hide is for "
            "--dataset folder"
        )
    return importer


def run(arguments: argparse.Namespace) -> int:
    """Import the films; say which were rejected and why."""
    from napari_wsseg.datasets import _options as _choices
    from napari_wsseg.datasets import datasets
    from napari_wsseg.datasets.importing import resume as _resumed

    name = arguments.dataset
    importer = _named(
        name, _choices.made(name, datasets[name], arguments.set), arguments.names
    )
    try:
        report = _say.through(
            importer(
                arguments.project,
                images=arguments.images,
                labels=arguments.labels,
                masks=arguments.masks,
            ),
            _say.Teller(arguments.json),
        )
    except KeyboardInterrupt:
        if _resumed.place(arguments.project.absolute()).exists():
            _say.person("what was read is kept: the same command goes on from there")
        raise
    for warning in report.warnings:
        _say.person(f"warning: {warning}")
    for rejected in report.rejected:
        _say.person(f"rejected: {rejected.path}: {rejected.reason}")
    _say.person(
        f"{report.imported} films imported into {arguments.project}"
        + (f", {len(report.rejected)} files rejected" if report.rejected else "")
    )
    if report.key_file:
        _say.person(
            "the films' file names are not in the project but in the key file "
            f"{report.key_file}; wsseg names shows them"
        )
    elif name == "folder":
        _say.person(
            "the films' file names are in the project as they are; if they could tell "
            "who a patient is, take --names hide"
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
                "key_file": str(report.key_file) if report.key_file else None,
            }
        )
    return 0

"""``wsseg import``: masks or labels made elsewhere, or somebody's classifier."""

from __future__ import annotations

import argparse
from pathlib import Path

from napari_wsseg.cli import (
    _import_classifier,
    _import_draft,
    _import_labels,
    _output,
    add_json,
    add_project,
)
from napari_wsseg.export import importers, reading_back
from napari_wsseg.io.external import mask_values
from napari_wsseg.io.external.mask_values import Choice
from napari_wsseg.io.project import Project
from napari_wsseg.jobs import DataError, UsageError, counted


def add(command: argparse.ArgumentParser) -> None:
    """Fill in the command's parser."""
    command.add_argument(
        "format",
        choices=[*importers.names(), "labels", "draft", "classifier", "model"],
    )
    file = command.add_argument(
        "file",
        nargs="+",
        metavar="[FORMAT] FILE",
        help="a file or folder as `wsseg export` or another program writes it, see "
        "docs/formats.md; labels: a table image,<finding>… as labels.csv; draft: a "
        "format, then its file; classifier: a state dict, .safetensors, .pt or .pth; "
        "model: a folder as `wsseg export hub` writes it",
    )
    add_project(command)
    add_json(command)
    masks = command.add_argument_group("masks")
    masks.add_argument("--reader", help="whose masks or labels these are; needed")
    masks.add_argument("--finding", help="of which finding, if the file does not say")
    masks.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="cut=NUMBER",
        help="how values are read that are not two: cut=NUMBER takes what is above, "
        "value=NUMBER one label of several",
    )
    masks.add_argument(
        "--accept",
        action="store_true",
        help="the reader accepted these films where the masks were made",
    )
    _import_labels.add(command.add_argument_group("labels"))
    _import_draft.add(command.add_argument_group("another program's drafts"))
    _import_classifier.add(command.add_argument_group("a classifier"), file)


def run(arguments: argparse.Namespace) -> int:
    """Take masks, labels, drafts or a classifier over."""
    if arguments.source:
        if arguments.format != "classifier":
            raise UsageError("--from: only of a classifier")
        return _import_classifier.run_from(arguments)
    if arguments.accept and arguments.format not in importers:
        raise UsageError("--accept: only of a reader's masks")
    *kind, file = arguments.file
    if len(kind) != (arguments.format == "draft"):
        raise UsageError(
            "say wsseg import draft FORMAT FILE --name NAME"
            if arguments.format == "draft"
            else "one file or folder at a time"
        )
    arguments.file = Path(file)
    if not arguments.file.exists():
        raise DataError(f"{arguments.file} is not there")
    if arguments.format == "classifier":
        return _import_classifier.run(arguments)
    if arguments.format == "model":
        return _model(arguments)
    if arguments.format == "draft":
        return _import_draft.run(arguments, kind[0], _choice(arguments.set))
    if arguments.format == "labels":
        return _import_labels.run(arguments, arguments.file)
    if not arguments.reader:
        raise UsageError("name the reader whose masks these are with --reader")
    return _masks(arguments)


def _model(arguments: argparse.Namespace) -> int:
    """Make a run of a model folder, and use it."""
    from napari_wsseg.cli import _training
    from napari_wsseg.io import runs
    from trainers.tasks import imported_run

    with Project.open(arguments.project) as project:
        run = imported_run.take(project, arguments.file)
        info = runs.find(project.folder, run).info()
    _output.person(f"{arguments.file.name} is run {run}")
    if not arguments.no_adopt:
        _training.adopt(arguments.project, {info.recipe: run})
    if arguments.json:
        _output.program(
            {"status": "done", "run": run, "stages": list(info.facts.stages)}
        )
    return 0


def _masks(arguments: argparse.Namespace) -> int:
    """Add a version of every mask that fits a film; list those that do not."""
    with Project.open(arguments.project, write=True) as project:
        taken = _output.finish(
            reading_back.steps(
                project,
                arguments.format,
                arguments.file,
                reader=arguments.reader,
                finding=arguments.finding,
                choice=_choice(arguments.set),
                accept=arguments.accept,
            ),
            arguments.json,
        )
    for warning in taken.warnings:
        _output.person(f"warning: {warning}")
    for reason in taken.rejected:
        _output.person(f"rejected: {reason}")
    _output.person(f"{counted(taken.masks, 'mask')} of reader {arguments.reader} taken")
    if arguments.json:
        _output.program(
            {
                "status": "done",
                "imported": taken.masks,
                "rejected": list(taken.rejected),
                "warnings": list(taken.warnings),
            }
        )
    return 0


def _choice(arguments: list[str]) -> Choice:
    choice = Choice()
    for word in arguments:
        choice = mask_values.chosen(choice, word)
    return choice

"""``wsseg export``: reviewed masks, or a network, in a format that others read."""

from __future__ import annotations

import argparse
from collections.abc import Generator
from pathlib import Path

from napari_wsseg.cli import _output as _say
from napari_wsseg.cli import add_json, add_project
from napari_wsseg.export import (
    IDENTITIES,
    Scope,
    Summary,
    formats,
    models,
    summary,
    writing,
)
from napari_wsseg.io.project import Project
from napari_wsseg.jobs import DataError, Progress, UsageError
from napari_wsseg.schema import SPLITS


def add(command: argparse.ArgumentParser) -> None:
    """Fill in the command's parser."""
    names = formats.names() + models.names()
    command.formatter_class = argparse.RawDescriptionHelpFormatter
    lines = [f"  {name:22} {summary(name)}" for name in names]
    command.epilog = "formats:\n" + "\n".join(lines)
    command.add_argument("format", choices=names, metavar="FORMAT")
    add_project(command)
    command.add_argument("-o", "--out", type=Path, required=True, help="a folder")
    command.add_argument(
        "--dry-run", action="store_true", help="write nothing, say what would be"
    )
    add_json(command)
    scope = command.add_argument_group("which masks")
    scope.add_argument("--split", choices=SPLITS, help="films of this split alone")
    scope.add_argument("--reader", help="the newest masks of this reader")
    scope.add_argument(
        "--accepted", action="store_true", help="films alone that were accepted"
    )
    scope.add_argument(
        "--identity",
        choices=IDENTITIES,
        help="of DICOM: nothing leads back to the patient (default), or the same "
        "patient and study as the film, for the archive that has it",
    )
    network = command.add_argument_group("a network")
    network.add_argument("--run", dest="network", help="default, the one in use")


def run(arguments: argparse.Namespace) -> int:
    """Write the expert masks in scope, or a run's network."""
    with Project.open(arguments.project) as project:
        found = _say.finish(_steps(project, arguments), arguments.json)
    would = "would be " if found.dry_run else ""
    for word, texts in (
        ("warning", found.warnings),
        ("left out", found.skipped),
        ("not kept", found.lost),
    ):
        for text in texts:
            _say.person(f"{word}: {text}")
    _say.person(f"{len(found.files)} files {would}written to {arguments.out}")
    if arguments.json:
        _say.program({"status": "done", **_told(found)})
    elif found.dry_run:
        for path in found.files:
            _say.person(f"  {path}")
    return 0


def _steps(
    project: Project, arguments: argparse.Namespace
) -> Generator[Progress, None, Summary]:
    name, out, dry = arguments.format, arguments.out, arguments.dry_run
    scope = Scope(arguments.split, arguments.reader, arguments.accepted)
    if name in models:
        if scope != Scope() or arguments.identity:
            raise UsageError(
                f"{name}: a network has no split, reader, decision or identity"
            )
        run = arguments.network or project.adopted("segmentation")
        if run is None:
            raise DataError(
                f"{project.name}: no segmenter is in use; name a run with --run"
            )
        return writing.model_steps(project, name, out, run, dry_run=dry)
    if arguments.network:
        raise UsageError(f"{name}: masks are of readers, not of a run; leave out --run")
    identity = arguments.identity
    return writing.steps(project, name, out, scope, identity=identity, dry_run=dry)


def _told(found: Summary) -> dict[str, object]:
    return {
        "format": found.format,
        "files": [str(path) for path in found.files],
        "cases": found.cases,
        "masks": found.masks,
        "lost": list(found.lost),
        "skipped": list(found.skipped),
        "warnings": list(found.warnings),
        "dry_run": found.dry_run,
    }

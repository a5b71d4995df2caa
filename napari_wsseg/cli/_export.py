"""``wsseg export``: reviewed masks, or a network, in a format that others read."""

from __future__ import annotations

import argparse
from collections.abc import Generator
from pathlib import Path
from typing import get_args

from napari_wsseg.cli import _output, add_json, add_project
from napari_wsseg.export import (
    IDENTITIES,
    Scope,
    Summary,
    formats,
    models,
    storing,
    summary,
    writing,
)
from napari_wsseg.export.storing import Sent, Stored
from napari_wsseg.io import pacs
from napari_wsseg.io.archives.replies import Status
from napari_wsseg.io.project import Project
from napari_wsseg.jobs import DataError, Progress, UsageError, counted
from napari_wsseg.schema import SPLITS


def add(command: argparse.ArgumentParser) -> None:
    """Fill in the command's parser."""
    names = formats.names() + models.names()
    command.formatter_class = argparse.RawDescriptionHelpFormatter
    lines = [f"  {name:22} {summary(name)}" for name in names]
    command.epilog = "formats:\n" + "\n".join(lines)
    command.add_argument("format", choices=names, metavar="FORMAT")
    add_project(command)
    command.add_argument("-o", "--out", type=Path, help="a folder")
    command.add_argument(
        "--to-pacs",
        metavar="URL",
        help="instead of a folder, the archive at this DICOMweb address, or at "
        "dimse://AET@HOST:PORT: accepted masks alone, each once (docs/pacs.md)",
    )
    command.add_argument(
        "--ca", type=Path, metavar="FILE", help="certificates that sign the archive's"
    )
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
        help="of DICOM: nothing leads back to the patient (default in a folder), or "
        "the same patient and study as the film, for the archive that has it",
    )
    network = command.add_argument_group("a network")
    network.add_argument("--run", dest="network", help="default, the one in use")


def run(arguments: argparse.Namespace) -> int:
    """Write the expert masks in scope, or a run's network."""
    if bool(arguments.out) == bool(arguments.to_pacs):
        raise UsageError("name a folder with -o, or an archive with --to-pacs URL")
    if arguments.to_pacs:
        return _to_archive(arguments)
    if arguments.ca:
        raise UsageError("--ca: only with --to-pacs")
    with Project.open(arguments.project) as project:
        found = _output.finish(_steps(project, arguments), arguments.json)
    would = "would be " if found.dry_run else ""
    for word, texts in (
        ("warning", found.warnings),
        ("left out", found.skipped),
        ("not kept", found.lost),
    ):
        for text in texts:
            _output.person(f"{word}: {text}")
    _output.person(
        f"{counted(len(found.files), 'file')} {would}written to {arguments.out}"
    )
    if arguments.json:
        _output.program({"status": "done", **_as_record(found)})
    elif found.dry_run:
        for path in found.files:
            _output.person(f"  {path}")
    return 0


def _to_archive(arguments: argparse.Namespace) -> int:
    """Store accepted masks in an archive; tell what it answered, one by one."""
    identity = arguments.identity
    if arguments.network or arguments.format in models:
        raise UsageError(f"{arguments.format}: an archive takes DICOM masks alone")
    if identity is None:
        raise UsageError(
            "say whose the masks are: --identity same-patient joins them to the films "
            "that the archive has; --identity de-identified stores films and masks of "
            "nobody, with new UIDs"
        )
    archive = pacs.at(arguments.to_pacs, ca=arguments.ca)
    scope = Scope(arguments.split, arguments.reader)
    _output.person(f"identity: {identity}; to: {archive.host}")
    with Project.open(arguments.project) as project:
        job = storing.steps(
            project,
            arguments.format,
            archive,
            scope,
            identity=identity,
            dry_run=arguments.dry_run,
        )
        stored = _output.finish(job, arguments.json)
    _report_stored(stored, arguments)
    return 4 if stored.count("refused") else 0


def _report_stored(stored: Stored, arguments: argparse.Namespace) -> None:
    for text in stored.warnings:
        _output.person(f"warning: {text}")
    for text in stored.skipped:
        _output.person(f"left out: {text}")
    for one in stored.sent:
        answer = one.answer
        status = "would be stored" if answer is None else answer.status
        more = f": {answer.message}" if answer and answer.message else ""
        _output.person(f"  {one.name}: {status}{more}")
    counts = {each: stored.count(each) for each in get_args(Status)}
    if not stored.dry_run:
        _output.person(", ".join(f"{count} {each}" for each, count in counts.items()))
    if arguments.json:
        _output.program(
            {
                "status": "failed" if counts["refused"] else "done",
                "format": stored.format,
                "identity": arguments.identity,
                "answers": [_answer(one) for one in stored.sent],
                "skipped": list(stored.skipped),
                "warnings": list(stored.warnings),
                "dry_run": stored.dry_run,
            }
        )


def _answer(one: Sent) -> dict[str, object]:
    if one.answer is None:
        return {"name": one.name, "status": "would be stored"}
    return {
        "name": one.name,
        "sop_instance_uid": one.answer.uid,
        "status": one.answer.status,
        "words": one.answer.message,
    }


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


def _as_record(found: Summary) -> dict[str, object]:
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

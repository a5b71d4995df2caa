"""``wsseg init``: a folder of films becomes a project."""

from __future__ import annotations

import argparse
from collections.abc import Generator
from contextlib import suppress
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_wsseg.cli import _output, add_json
from napari_wsseg.jobs import DataError, JobFailed, Progress, UsageError, counted

if TYPE_CHECKING:
    from napari_wsseg.datasets import Importer
    from napari_wsseg.datasets.importing.plan import Plan
    from napari_wsseg.datasets.importing.report import ImportReport

    Job = Generator[Progress, None, ImportReport]


def add(command: argparse.ArgumentParser) -> None:
    """Fill in the command's parser."""
    from napari_wsseg.datasets import datasets

    command.add_argument("project", type=Path, help="a new folder")
    command.add_argument(
        "--images",
        type=Path,
        metavar="DIR",
        help="a folder, with whatever is below it; or a zip archive or DICOMDIR",
    )
    command.add_argument(
        "--labels",
        type=Path,
        metavar="CSV",
        help="image,<finding>…[,split]; or the data set's own table. For DICOM films, "
        "the first column may be AccessionNumber, StudyInstanceUID or SOPInstanceUID",
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
    command.add_argument(
        "--dry-run",
        action="store_true",
        help="read everything and say what would be imported, left out and why; "
        "make nothing",
    )
    _archive_options(command.add_argument_group("films from an archive (PACS)"))
    add_json(command)


def _archive_options(group: Any) -> None:
    group.add_argument(
        "--from-pacs",
        metavar="URL",
        help="its DICOMweb address, or dimse://AET@HOST:PORT, instead of --images; "
        "name and password come from WSSEG_PACS_USER and WSSEG_PACS_PASSWORD or the "
        "keyring (docs/pacs.md)",
    )
    group.add_argument(
        "--query",
        metavar="KEY=VALUE;…",
        help="which films, by DICOM keyword: Modality=DX,CR;StudyDate=20260101-",
    )
    group.add_argument(
        "--films", type=Path, metavar="FOLDER", help="where the films land"
    )
    group.add_argument("--limit", type=int, metavar="N", help="most films to fetch")
    group.add_argument(
        "--ca", type=Path, metavar="FILE", help="certificates that sign the archive's"
    )


def _choices_of_all() -> list[str]:
    from napari_wsseg.datasets import _options as _choices
    from napari_wsseg.datasets import datasets

    choices = {name: _choices.option_names(datasets[name]) for name in datasets}
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


def _is_from_pacs(arguments: argparse.Namespace) -> bool:
    """Whether films come from an archive.

    Raises
    ------
    UsageError
        Neither source is named, or both; or an option is of the other.
    """
    if bool(arguments.images) == bool(arguments.from_pacs):
        raise UsageError("name a folder of films with --images, or --from-pacs URL")
    given = [
        f"--{name}"
        for name in ("query", "films", "limit", "ca")
        if getattr(arguments, name) is not None
    ]
    if arguments.images and given:
        raise UsageError(f"{', '.join(given)}: only with --from-pacs")
    return bool(arguments.from_pacs)


def _from_folder(arguments: argparse.Namespace, importer: Importer) -> Job:
    named = _named(arguments.dataset, importer, arguments.names)
    return named(
        arguments.project,
        images=arguments.images,
        labels=arguments.labels,
        masks=arguments.masks,
    )


def _from_pacs(arguments: argparse.Namespace, importer: Importer) -> Job:
    from napari_wsseg.datasets import from_archive
    from napari_wsseg.io import pacs
    from napari_wsseg.io.archives import query

    if arguments.dataset != "folder":
        raise UsageError("--from-pacs: films of an archive are of no public data set")
    if arguments.dry_run:
        raise UsageError("--dry-run: films of an archive are fetched first; leave it")
    if not arguments.query or not arguments.films:
        raise UsageError(
            "--from-pacs: say which films with --query and where they land with --films"
        )
    if arguments.limit is not None and arguments.limit < 1:
        raise UsageError("--limit: fetch 1 film or more")
    return from_archive.steps(
        arguments.project,
        pacs.at(arguments.from_pacs, ca=arguments.ca),
        query.parse(arguments.query),
        arguments.films,
        labels=arguments.labels,
        masks=arguments.masks,
        names=arguments.names,
        limit=arguments.limit,
        importer=importer,
    )


def run(arguments: argparse.Namespace) -> int:
    """Import the films; say which were rejected and why."""
    from napari_wsseg.datasets import _options as _choices
    from napari_wsseg.datasets import datasets
    from napari_wsseg.datasets.importing import plan as _plan
    from napari_wsseg.datasets.importing import resume as _resume

    name = arguments.dataset
    if arguments.json and arguments.labels and name == "folder":
        _report_columns(arguments.labels)
    importer = _choices.with_options(name, datasets[name], arguments.set)
    start = _from_pacs if _is_from_pacs(arguments) else _from_folder
    job = start(arguments, importer)
    if arguments.dry_run:
        job = _checking(job, arguments.project)

    def planned(plan: Plan) -> None:
        if arguments.json:
            _output.program(_planned(plan))
        if arguments.dry_run:
            raise _Known(plan)

    try:
        with _plan.hearing(planned):
            report = _output.through(job, _output.Reporter(arguments.json))
    except KeyboardInterrupt:
        if _resume.place(arguments.project.absolute()).exists():
            _output.person("what was read is kept: the same command goes on from there")
        raise
    for line in _lines(report, arguments):
        _output.person(line)
    if arguments.json:
        _output.program(_last(report, dry_run=arguments.dry_run))
    return 0


def _report_columns(labels: Path) -> None:
    """Tell a program how the columns of a table are understood, if it can be read."""
    from napari_wsseg.datasets.importing import guarded

    with suppress(DataError):  # the import says so itself
        columns = guarded.columns(labels)
        _output.program({"event": "columns", "columns": columns})


class _Known(Exception):
    """The plan is known, and the import goes no further."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan


def _checking(job: Job, project: Path) -> Job:
    """Go on with an import until its plan is known; then read, and make nothing."""
    from napari_wsseg.datasets.importing import build as _build

    try:
        yield from job
    except _Known as known:
        return (yield from _build.check(known.plan, project))
    raise JobFailed("this data set does not tell what it is about to do; import it")


def _lines(report: ImportReport, arguments: argparse.Namespace) -> list[str]:
    """Say what came of it, for a person."""
    lines = [f"warning: {warning}" for warning in report.warnings]
    lines += [f"rejected: {each.path}: {each.reason}" for each in report.rejected]
    would = "would be imported" if arguments.dry_run else "imported"
    lines.append(
        f"{counted(report.imported, 'film')} {would} into {arguments.project}"
        + (
            f", {counted(len(report.rejected), 'file')} rejected"
            if report.rejected
            else ""
        )
    )
    if report.summary is not None:
        lines += [f"  {line}" for line in report.summary.lines()]
    if arguments.dry_run:
        lines.append("nothing was made; the same command without --dry-run makes it")
    elif report.key_file:
        lines.append(
            "the films' file names are not in the project but in the key file "
            f"{report.key_file}; wsseg names shows them"
        )
    elif arguments.dataset == "folder":
        lines.append(
            "the films' file names are in the project as they are; if they could tell "
            "who a patient is, take --names hide"
        )
    return lines


def _planned(plan: Plan) -> dict[str, object]:
    """Return what is known before films are read, for a program."""
    return {
        "event": "plan",
        "summary": asdict(plan.summary()),
        "rejected": [asdict(each) for each in plan.rejected],
        "warnings": list(plan.warnings),
        "names_hidden": plan.hide,
    }


def _last(report: ImportReport, *, dry_run: bool) -> dict[str, object]:
    """Return the last line for a program."""
    return {
        "status": "checked" if dry_run else "done",
        "project": str(report.project),
        "imported": report.imported,
        "rejected": [asdict(each) for each in report.rejected],
        "warnings": list(report.warnings),
        "key_file": str(report.key_file) if report.key_file else None,
        "summary": asdict(report.summary) if report.summary else None,
    }

"""``wsseg init``: a folder of films becomes a project."""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_wsseg.cli import _output as _say
from napari_wsseg.cli import add_json
from napari_wsseg.jobs import UsageError

if TYPE_CHECKING:
    from collections.abc import Generator

    from napari_wsseg.datasets import Importer
    from napari_wsseg.datasets.importing.report import ImportReport
    from napari_wsseg.jobs import Progress

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
    _archive_options(command.add_argument_group("films from an archive (PACS)"))
    add_json(command)


def _archive_options(group: Any) -> None:
    group.add_argument(
        "--from-pacs",
        metavar="URL",
        help="its DICOMweb address, instead of --images; name and password come from "
        "WSSEG_PACS_USER and WSSEG_PACS_PASSWORD or the keyring (docs/pacs.md)",
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
    from napari_wsseg.io.dicomweb import access, query
    from napari_wsseg.io.dicomweb.archive import Archive

    if arguments.dataset != "folder":
        raise UsageError("--from-pacs: films of an archive are of no public data set")
    if not arguments.query or not arguments.films:
        raise UsageError(
            "--from-pacs: say which films with --query and where they land with --films"
        )
    if arguments.limit is not None and arguments.limit < 1:
        raise UsageError("--limit: fetch 1 film or more")
    return from_archive.steps(
        arguments.project,
        Archive(access.to(arguments.from_pacs, ca=arguments.ca)),
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
    from napari_wsseg.datasets.importing import resume as _resumed

    name = arguments.dataset
    importer = _choices.made(name, datasets[name], arguments.set)
    job = _from_pacs if _is_from_pacs(arguments) else _from_folder
    try:
        report = _say.through(job(arguments, importer), _say.Teller(arguments.json))
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

"""``wsseg import``: masks that a reader made elsewhere, or somebody's classifier."""

from __future__ import annotations

import argparse
import csv
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from napari_wsseg.cli import _import_classifier, _say, add_json, add_project
from napari_wsseg.io.project import Project
from napari_wsseg.jobs import DataError, UsageError
from napari_wsseg.schema import Case, Mask


def add(command: argparse.ArgumentParser) -> None:
    """Fill in the command's parser."""
    command.add_argument("format", choices=["png", "siim_rle", "classifier"])
    command.add_argument(
        "file",
        type=Path,
        help="png: a folder <finding>/<image stem>.png; siim_rle: a csv of one "
        "finding; classifier: a state dict, .safetensors, .pt or .pth",
    )
    add_project(command)
    add_json(command)
    masks = command.add_argument_group("masks")
    masks.add_argument("--reader", help="whose masks these are; needed")
    masks.add_argument("--finding", help="siim_rle: default, the project's only one")
    _import_classifier.add(command.add_argument_group("a classifier"))


def run(arguments: argparse.Namespace) -> int:
    """Take masks or a classifier over."""
    if not arguments.file.exists():
        raise DataError(f"{arguments.file} is not there")
    if arguments.format == "classifier":
        return _import_classifier.run(arguments)
    if not arguments.reader:
        raise UsageError("name the reader whose masks these are with --reader")
    return _masks(arguments)


def _masks(arguments: argparse.Namespace) -> int:
    """Add a version of every mask that fits a film; list those that do not."""
    with Project.open(arguments.project, write=True) as project:
        rejected: list[str] = []
        found = (
            _png(project, arguments.file, rejected)
            if arguments.format == "png"
            else _siim(project, arguments.file, arguments.finding, rejected)
        )
        taken = 0
        for case, finding, mask in found:
            project.put_mask(
                case.id, finding, mask, reader=arguments.reader, tool="import"
            )
            taken += 1
    for reason in rejected:
        _say.person(f"rejected: {reason}")
    _say.person(f"{taken} masks of reader {arguments.reader} taken")
    if arguments.json:
        _say.program({"status": "done", "imported": taken, "rejected": rejected})
    if not taken:
        raise DataError(f"no mask in {arguments.file} fits a film of this project")
    return 0


def _png(
    project: Project, folder: Path, rejected: list[str]
) -> Iterator[tuple[Case, str, Mask]]:
    from napari_wsseg.io import masks

    cases = _by_stem(project)
    for finding in project.findings:
        for path in sorted((folder / finding.name).glob("*.png")):
            case = cases.get(path.stem)
            if case is None:
                rejected.append(f"{path.name}: no film of that name, or more than one")
                continue
            try:
                yield case, finding.name, masks.read(path, case.shape)
            except DataError as error:
                rejected.append(str(error))


def _siim(
    project: Project, path: Path, named: str | None, rejected: list[str]
) -> Iterator[tuple[Case, str, Mask]]:
    from napari_wsseg.export import siim_rle

    names = [finding.name for finding in project.findings]
    finding = named or (names[0] if len(names) == 1 else "")
    if finding not in names:
        raise DataError(f"name the finding with --finding; there are: {names}")
    cases = _by_stem(project)
    for stem, runs in _siim_rows(path).items():
        case = cases.get(stem)
        if case is None:
            rejected.append(f"{stem}: no film of that name, or more than one")
            continue
        try:
            masks = [siim_rle.decode(run, case.shape) for run in runs]
            yield case, finding, np.logical_or.reduce(masks)
        except DataError as error:
            rejected.append(f"{stem}: {error}")


def _siim_rows(path: Path) -> dict[str, list[str]]:
    """Return run lengths by film; a film may have several rows, which are united."""
    rows: dict[str, list[str]] = {}
    with path.open(newline="", encoding="utf-8-sig") as file:
        for row in csv.DictReader(file, skipinitialspace=True):
            named = {key.strip(): value for key, value in row.items() if key}
            if {"ImageId", "EncodedPixels"} - set(named):
                raise DataError(f"{path.name} has no columns ImageId and EncodedPixels")
            name, runs = named["ImageId"].strip(), named["EncodedPixels"]
            rows.setdefault(name, []).append(runs)
    return rows


def _by_stem(project: Project) -> dict[str, Case]:
    """Return cases by file stem, those whose stem is not theirs alone left out."""
    cases: dict[str, list[Case]] = {}
    for case in project.cases():
        cases.setdefault(case.name, []).append(case)
    return {stem: alike[0] for stem, alike in cases.items() if len(alike) == 1}

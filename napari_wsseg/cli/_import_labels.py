"""``wsseg import labels``: what a table of labels would change, then the change."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from napari_wsseg.cli import _output
from napari_wsseg.io.project import Project
from napari_wsseg.jobs import UsageError
from napari_wsseg.schema import LABEL_NAMES

_SHOWN = 40


def add(group: Any) -> None:
    """Fill in the parser's group of arguments."""
    group.add_argument(
        "--apply",
        action="store_true",
        help="take the labels over; without it, what would change is only shown",
    )
    group.add_argument(
        "--conflicts",
        choices=("keep", "take"),
        default="keep",
        help="labels that somebody was sure of, or that an expert mask contradicts: "
        "keep what the project has (default), or take the file's",
    )


def run(arguments: argparse.Namespace, path: Path) -> int:
    """Show what would change, and with ``--apply`` change it."""
    from napari_wsseg.datasets.importing import label_changes as _label_changes

    if arguments.apply and not arguments.reader:
        raise UsageError("name the reader whose labels these are with --reader")
    taken = 0
    with Project.open(arguments.project, write=arguments.apply) as project:
        found = _label_changes.preview(project, path)
        if arguments.apply:
            taken = _label_changes.apply(
                project,
                found,
                reader=arguments.reader,
                conflicts=arguments.conflicts == "take",
            )
    _report(arguments, found, taken)
    if arguments.json:
        _output.program(
            {
                "status": "done" if arguments.apply else "preview",
                "imported": taken,
                "same": found.same,
                "changes": [_row(change) for change in found.changes],
                "conflicts": [_row(change) for change in found.conflicts],
                "rejected": list(found.rejected),
                "warnings": list(found.warnings),
            }
        )
    return 0


def _row(change: Any) -> dict[str, object]:
    return {
        "image": change.path,
        "finding": change.finding,
        "before": change.before,
        "after": change.after,
        "conflict": change.conflict or None,
    }


def _report(arguments: argparse.Namespace, found: Any, taken: int) -> None:
    for warning in found.warnings:
        _output.person(f"warning: {warning}")
    for reason in found.rejected:
        _output.person(f"rejected: {reason}")
    plain = [change for change in found.changes if not change.conflict]
    for word, changes in (("change", plain), ("conflict", found.conflicts)):
        for change in changes[:_SHOWN]:
            why = f" ({change.conflict})" if change.conflict else ""
            _output.person(
                f"{word}: {change.path}, {change.finding}: "
                f"{LABEL_NAMES[change.before]} -> {LABEL_NAMES[change.after]}{why}"
            )
        if len(changes) > _SHOWN:
            _output.person(
                f"{word}: and {len(changes) - _SHOWN} more; --json lists all"
            )
    _output.person(
        f"{found.same} labels are the same, {len(plain)} change, "
        f"{len(found.conflicts)} are in conflict"
    )
    if arguments.apply:
        kept = len(found.changes) - taken
        more = f", {kept} kept as they were (--conflicts take)" if kept else ""
        _output.person(f"{taken} labels of reader {arguments.reader} taken{more}")
    elif found.changes:
        _output.person("nothing was changed; --apply --reader NAME takes them over")

"""``wsseg import draft``: another program's predictions, as a stage of a run."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

from napari_wsseg.cli import _output
from napari_wsseg.io.external.mask_values import PLAIN, Choice
from napari_wsseg.io.project import Project
from napari_wsseg.jobs import UsageError, counted
from napari_wsseg.schema import STAGES


def add(group: Any) -> None:
    """Fill in the parser's group of arguments; it shares --findings and --no-adopt."""
    group.add_argument("--name", help="what made them, e.g. nnunet; needed")
    group.add_argument(
        "--stage",
        choices=STAGES,
        default="segmentation",
        help="as which stage they are shown; default segmentation",
    )
    group.add_argument(
        "--missing",
        choices=("none", "empty"),
        default="none",
        help="films that the file says nothing of: no draft of them (default), or one "
        "that finds nothing there",
    )


def run(arguments: argparse.Namespace, kind: str, choice: Choice) -> int:
    """Take drafts over, use them, and say which films have none."""
    from napari_wsseg.pipeline.inference import external_drafts as _external_drafts

    _check(arguments, kind, _external_drafts.formats())
    outputs = [one.strip() for one in (arguments.findings or "").split(",") if one]
    with Project.open(arguments.project, write=not arguments.no_adopt) as project:
        taken = _output.finish(
            _external_drafts.steps(
                project,
                kind,
                arguments.file,
                called=arguments.name,
                stage=arguments.stage,
                finding=arguments.finding,
                outputs=outputs,
                choice=None if choice == PLAIN else choice,
                missing_is_empty=arguments.missing == "empty",
            ),
            arguments.json,
        )
        if not arguments.no_adopt:
            project.adopt(arguments.stage, taken.run, actor="command line")
    _report(arguments, taken)
    if arguments.json:
        _output.program(
            {
                "status": "done",
                "run": taken.run,
                "stage": arguments.stage,
                "imported": taken.films,
                "findings": list(taken.findings),
                "without": list(taken.without),
                "rejected": list(taken.rejected),
                "warnings": list(taken.warnings),
            }
        )
    return 0


def _check(arguments: argparse.Namespace, kind: str, formats: Sequence[str]) -> None:
    """Refuse drafts without a name, of a reader, or in no format of drafts."""
    if not arguments.name:
        raise UsageError("say what made the drafts with --name, e.g. --name nnunet")
    if arguments.reader:
        raise UsageError(
            "drafts are nobody's masks: leave out --reader, or import masks of a "
            "reader without the word draft"
        )
    if kind not in formats:
        raise UsageError(
            f"no format {kind!r} of drafts; there are: {', '.join(formats)}"
        )


def _report(arguments: argparse.Namespace, taken: Any) -> None:
    for warning in taken.warnings:
        _output.person(f"warning: {warning}")
    for reason in taken.rejected:
        _output.person(f"rejected: {reason}")
    used = "" if arguments.no_adopt else f"; stage {arguments.stage} shows it"
    _output.person(
        f"drafts of {counted(taken.films, 'film')} "
        f"({', '.join(taken.findings)}) are run {taken.run}{used}"
    )
    if taken.without:
        _output.person(
            f"no draft of {counted(len(taken.without), 'film')}, "
            f"{taken.without[0]} among them; evaluation needs one of every film of a "
            "split: --missing empty, if the program found nothing on them"
        )

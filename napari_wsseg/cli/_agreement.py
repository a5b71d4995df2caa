"""``wsseg agreement``: how far readers of the same films agree."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping
from typing import Any

from napari_wsseg.cli import _output, add_json, add_project
from napari_wsseg.jobs import counted

_HEADS = ("readers", "finding", "films", "Dice", "HD95 mm", "HD95 px", "kappa")


def add(command: argparse.ArgumentParser) -> None:
    """Fill in the command's parser."""
    add_project(command)
    add_json(command)


def run(arguments: argparse.Namespace) -> int:
    """Compare every two readers on the films that both are done with."""
    from napari_wsseg.io.project import Project
    from napari_wsseg.pipeline import agreement

    with Project.open(arguments.project) as project:
        report = agreement.report(project)
    if not report["pairs"]:
        _output.person(
            "no film has been read by two readers: read some again with "
            f"`wsseg open {arguments.project} --reader NAME --blind`"
        )
    else:
        _output.person(_output.table([_HEADS, *_rows(report)]))
        _output.person(
            f"{counted(report['n_double_read'], 'film')} read by two or more, "
            f"{report['n_adjudicated']} adjudicated, "
            f"{counted(len(report['disagreements']), 'finding')} to adjudicate"
        )
    if arguments.json:
        _output.program(report)
    return 0


def _rows(report: Mapping[str, Any]) -> Iterator[list[object]]:
    for pair in report["pairs"]:
        for finding, row in pair["findings"].items():
            text = " – ".join(pair["readers"])
            metrics = (row[k] for k in ("dice", "hd95_mm", "hd95_px", "kappa"))
            yield [text, finding, row["n_kappa"], *metrics]

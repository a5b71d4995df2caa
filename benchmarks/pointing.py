"""The pointing game: does the hottest pixel of a map lie in the box of a finding?

    python -m benchmarks.pointing PROJECT BOXES [--as "Lung Opacity=consolidation" …]

BOXES is a table with columns image, finding, x, y, w and h, in pixels of films of 1024
x 1024, as NIH's. Findings are the project's by their names in small letters, or by
``--as``. Of every stage in use, hits of boxes; beside it what a pixel drawn by chance
anywhere on the film would hit on average, the boxes' shares of the film.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from napari_wsseg.io import stages
from napari_wsseg.io.project import Project
from napari_wsseg.ops import geometry
from napari_wsseg.schema import Case

SIDE = 1024


def hits(
    project: Project, case: Case, finding: str, box: tuple[float, ...]
) -> Iterator[tuple[str, bool]]:
    """Yield the stages that have a map of a finding, and whether it points there."""
    x, y, width, height = np.multiply(box, case.shape[0] / SIDE)
    for stage, run in project.runs_in_use().items():
        settings = stages.read_settings(project.folder, stage, run)
        maps = stages.read(project.folder, stage, run, case.id)
        if settings is None or maps is None or finding not in settings.findings:
            continue
        score = maps.score[settings.findings.index(finding)]
        film = geometry.unletterbox(score, case.shape)
        row, column = np.unravel_index(int(film.argmax()), film.shape)
        inside = x <= column <= x + width and y <= row <= y + height
        yield stage, bool(inside)


def play(project: Project, boxes: Path, names: Mapping[str, str]) -> None:
    """Print hits by stage and finding."""
    cases = {Path(case.path).name: case for case in project.cases()}
    found: dict[tuple[str, str], list[bool]] = {}
    chance: dict[str, float] = {}
    with boxes.open(newline="") as file:
        for row in csv.DictReader(file):
            case = cases.get(row["image"])
            if case is None:
                continue
            finding = names.get(row["finding"], row["finding"].lower())
            box = tuple(float(row[name]) for name in "xywh")
            share = box[2] * box[3] / SIDE**2
            chance[row["finding"]] = chance.get(row["finding"], 0.0) + share
            for stage, hit in hits(project, case, finding, box):
                found.setdefault((stage, row["finding"]), []).append(hit)
    for (stage, finding), every in sorted(found.items()):
        by_chance = f"by chance {chance[finding]:.2f}"
        print(f"{stage:<13} {finding:<14} {sum(every)} of {len(every)}", by_chance)


def main() -> None:
    """Play it with the runs in use."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("project", type=Path)
    parser.add_argument("boxes", type=Path)
    parser.add_argument("--as", dest="names", nargs="*", default=[], metavar="A=b")
    options = parser.parse_args()
    names = dict(one.split("=", 1) for one in options.names)
    with Project.open(options.project) as project:
        play(project, options.boxes, names)


if __name__ == "__main__":
    main()

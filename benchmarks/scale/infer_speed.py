"""Films a second of `wsseg infer`, beside those of another commit.

    git worktree add ../before COMMIT
    python -m benchmarks.scale.infer_speed FOLDER --against ../before
        [--films 24] [--size 512] [--turns 3] [--stages cam segmentation] [--also=…]

makes a project of synthetic films in FOLDER, where there is none yet, trains a
classifier and a segmenter for an epoch of a few films with the other commit, and lets
both commits, each with a copy of its own, make every film's maps anew, in turns.
Printed are, of whole commands (start, reading films, network, writing maps), processor
seconds and wall seconds a film, their ratios, and the largest difference of a map.
``--also=--precision=bf16`` adds a third way, this commit with what is given.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from napari_wsseg import phantom
from napari_wsseg.io import stages
from napari_wsseg.io.project import Project

DRAWN = 12
"""Films that the generator makes; more are these with noise of their own."""

LEARNT = 8
"""Films that the networks learn from; the others are of the test split."""

BEFORE, NOW = "before", "now"

FINDINGS = ("pleural_effusion", "nodule", "pneumothorax")


@dataclass(frozen=True, slots=True)
class Taken:
    """Seconds of the processor and by the clock that a command took."""

    processor: float
    wall: float


def wsseg(tree: Path, *arguments: str) -> Taken:
    """Run a command of a commit."""
    environment = {**os.environ, "PYTHONPATH": str(tree)}
    command = [sys.executable, "-m", "napari_wsseg.cli", *arguments]
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(
        command, cwd=tree, env=environment, check=True, stdout=subprocess.DEVNULL
    )
    wall = time.perf_counter() - began
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Taken(spent, wall)


def draw(folder: Path, count: int, size: int) -> None:
    """Write films and the table of their labels and splits."""
    (folder / "films").mkdir(parents=True)
    rng = np.random.default_rng(0)
    made = [
        phantom.generate(seed, size=size, findings=() if seed % 2 else FINDINGS)
        for seed in range(DRAWN)
    ]
    with (folder / "labels.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["image", *FINDINGS, "split"])
        for number in range(count + LEARNT):
            film = made[number % len(made)]
            grey = film.pixels / 4095 * 255 + rng.normal(0, 2, film.pixels.shape)
            name = f"film{number:04d}.png"
            Image.fromarray(grey.clip(0, 255).astype(np.uint8)).save(
                folder / "films" / name
            )
            labels = [int(film.masks[finding].any()) for finding in FINDINGS]
            split = "test" if number >= LEARNT else ("train", "val")[number in (3, 6)]
            table.writerow([name, *labels, split])


def make(folder: Path, tree: Path, count: int, size: int) -> None:
    """Make the project and its runs with the other commit."""
    draw(folder, count, size)
    place = str(folder / "project")
    films, labels = str(folder / "films"), str(folder / "labels.csv")
    wsseg(tree, "init", place, "--images", films, "--labels", labels)
    few = ["--set", f"size={size}", "epochs=1", "batch=2"]
    wsseg(tree, "train", "classifier", "-p", place, *few, "weights=")
    wsseg(tree, "train", "segmentation", "-p", place, *few, "labels=cam")


def compared(
    folder: Path, ways: dict[str, tuple[Path, list[str]]], stage: str, turns: int
) -> dict[str, list[Taken]]:
    """Return what each way took, in turns; the first turn is left out."""
    taken: dict[str, list[Taken]] = {name: [] for name in ways}
    for turn in range(turns + 1):
        for name, (tree, options) in ways.items():
            place = str(folder / name)
            found = wsseg(tree, "infer", stage, "-p", place, "--again", *options)
            if turn:
                taken[name].append(found)
    return taken


def difference(folder: Path, name: str, stage: str) -> float:
    """Return the largest difference of a map from this commit's."""
    largest = 0.0
    with Project.open(folder / NOW) as project:
        run = project.adopted(stage) or ""
        ids = project.case_ids()
    for case_id in ids:
        both = (folder / name, folder / NOW)
        maps = [stages.read(place, stage, run, case_id) for place in both]
        first, other = (one.score for one in maps if one is not None)
        largest = max(largest, float(np.abs(first - other).max()))
    return largest


def main() -> None:
    """Compare this commit with another."""
    options = _options()
    here = Path(__file__).resolve().parents[2]
    ways = {BEFORE: (options.against.resolve(), list[str]()), NOW: (here, [])}
    if options.also:
        ways["now, also"] = (here, options.also.split("="))
    if not (options.folder / "project").is_dir():
        make(options.folder, ways[BEFORE][0], options.films, options.size)
    for name in ways:
        shutil.rmtree(options.folder / name, ignore_errors=True)
        shutil.copytree(options.folder / "project", options.folder / name)
    with Project.open(options.folder / NOW) as project:
        count = project.n_cases()
    rows: list[dict[str, Any]] = []
    for stage in options.stages:
        taken = compared(options.folder, ways, stage, options.turns)
        found = [_row(stage, name, each, count) for name, each in taken.items()]
        for row in found:
            off = difference(options.folder, row["way"], stage)
            print(
                f"{stage:14} {row['way']:10} {row['processor']:7.3f} s of processor "
                f"{row['wall']:7.3f} s by the clock a film; "
                f"{found[0]['processor'] / row['processor']:.2f} x, "
                f"{found[0]['wall'] / row['wall']:.2f} x; off by {off:.1e}",
                flush=True,
            )
        rows += found
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1) + "\n")


def _row(stage: str, way: str, taken: list[Taken], count: int) -> dict[str, Any]:
    return {
        "stage": stage,
        "way": way,
        "films": count,
        "processor": statistics.median(one.processor for one in taken) / count,
        "wall": statistics.median(one.wall for one in taken) / count,
    }


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--against", type=Path, required=True, metavar="TREE")
    parser.add_argument("--films", type=int, default=24)
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--stages", nargs="+", default=["cam", "segmentation"])
    parser.add_argument("--also", default="", help="words for a third way")
    parser.add_argument("--json", type=Path, metavar="FILE")
    return parser.parse_args()


if __name__ == "__main__":
    main()

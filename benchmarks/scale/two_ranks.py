"""What training in two processes is worth on two cores, beside one that has both.

    wsseg init P --images … --labels …
    python -m benchmarks.scale.two_ranks P [--size 128] [--batch 16] [--turns 2]

trains the classifier for a short and a longer while in one process of two threads and
in two processes of one thread, in turns; each from the same start, on the same batches.
Printed are processor seconds and seconds by the clock a film, what the longer training
takes more than the short one, so that starting and reading films are no part of it.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from napari_wsseg.io.project import Project

SHORT, LONG = 1, 5
"""Epochs."""


def trained(
    place: Path, processes: int, epochs: int, settings: list[str]
) -> list[float]:
    """Train; return processor seconds and seconds by the clock."""
    command = [sys.executable, "-m", "napari_wsseg.cli", "train", "classifier"]
    command += ["-p", str(place), "--processes", str(processes), "--no-adopt"]
    command += ["--set", f"epochs={epochs}", "weights=", "precision=fp32", *settings]
    threads = {"OMP_NUM_THREADS": str(2 // processes)}
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(
        command,
        check=True,
        env={**os.environ, **threads},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    wall = time.perf_counter() - began
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return [spent, wall]


def main() -> None:
    """Print what both take."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("project", type=Path)
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--turns", type=int, default=2)
    options = parser.parse_args()
    settings = [f"size={options.size}", f"batch={options.batch}"]
    with Project.open(options.project) as project:
        films = len(project.cases("train")) * (LONG - SHORT)
    taken: dict[int, list[list[float]]] = {1: [], 2: []}
    with tempfile.TemporaryDirectory() as folder:
        place = Path(shutil.copytree(options.project, Path(folder) / "project"))
        for _ in range(options.turns):
            for processes, each in taken.items():
                short = trained(place, processes, SHORT, settings)
                long = trained(place, processes, LONG, settings)
                each.append([(b - a) / films for a, b in zip(short, long, strict=True)])
    medians = {
        processes: [statistics.median(values) for values in zip(*each, strict=True)]
        for processes, each in taken.items()
    }
    for processes, (spent, wall) in medians.items():
        print(
            f"{processes} processes: {1000 * spent:7.1f} ms of processor, "
            f"{1000 * wall:7.1f} ms by the clock a film; films a second "
            f"{medians[1][1] / wall:.2f} x"
        )


if __name__ == "__main__":
    main()

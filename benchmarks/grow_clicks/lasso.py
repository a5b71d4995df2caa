"""Points of an outline, snapped to edges by the lasso or joined by straight lines.

    python -m benchmarks.grow_clicks.lasso ../shared/data -p PROJECT [--films 8]

A simulation: points lie evenly on the true outline of an organ, which no hand does.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from skimage.draw import polygon2mask
from skimage.measure import find_contours

from benchmarks.grow_clicks.films import Job, wingspan
from napari_wsseg.ops import metrics
from napari_wsseg.ops.livewire import Livewire
from napari_wsseg.schema import Mask

POINTS = (4, 6, 8, 12, 16)
GOAL = 0.85


def on_outline(truth: Mask, number: int) -> NDArray[np.float64]:
    """Return (number, 2) points evenly along the longest outline of a mask."""
    outline = max(find_contours(np.pad(truth, 1).astype(float), 0.5), key=len) - 1
    steps = np.hypot(*np.diff(outline, axis=0).T)
    way = np.concatenate([[0], np.cumsum(steps)])
    places = np.linspace(0, way[-1], number, endpoint=False)
    axes = [np.interp(places, way, outline[:, axis]) for axis in (0, 1)]
    return np.stack(axes, -1)


def snapped(wire: Livewire, points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the closed (N, 2) outline that the lasso draws through points."""
    parts = []
    for first, second in zip(points, np.roll(points, -1, axis=0), strict=True):
        wire.start((float(first[0]), float(first[1])))
        parts.append(wire.path((float(second[0]), float(second[1]))))
    return np.vstack(parts)


def ious(job: Job, wire: Livewire, number: int) -> tuple[float, float]:
    """Return the IoU of the lasso's outline and of straight lines."""
    points, shape = on_outline(job.truth, number), job.truth.shape
    drawn = (polygon2mask(shape, one) for one in (snapped(wire, points), points))
    lasso, straight = (metrics.iou(mask, job.truth) for mask in drawn)
    return lasso, straight


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.grow_clicks.lasso",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("data", type=Path, help="the folder with wingspan in it")
    parser.add_argument("-p", "--project", type=Path, required=True)
    parser.add_argument("--films", type=int, default=8)
    parser.add_argument("--split", default="val", choices=("train", "val", "test"))
    options = parser.parse_args()
    for organ in ("heart", "left_lung"):
        jobs = list(
            wingspan(options.data, organ, options.films, options.split, options.project)
        )
        wires = [Livewire(job.film) for job in jobs]
        for number in POINTS:
            found = np.array(
                [ious(j, w, number) for j, w in zip(jobs, wires, strict=True)]
            )
            lasso, straight = found.mean(0)
            first, second = (found >= GOAL).mean(0)
            print(
                f"SIMULATION {organ} {len(jobs)} films, {number} points: lasso "
                f"{lasso:.3f} ({first:.0%} at {GOAL}), straight lines {straight:.3f} "
                f"({second:.0%})",
                flush=True,
            )


if __name__ == "__main__":
    main()

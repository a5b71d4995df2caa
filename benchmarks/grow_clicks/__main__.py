"""Clicks until a mask is right, by tool: a simulation by a fixed policy, not readers.

    python -m benchmarks.grow_clicks ../shared/data [--films 16] [-p PROJECT]
    python -m benchmarks.grow_clicks ../shared/data -p PROJECT --choose

The usual protocol: the next click goes where the error is deepest (the centre of the
largest disc that is all missing, or all too much), until IoU 0.85 and 0.90, 20 clicks
at most. Films are brought to 256 pixels on the longer side. A click of Grow and of
`skimage.segmentation.random_walker` (on Grow's own grid of 128, beta 130) is a dab of
half the disc's radius, 1 to 3 pixels; one of the brush paints or erases the whole disc.

With `-p`, a wingspan project on which ``wsseg infer anatomy`` has run, hearts and lungs
are also corrected from that draft, and, where IRNet has run, with its boundary.
`--draft` takes another stage's map, of the heart on films with cardiomegaly. From a
draft, random_walker is given what lies further than `BAND` from the rim.

`--choose` tries settings of the correction, and that band, on hearts of train and val;
the films of test, `--split`'s default, are for reporting alone.
"""

from __future__ import annotations

import argparse
import itertools
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.segmentation import random_walker

from benchmarks.grow_clicks.films import (
    LESIONS,
    SIDE,
    TUBES,
    Job,
    covid,
    deepest,
    phantom,
    phantom_tubes,
    wingspan,
)
from napari_wsseg.ops import metrics, scribble
from napari_wsseg.schema import Mask

GRID, MOST = 128, 20
GOALS = (0.85, 0.90)
BAND = 8
"""Pixels of 256 beside a draft's rim that random_walker labels anew (`--choose`)."""

Tool = Callable[["Job"], Callable[[NDArray[np.uint8], int, float], Mask]]


def clicks(job: Job, tool: Tool) -> list[float]:
    """Return the IoU before the first click and after each."""
    strokes = np.full(job.truth.shape, scribble.NOTHING, np.uint8)
    answer = tool(job)
    found = [metrics.iou(job.mask, job.truth)]
    rows, columns = np.ogrid[: job.truth.shape[0], : job.truth.shape[1]]
    while len(found) <= MOST and found[-1] < GOALS[-1]:
        depth, (y, x), side = deepest(job.mask, job.truth)
        far = (rows - y) ** 2 + (columns - x) ** 2
        strokes[far <= min(max(depth / 2, 1.0), 3.0) ** 2] = side
        disc = np.where(far <= depth**2, np.uint8(side), np.uint8(scribble.NOTHING))
        job.mask = (
            disc_on(job.mask, disc)
            if tool in (brush, brush_on_draft)
            else answer(strokes, side, depth)
        )
        found.append(metrics.iou(job.mask, job.truth))
    return found


def disc_on(mask: Mask, disc: NDArray[np.uint8]) -> Mask:
    """Paint (1) or erase (0) a disc."""
    return np.where(disc == scribble.NOTHING, mask, disc == scribble.INSIDE)


def edges_of(job: Job) -> NDArray[np.float32]:
    """Return the film's own edges on Grow's grid."""
    return scribble.edges(job.film, stride=SIDE // GRID)


def brush(job: Job) -> Callable[[NDArray[np.uint8], int, float], Mask]:
    """Paint and erase discs; see `clicks`."""
    return lambda strokes, side, depth: job.mask


def brush_on_draft(job: Job) -> Callable[[NDArray[np.uint8], int, float], Mask]:
    """Paint and erase discs, from the draft."""
    job.mask = draft_for(job)
    return brush(job)


def draft_for(job: Job) -> Mask:
    """Return the film's draft.

    Raises
    ------
    ValueError
        If there is none.
    """
    if job.draft is None:
        raise ValueError("no draft of this film")
    return job.draft


def add(job: Job) -> Callable[[NDArray[np.uint8], int, float], Mask]:
    """Grow from nothing and add it to the draft: no local correction."""
    draft = job.mask = draft_for(job)
    graph = scribble.Graph(edges_of(job))
    return lambda strokes, side, depth: draft | (graph.grow(strokes) >= 0.5)


def grow(job: Job) -> Callable[[NDArray[np.uint8], int, float], Mask]:
    """Grow from nothing by the film's own edges."""
    graph = scribble.Graph(edges_of(job))
    return lambda strokes, side, depth: graph.grow(strokes) >= 0.5


def grow_learned(job: Job) -> Callable[[NDArray[np.uint8], int, float], Mask]:
    """Grow from nothing by IRNet's boundary."""
    if job.boundary is None:
        raise ValueError("no IRNet has seen this film")
    graph = scribble.Graph(job.boundary)
    return lambda strokes, side, depth: graph.grow(strokes) >= 0.5


def correct(job: Job) -> Callable[[NDArray[np.uint8], int, float], Mask]:
    """Correct the draft by the film's own edges."""
    return _correct(job, edges_of(job))


def correct_learned(job: Job) -> Callable[[NDArray[np.uint8], int, float], Mask]:
    """Correct the draft by IRNet's boundary."""
    if job.boundary is None:
        raise ValueError("no IRNet has seen this film")
    return _correct(job, job.boundary)


def _correct(
    job: Job,
    boundary: NDArray[np.float32],
    steps: float = scribble.CORRECTING_STEPS,
    **settings: float,
) -> Callable[[NDArray[np.uint8], int, float], Mask]:
    draft = job.mask = draft_for(job)
    graph = scribble.Graph(boundary, steps=steps)
    return lambda strokes, side, depth: graph.correct(strokes, draft, **settings) >= 0.5


def walker(job: Job) -> Callable[[NDArray[np.uint8], int, float], Mask]:
    """Label by skimage's random walker; without a click outside, the rim is outside."""
    return _walk(job, np.zeros(job.truth.shape, np.int32))


def walker_on_draft(job: Job) -> Callable[[NDArray[np.uint8], int, float], Mask]:
    """Label by skimage's random walker what is near the draft's rim."""
    return _walk_near_rim(job, BAND)


def _walk_near_rim(
    job: Job, band: float
) -> Callable[[NDArray[np.uint8], int, float], Mask]:
    draft = job.mask = draft_for(job)
    sure = np.zeros(draft.shape, np.int32)
    for label, part in ((1, draft), (2, ~draft)):
        sure[ndimage.distance_transform_edt(part) > band] = label
    return _walk(job, sure)


def _walk(
    job: Job, sure: NDArray[np.int32]
) -> Callable[[NDArray[np.uint8], int, float], Mask]:
    """Label by the random walker from clicks and what is sure (1 in, 2 out)."""
    height, width = (-(-side * GRID // SIDE) for side in job.film.shape)
    small = ndimage.zoom(
        job.film,
        np.divide((height, width), job.film.shape),
        order=1,
        mode="nearest",
        grid_mode=True,
    )

    rows, columns = (
        (np.arange(count) * length // count)
        for count, length in zip((height, width), sure.shape, strict=True)
    )
    rows = rows[:, None]

    def answer(strokes: NDArray[np.uint8], side: int, depth: float) -> Mask:
        labels = sure[rows, columns]
        for value, label in ((scribble.OUTSIDE, 2), (scribble.INSIDE, 1)):
            for y, x in np.argwhere(strokes == value):
                labels[y * height // len(strokes), x * width // strokes.shape[1]] = (
                    label
                )
        if not (labels == 2).any():
            for rim in (np.s_[0], np.s_[-1], np.s_[:, 0], np.s_[:, -1]):
                labels[rim] = np.where(labels[rim] == 1, 1, 2)
        if not (labels == 1).any():
            return np.zeros_like(job.truth)
        chance = random_walker(
            small, labels, beta=130, mode="cg_j", return_full_prob=True
        )[0]
        factors = np.divide(job.truth.shape, chance.shape)
        full = ndimage.zoom(chance, factors, order=1, mode="nearest", grid_mode=True)
        return np.asarray(full >= 0.5)

    return answer


TOOLS: Mapping[str, Tool] = {
    "brush (discs)": brush,
    "random_walker": walker,
    "Grow, film's edges": grow,
    "Grow, IRNet's boundary": grow_learned,
    "brush on draft": brush_on_draft,
    "random_walker on draft": walker_on_draft,
    "Grow added to draft": add,
    "Grow on draft, edges": correct,
    "Grow on draft, IRNet": correct_learned,
}


def reached(ious: list[float], goal: float) -> int:
    """Return the clicks to a goal; `MOST` where it was not reached."""
    return next((n for n, value in enumerate(ious) if value >= goal), MOST)


def table(title: str, jobs: list[Job], tools: Mapping[str, Tool]) -> None:
    """Print the clicks of every tool that these films have what it needs for."""
    print(f"SIMULATION {title}: {len(jobs)} masks", flush=True)
    for name, tool in tools.items():
        started, runs, calls = time.process_time(), [], 0
        try:
            for job in jobs:
                job.mask = np.zeros_like(job.truth)
                runs.append(clicks(job, tool))
                calls += len(runs[-1]) - 1
        except ValueError:
            continue
        took = (time.process_time() - started) / max(calls, 1)
        low, high = means(runs)
        got = np.mean([max(one) >= GOALS[0] for one in runs])
        print(
            f"SIMULATION {title:<18} {name:<24} to 0.85: {low:5.2f}  "
            f"to 0.90: {high:5.2f}  reached 0.85: {got:.0%}  "
            f"first IoU {np.mean([one[0] for one in runs]):.2f}  "
            f"{1000 * took:.0f} ms of processor a click",
            flush=True,
        )


@dataclass(frozen=True)
class Setting:
    """What `scribble.Graph.correct` goes by."""

    steps: float = 64.0
    force: float = 2.0
    soft: float = 4.0
    least: float = 0.05

    def tool(self, job: Job) -> Callable[[NDArray[np.uint8], int, float], Mask]:
        """Correct the draft by the film's own edges."""
        edge, given = edges_of(job), asdict(self)
        return _correct(job, edge, **given)


def choose(jobs: list[Job]) -> None:
    """Print the clicks of settings of the correction: steps and force, then others."""
    title = f"SIMULATION choosing, {len(jobs)} hearts of train and val:"
    middle = [
        Setting(steps, force)
        for steps, force in itertools.product((16.0, 64.0, 256.0), (1.0, 2.0, 4.0))
    ]
    best = _best(title, middle, jobs)
    around = [
        replace(best, soft=soft, least=least)
        for soft, least in itertools.product((2.0, 4.0, 8.0), (0.02, 0.05, 0.1))
    ]
    print(title, "best:", _best(title, around, jobs))
    others: dict[str, Tool] = {
        f"random_walker, band {band}": partial(_walk_near_rim, band=band)
        for band in (4, 8, 16)
    }
    others |= {"brush on draft": brush_on_draft, "Grow added to draft": add}
    for name, tool in others.items():
        _tried(title, name, tool, jobs)


def _best(title: str, settings: list[Setting], jobs: list[Job]) -> Setting:
    tried = [_tried(title, str(one), one.tool, jobs) for one in settings]
    return settings[int(np.argmin(tried))]


def _tried(title: str, name: str, tool: Tool, jobs: list[Job]) -> float:
    """Return the clicks to both goals together, printed."""
    low, high = means([clicks(job, tool) for job in jobs])
    print(f"{title} {name:<58} to 0.85: {low:5.2f}  to 0.90: {high:5.2f}", flush=True)
    return low + high


def means(runs: list[list[float]]) -> tuple[float, float]:
    """Return the mean clicks to either goal."""
    low, high = (float(np.mean([reached(run, goal) for run in runs])) for goal in GOALS)
    return low, high


def times(job: Job) -> None:
    """Print what Grow and random_walker think of a stroke at 512, in processor time."""
    film, draft = (
        np.kron(one, np.ones((2, 2), one.dtype)) for one in (job.film, draft_for(job))
    )
    strokes = np.full(film.shape, scribble.NOTHING, np.uint8)
    edge = scribble.edges(film, stride=4)
    growing = scribble.Graph(edge)
    correcting = scribble.Graph(edge, steps=scribble.CORRECTING_STEPS)
    small = Job(job.film, job.truth, job.draft)
    walk, near = walker(small), walker_on_draft(small)
    took: dict[str, list[float]] = {}
    for place in range(12):
        y, x = (
            draft.shape[0] * (3 + place % 4) // 10,
            draft.shape[1] * (3 + place // 3) // 8,
        )
        strokes[y : y + 6, x : x + 24] = place % 2
        for name, think in {
            "Grow": lambda: growing.grow(strokes),
            "Grow on draft": lambda: correcting.correct(strokes, draft),
            "random_walker": lambda: walk(strokes[::2, ::2], 0, 0),
            "random_walker on draft": lambda: near(strokes[::2, ::2], 0, 0),
        }.items():
            started = time.process_time()
            think()
            took.setdefault(name, []).append(1000 * (time.process_time() - started))
    for name, every in took.items():
        print(
            f"SIMULATION a stroke at 512 x 512, grid of 128: {name:<24} median "
            f"{np.median(every):.0f}, longest {max(every):.0f} ms of processor"
        )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.grow_clicks",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("data", type=Path, help="the folder with wingspan in it")
    parser.add_argument("--films", type=int, default=16)
    parser.add_argument("-p", "--project", type=Path)
    parser.add_argument("--sets", default="", help="parts of names, by semicolons")
    parser.add_argument("--tools", default="", help="parts of names, by semicolons")
    parser.add_argument("--split", default="test", choices=("train", "val", "test"))
    parser.add_argument("--draft", default="anatomy", help="the stage it is taken from")
    parser.add_argument(
        "--choose", action="store_true", help="settings, on hearts of train and val"
    )
    options = parser.parse_args()
    data, films, project = options.data, options.films, options.project
    if not (data / "wingspan").is_dir():
        sys.exit(f"{data}: no folder wingspan in it")

    def organ(name: str, split: str, films: int) -> Iterator[Job]:
        return wingspan(data, name, films, split, project, options.draft)

    if options.choose:
        if project is None:
            sys.exit("--choose needs a project with drafts: -p PROJECT")
        half = (organ("heart", split, films // 2) for split in ("train", "val"))
        choose(list(itertools.chain(*half)))
        return
    tools = {
        name: tool
        for name, tool in TOOLS.items()
        if any(word in name for word in options.tools.split(";"))
    }
    sets: dict[str, Callable[[], Iterator[Job]]] = {
        "heart": lambda: organ("heart", options.split, films),
        "lung": lambda: organ("left_lung", options.split, films),
        "covid lesions": lambda: covid(data, LESIONS, films),
        "covid tubes": lambda: covid(data, TUBES, films),
        "nodule (phantom)": lambda: phantom(("nodule",), films),
        "pneumothorax (ph.)": lambda: phantom(("pneumothorax",), films),
        "tubes (ph.)": lambda: phantom_tubes(films),
    }
    for title, jobs in sets.items():
        if any(word in title for word in options.sets.split(";")):
            found = list(jobs())
            table(title, found, tools)
            if title == "heart" and found and found[0].draft is not None:
                times(found[0])


if __name__ == "__main__":
    main()

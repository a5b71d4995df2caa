"""Clicks until a mask is right, by tool: a simulation by a fixed policy, not readers.

    python -m benchmarks.grow_clicks ../shared/data [--films 16] [-p PROJECT]

The usual protocol: the next click goes where the error is deepest (the centre of the
largest disc that is all missing, or all too much), until IoU 0.85 and 0.90, 20 clicks
at most. Films are brought to 256 pixels on the longer side. A click of Grow and of
`skimage.segmentation.random_walker` (on Grow's own grid of 128, beta 130) is a dab of
half the disc's radius, 1 to 3 pixels; one of the brush paints or erases the whole disc.

With `-p`, a wingspan project on which ``wsseg infer anatomy`` has run, hearts and lungs
are also corrected from that draft, and, where IRNet has run, with its boundary.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage
from skimage.segmentation import random_walker

from napari_wsseg.io import stages
from napari_wsseg.io.project import Project
from napari_wsseg.ops import geometry, metrics, scribble
from napari_wsseg.phantom import generate
from napari_wsseg.schema import Mask

SIDE, GRID, MOST = 256, 128, 20
GOALS = (0.85, 0.90)
LEAST_AREA = 30
"""Smaller truths, in pixels of 256, are left out: a dab is as large."""

Film = NDArray[np.float32]
Tool = Callable[["Job"], Callable[[NDArray[np.uint8], int, float], Mask]]


@dataclass(eq=False)
class Job:
    """One film and finding to be drawn, with the drafts and boundary there are."""

    film: Film
    truth: Mask
    draft: Mask | None = None
    boundary: NDArray[np.float32] | None = None
    mask: Mask = field(init=False)

    def __post_init__(self) -> None:
        self.mask = np.zeros_like(self.truth)


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
            answer(strokes, side, depth)
            if tool is not brush
            else disc_on(job.mask, disc)
        )
        found.append(metrics.iou(job.mask, job.truth))
    return found


def deepest(mask: Mask, truth: Mask) -> tuple[float, tuple[int, int], int]:
    """Return depth, place and side of the largest disc that is all wrong."""
    best = (0.0, (0, 0), scribble.INSIDE)
    for side, wrong in (
        (scribble.INSIDE, truth & ~mask),
        (scribble.OUTSIDE, mask & ~truth),
    ):
        depth = ndimage.distance_transform_edt(np.pad(wrong, 1))[1:-1, 1:-1]
        place = np.unravel_index(int(depth.argmax()), depth.shape)
        if depth[place] > best[0]:
            best = float(depth[place]), (int(place[0]), int(place[1])), side
    return best


def disc_on(mask: Mask, disc: NDArray[np.uint8]) -> Mask:
    """Paint (1) or erase (0) a disc."""
    return np.where(disc == scribble.NOTHING, mask, disc == scribble.INSIDE)


def edges_of(job: Job) -> NDArray[np.float32]:
    """Return the film's own edges on Grow's grid."""
    return scribble.edges(job.film, stride=SIDE // GRID)


def brush(job: Job) -> Callable[[NDArray[np.uint8], int, float], Mask]:
    """Paint and erase discs; see `clicks`."""
    return lambda strokes, side, depth: job.mask


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
    job: Job, boundary: NDArray[np.float32]
) -> Callable[[NDArray[np.uint8], int, float], Mask]:
    if job.draft is None:
        raise ValueError("no draft of this film")
    draft = job.mask = job.draft
    graph = scribble.Graph(boundary, steps=scribble.CORRECTING_STEPS)
    return lambda strokes, side, depth: graph.correct(strokes, draft) >= 0.5


def walker(job: Job) -> Callable[[NDArray[np.uint8], int, float], Mask]:
    """Label by skimage's random walker; without a click outside, the rim is outside."""
    height, width = (-(-side * GRID // SIDE) for side in job.film.shape)
    small = ndimage.zoom(
        job.film,
        np.divide((height, width), job.film.shape),
        order=1,
        mode="nearest",
        grid_mode=True,
    )

    def answer(strokes: NDArray[np.uint8], side: int, depth: float) -> Mask:
        labels = np.zeros(small.shape, np.int32)
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
    "Grow on draft, edges": correct,
    "Grow on draft, IRNet": correct_learned,
}


def wingspan(data: Path, name: str, films: int, project: Path | None) -> Iterator[Job]:
    """Yield test films of wingspan with one of its organs."""
    if project is None:
        for path in sorted((data / "wingspan/anatomy" / name).glob("*.png"))[:films]:
            yield Job(_grey(data / "wingspan/images" / path.name), _mask(path))
        return
    with Project.open(project) as opened:
        irnet = opened.adopted("irnet")
        settings = stages.read_settings(project, "anatomy", "shipped")
        for case in opened.cases("test")[:films]:
            truth = _mask(data / "wingspan/anatomy" / name / Path(case.path).name)
            maps = stages.read(project, "anatomy", "shipped", case.id)
            draft = boundary = None
            if maps is not None and settings is not None:
                place = settings.findings.index(name)
                score = geometry.unletterbox(
                    maps.score[place], case.shape, grid=truth.shape
                )
                draft = score >= settings.thresholds[place]
            walked = irnet and stages.read(project, "irnet", irnet, case.id)
            if walked:
                boundary = np.asarray(walked.extra["boundary"][0], np.float32)
            film = opened.radiograph(case).pixels
            small = np.divide(truth.shape, film.shape)
            film = ndimage.zoom(film, small, order=1, mode="nearest", grid_mode=True)
            yield Job(np.asarray(film, np.float32), truth, draft, boundary)


LESIONS = ("consolidation", "ground_glass_opacities")
TUBES = ("central_venous_line", "endotracheal_tube", "nasogastric_tube")


def covid(data: Path, findings: Sequence[str], films: int) -> Iterator[Job]:
    """Yield masks of covid_lesions of the findings named."""
    folder, count = data / "covid_lesions", 0
    for path in sorted(folder.glob("masks/*/*.png")):
        if path.parent.name not in findings or count >= films:
            continue
        image = next(folder.glob(f"images/{path.stem}.*"), None)
        truth = _mask(path)
        if image is not None and truth.sum() >= LEAST_AREA:
            count += 1
            yield Job(_grey(image), truth)


def phantom(names: tuple[str, ...], films: int) -> Iterator[Job]:
    """Yield generated films with one of the findings named, which are synthetic."""
    count, seed = 0, 0
    while count < films and seed < 50 * films:
        made = generate(seed, size=SIDE, findings=names)
        seed += 1
        for name in names:
            truth = made.masks.get(name)
            if truth is not None and truth.sum() >= LEAST_AREA and count < films:
                count += 1
                yield Job(np.asarray(made.pixels, np.float32), np.asarray(truth, bool))


def _grey(path: Path) -> Film:
    with Image.open(path) as image:
        grey = image.convert("L")
        grey.thumbnail((SIDE, SIDE))
        return np.asarray(np.asarray(grey) / 255, np.float32)


def _mask(path: Path) -> Mask:
    with Image.open(path) as image:
        grey = image.convert("L")
        grey.thumbnail((SIDE, SIDE), Image.Resampling.NEAREST)
        return np.asarray(grey) > 0


def reached(ious: list[float], goal: float) -> int:
    """Return the clicks to a goal; `MOST` where it was not reached."""
    return next((n for n, value in enumerate(ious) if value >= goal), MOST)


def table(title: str, jobs: list[Job], tools: Mapping[str, Tool]) -> None:
    """Print the clicks of every tool that these films have what it needs for."""
    print(f"SIMULATION {title}: {len(jobs)} masks", flush=True)
    for name, tool in tools.items():
        started, runs, calls = time.perf_counter(), [], 0
        try:
            for job in jobs:
                job.mask = np.zeros_like(job.truth)
                runs.append(clicks(job, tool))
                calls += len(runs[-1]) - 1
        except ValueError:
            continue
        took = (time.perf_counter() - started) / max(calls, 1)
        means = [np.mean([reached(one, goal) for one in runs]) for goal in GOALS]
        got = np.mean([max(one) >= GOALS[0] for one in runs])
        print(
            f"SIMULATION {title:<18} {name:<24} to 0.85: {means[0]:5.2f}  "
            f"to 0.90: {means[1]:5.2f}  reached 0.85: {got:.0%}  "
            f"first IoU {np.mean([one[0] for one in runs]):.2f}  "
            f"{1000 * took:.0f} ms a click",
            flush=True,
        )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path, help="the folder with wingspan in it")
    parser.add_argument("--films", type=int, default=16)
    parser.add_argument("-p", "--project", type=Path)
    parser.add_argument("--sets", default="", help="parts of names, by semicolons")
    parser.add_argument("--tools", default="", help="parts of names, by semicolons")
    options = parser.parse_args()
    data, films = options.data, options.films
    if not (data / "wingspan").is_dir():
        sys.exit(f"{data}: no folder wingspan in it")
    tools = {
        name: tool
        for name, tool in TOOLS.items()
        if any(word in name for word in options.tools.split(";"))
    }
    sets: dict[str, Callable[[], Iterator[Job]]] = {
        "heart": lambda: wingspan(data, "heart", films, options.project),
        "lung": lambda: wingspan(data, "left_lung", films, options.project),
        "covid lesions": lambda: covid(data, LESIONS, films),
        "covid tubes": lambda: covid(data, TUBES, films),
        "nodule (phantom)": lambda: phantom(("nodule",), films),
        "pneumothorax (ph.)": lambda: phantom(("pneumothorax",), films),
    }
    for title, jobs in sets.items():
        if any(word in title for word in options.sets.split(";")):
            table(title, list(jobs()), tools)


if __name__ == "__main__":
    main()

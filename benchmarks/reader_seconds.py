"""Seconds, strokes and keys of a scripted reader: a SIMULATION, not people.

    python -m benchmarks.reader_seconds -p PROJECT --truth MASKS --finding NAME
    python -m benchmarks.reader_seconds -p PROJECT --truth MASKS --finding NAME \\
        --rounds RUN0,RUN8,RUN16,RUN32

`MASKS` is a folder of ``<film>.png``, non-zero = finding. A fixed policy reads films of
a split: look; in the arms ``draft`` and ``loop`` take the best stage by one key or,
where the truth says that another candidate is clearly better, that one (by key and its
number); then, where the error is largest, use the tool until IoU 0.85 or 40 strokes;
accept. Drafts of ``draft`` are those of the first run of `--rounds` (of the stages in
use without it), those of ``loop`` each run's in turn. It knows the truth, so it never
hesitates: the ratio of arms means something, the seconds themselves little.

The seconds are a model, of constants below. Every line of the output says so.
"""

from __future__ import annotations

import argparse
import csv
import random
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from benchmarks.grow_clicks.films import SIDE, deepest
from napari_wsseg.io import stages
from napari_wsseg.io.project import Project
from napari_wsseg.ops import geometry, metrics, scribble
from napari_wsseg.ops.bootstrap import interval
from napari_wsseg.schema import STAGES, Case, Mask
from napari_wsseg.session.drafts import Drafts

GOAL, MOST, GRID = 0.85, 40, 128

CONSTANTS: Mapping[str, tuple[float, str]] = {
    "key": (0.28, "keystroke, average user; Card, Moran & Newell 1983, KLM operator K"),
    "point": (1.10, "pointing with a mouse; same, operator P"),
    "button": (0.10, "press or release of a button; same, operator B"),
    "think": (1.35, "mental preparation before a step; same, operator M"),
    "draw_cm": (0.16, "a centimetre of a line drawn; same, operator D(n, l)"),
    "draw": (0.90, "beginning a line; same, operator D(n, l)"),
    "look": (5.0, "ASSUMED: first look at a film; the same in every arm"),
    "screen_cm": (22.0, "ASSUMED: how long the film's longer side is on the screen"),
}
"""Seconds (centimetres for the last), and where they are from."""


@dataclass(slots=True)
class Cost:
    """What one film took."""

    strokes: int = 0
    keys: int = 0
    length: float = 0.0
    iou: float = 0.0

    @property
    def seconds(self) -> float:
        """The model's seconds."""
        c = {name: value for name, (value, _) in CONSTANTS.items()}
        stroke = c["think"] + c["point"] + 2 * c["button"] + c["draw"]
        centimetres = self.length / SIDE * c["screen_cm"]
        return (
            c["look"]
            + self.keys * c["key"]
            + self.strokes * stroke
            + centimetres * c["draw_cm"]
            + c["think"]
        )

    @property
    def unedited(self) -> bool:
        """Whether no stroke was made."""
        return self.strokes == 0


@dataclass(frozen=True, eq=False)
class Film:
    """One film, its truth and the drafts of it by name, best guess first."""

    pixels: NDArray[np.float32]
    truth: Mask
    drafts: Mapping[str, Mask]


Tool = Callable[[Film, Mask], Callable[[Mask, NDArray[np.uint8], float, int], Mask]]


def read_film(film: Film, tool: Tool, *, drafts: bool) -> Cost:
    """Read one film by the policy and return what it took."""
    cost, mask = Cost(keys=1), np.zeros_like(film.truth)  # A: accept
    if drafts and film.drafts:
        mask = _picked(film, cost)
    answer = tool(film, mask)
    strokes = np.full(film.truth.shape, scribble.NOTHING, np.uint8)
    while (iou := metrics.iou(mask, film.truth)) < GOAL and cost.strokes < MOST:
        depth, place, side = deepest(mask, film.truth)
        mask = answer(mask, _dab(strokes, place, depth, side), depth, side)
        cost.strokes += 1
        cost.length += 2 * depth
        cost.keys += int(
            tool is grown
        )  # Enter takes the proposal, at most once a stroke
    cost.iou = iou
    return cost


def _picked(film: Film, cost: Cost) -> Mask:
    """Take the first draft by one key, or a better one of the strip by two."""
    values = [metrics.iou(one, film.truth) for one in film.drafts.values()]
    masks = list(film.drafts.values())[:6]
    best = int(np.argmax(values[:6]))
    # Worth a look at the strip only where it saves about a stroke.
    if values[best] < values[0] + 0.1:
        best = 0
    cost.keys += 1 if best == 0 else 2
    return masks[best]


def painted(
    film: Film, start: Mask
) -> Callable[[Mask, NDArray[np.uint8], float, int], Mask]:
    """Paint or erase the largest disc that is all wrong, with a brush as large."""

    def answer(mask: Mask, strokes: NDArray[np.uint8], depth: float, side: int) -> Mask:
        wrong = film.truth & ~mask if side == scribble.INSIDE else mask & ~film.truth
        inside = ndimage.distance_transform_edt(np.pad(wrong, 1))[1:-1, 1:-1]
        y, x = np.unravel_index(int(inside.argmax()), inside.shape)
        rows, columns = np.ogrid[: mask.shape[0], : mask.shape[1]]
        disc = (rows - y) ** 2 + (columns - x) ** 2 <= depth**2
        kept = mask | disc if side == scribble.INSIDE else mask & ~disc
        return np.asarray(kept, bool)

    return answer


def grown(
    film: Film, start: Mask
) -> Callable[[Mask, NDArray[np.uint8], float, int], Mask]:
    """Grow: on a draft its strokes correct it, else they grow from nothing."""
    boundary = scribble.edges(film.pixels, stride=max(1, SIDE // GRID))
    if start.any():
        near = scribble.Graph(boundary, steps=scribble.CORRECTING_STEPS)
        return lambda mask, strokes, depth, side: near.correct(strokes, start) >= 0.5
    graph = scribble.Graph(boundary)
    return lambda mask, strokes, depth, side: graph.grow(strokes) >= 0.5


TOOLS: Mapping[str, Tool] = {"brush": painted, "grow": grown}


def _dab(
    strokes: NDArray[np.uint8], place: tuple[int, int], depth: float, side: int
) -> NDArray[np.uint8]:
    rows, columns = np.ogrid[: strokes.shape[0], : strokes.shape[1]]
    far = (rows - place[0]) ** 2 + (columns - place[1]) ** 2
    strokes[far <= min(max(depth / 2, 1.0), 3.0) ** 2] = side
    return strokes


# What is read -----------------------------------------------------------------------


def films(
    project: Project,
    cases: Iterable[Case],
    truth: Path,
    finding: str,
    runs: Mapping[str, str],
) -> list[Film]:
    """Read films with their truth and the drafts of some runs, at `SIDE` pixels."""
    found = []
    for case in cases:
        mask = _mask(truth / f"{Path(case.path).stem}.png")
        if mask is None or not mask.any():
            continue
        pixels = project.radiograph(case).pixels
        small = ndimage.zoom(
            pixels,
            np.divide(mask.shape, pixels.shape),
            order=1,
            mode="nearest",
            grid_mode=True,
        )
        drafts = dict(_drafts(project, case, finding, runs, (*mask.shape,)))
        found.append(Film(np.asarray(small, np.float32), mask, drafts))
    return found


def _drafts(
    project: Project,
    case: Case,
    finding: str,
    runs: Mapping[str, str],
    shape: tuple[int, int],
) -> Iterable[tuple[str, Mask]]:
    for stage in reversed(STAGES):
        if stage not in runs:
            continue
        maps = stages.read(project.folder, stage, runs[stage], case.id)
        settings = stages.read_settings(project.folder, stage, runs[stage])
        if maps is None or settings is None or finding not in settings.findings:
            continue
        own = Drafts(settings.findings, {stage: settings})
        draft = own.draft(maps, stage, finding, shape, case.labels)
        if draft.any():
            yield stage, draft
    anatomy = stages.read(project.folder, "anatomy", "shipped", case.id)
    named = stages.read_settings(project.folder, "anatomy", "shipped")
    organ = {"cardiomegaly": "heart"}.get(finding, finding)
    if anatomy is not None and named is not None and organ in named.findings:
        place = named.findings.index(organ)
        score = geometry.unletterbox(anatomy.score[place], case.shape, grid=shape)
        yield "anatomy", score >= named.thresholds[place]


def _mask(path: Path) -> Mask | None:
    if not path.is_file():
        return None
    with Image.open(path) as image:
        grey = image.convert("L")
        grey.thumbnail((SIDE, SIDE), Image.Resampling.NEAREST)
        return np.asarray(grey) > 0


# What is told -----------------------------------------------------------------------


def say(*parts: object) -> None:
    """Print a line that says what it is."""
    print("SIMULATION", *parts, flush=True)


def report(arm: str, tool: str, round_: str, costs: Sequence[Cost]) -> float:
    """Print one row; return its median seconds."""
    seconds = np.array([one.seconds for one in costs])
    rng = np.random.default_rng(0)
    places = rng.integers(0, len(seconds), (2000, len(seconds)))
    low, high = interval(np.median(seconds[places], axis=1)) or (np.nan, np.nan)
    first, third = np.percentile(seconds, [25, 75])
    median = float(np.median(seconds))
    say(
        f"{arm:<6} {tool:<6} round {round_:<8} films {len(costs):3d}",
        f"model s {median:6.1f} [{low:.1f}, {high:.1f}]",
        f"quartiles {first:.1f} to {third:.1f}",
        f"strokes {np.median([one.strokes for one in costs]):4.1f}",
        f"keys {np.median([one.keys for one in costs]):3.1f}",
        f"as offered {np.mean([one.unedited for one in costs]):4.0%}",
        f"at the goal {np.mean([one.iou >= GOAL for one in costs]):4.0%}",
    )
    return median


def main() -> None:
    """Compare blank, draft and loop, by tool and round."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("-p", "--project", type=Path, required=True)
    parser.add_argument("--truth", type=Path, required=True)
    parser.add_argument("--finding", required=True)
    parser.add_argument("--split", default="test")
    parser.add_argument("--films", type=int, default=0, help="at most; 0: all")
    parser.add_argument("--tools", default="brush,grow")
    parser.add_argument("--rounds", default="", help="segmentation runs, by commas")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("-o", "--out", type=Path, help="a CSV row a film")
    options = parser.parse_args()
    if not options.truth.is_dir():
        sys.exit(f"{options.truth}: not a folder of masks")
    unknown = set(options.tools.split(",")) - set(TOOLS)
    if unknown:
        sys.exit(f"no tool {', '.join(sorted(unknown))}; there are: {', '.join(TOOLS)}")
    rows: list[list[object]] = []
    for name, (value, source) in CONSTANTS.items():
        say(f"constant {name} = {value}: {source}")
    with Project.open(options.project) as project:
        cases = project.cases(options.split)
        random.Random(options.seed).shuffle(cases)
        cases = cases[: options.films or None]
        rounds = [run for run in options.rounds.split(",") if run]
        in_use = project.runs_in_use()
        shown = [
            ("blank", "-", in_use),
            ("draft", "0", in_use | ({"segmentation": rounds[0]} if rounds else {})),
            *(
                ("loop", str(number), in_use | {"segmentation": run})
                for number, run in enumerate(rounds)
            ),
        ]
        for tool in options.tools.split(","):
            blank = 0.0
            for arm, number, runs in shown:
                read = films(project, cases, options.truth, options.finding, runs)
                if not read:
                    sys.exit(f"no film of {options.split} has a mask in that folder")
                costs = [
                    read_film(film, TOOLS[tool], drafts=arm != "blank") for film in read
                ]
                median = report(arm, tool, number, costs)
                blank = blank or median
                say(f"       {arm} is {median / blank:.0%} of blank, {tool}")
                rows += [
                    ["simulation", arm, tool, number, f"{c.seconds:.1f}", c.strokes]
                    for c in costs
                ]
    if options.out:
        with options.out.open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(
                ["kind", "arm", "tool", "round", "model_seconds", "strokes"]
            )
            writer.writerows(rows)


if __name__ == "__main__":
    main()

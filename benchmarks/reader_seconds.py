"""Seconds, strokes and keys of a scripted reader: a SIMULATION, not people.

    python -m benchmarks.reader_seconds -p PROJECT --truth MASKS --finding NAME
    python -m benchmarks.reader_seconds -p PROJECT --truth MASKS --finding NAME \\
        --rounds RUN0,RUN8,RUN16,RUN32
    python -m benchmarks.reader_seconds -p PROJECT --truth MASKS --finding NAME \\
        --rounds 8,16,32 --orders random,outline --seeds 0,1,2 [--set epochs=10]

`MASKS` is a folder of ``<film>.png``, non-zero = finding. A fixed policy reads films of
a split: look; in the arms ``draft`` and ``loop`` take the best stage by one key or,
where the truth says that another candidate is clearly better, that one (by key and its
number); then, where the error is largest, use the tool until IoU 0.85 or 40 strokes;
accept. Drafts of ``draft`` are those of the first run of `--rounds` (of the stages in
use without it), those of ``loop`` each run's in turn. It knows the truth, so it never
hesitates: the ratio of arms means something, the seconds themselves little.

With numbers, `--rounds` trains: in a copy of the project, films of train that no one
has read come in each of `--orders` (see `napari_wsseg.pipeline.film_orders`), are read
by the same policy with the draft in use, and after 8, 16 and 32 of them ``wsseg train
chexseg`` learns from what was accepted; then the films of `--split` are read in the arm
``loop``. Beside their cost stand the mean IoU of the first draft offered, and the
model's seconds spent on films of train so far.

The seconds are a model, of constants below. Every line of the output says so.
"""

from __future__ import annotations

import argparse
import csv
import random
import shutil
import subprocess
import sys
import tempfile
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
from napari_wsseg.ops import geometry, masks, metrics, scribble
from napari_wsseg.ops.bootstrap import interval
from napari_wsseg.pipeline import film_orders
from napari_wsseg.schema import STAGES, Case, Mask
from napari_wsseg.session.drafts import Drafts

GOAL, MOST, GRID = 0.85, 40, 128

LEVEL = 0.70
"""Mean IoU of drafts on the split that is asked for in the table of orders."""

READER = "scripted reader"

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
    mask: Mask | None = None

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
    cost.iou, cost.mask = iou, mask
    return cost


def _picked(film: Film, cost: Cost) -> Mask:
    """Take the first draft by one key, or a better one of the strip by two."""
    values = [metrics.iou(one, film.truth) for one in film.drafts.values()]
    candidates = list(film.drafts.values())[:6]
    best = int(np.argmax(values[:6]))
    # Worth a look at the strip only where it saves about a stroke.
    if values[best] < values[0] + 0.1:
        best = 0
    cost.keys += 1 if best == 0 else 2
    return candidates[best]


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


# Rounds of training -----------------------------------------------------------------


@dataclass(frozen=True)
class Round:
    """Films of train read so far, the drafts' mean IoU, the model's seconds spent."""

    films: int
    iou: float
    seconds: float


@dataclass(frozen=True)
class Plan:
    """What all rounds of one order and seed have in common."""

    options: argparse.Namespace
    order: str
    seed: int
    rounds: Sequence[int]
    tool: str

    def read_test(self, folder: Path, number: int, spent: float) -> float:
        """Read the films of the split in the arm loop; return the drafts' mean IoU."""
        options = self.options
        with Project.open(folder) as project:
            read = _some_films(project, options, project.runs_in_use())
        costs = [read_film(film, TOOLS[self.tool], drafts=True) for film in read]
        report("loop", self.tool, f"{number} {self.order} seed {self.seed}", costs)
        iou = float(np.mean([_first_iou(film) for film in read]))
        say(
            f"       order {self.order} seed {self.seed} films read {number}",
            f"draft IoU {iou:.3f} reader's seconds so far {spent:.0f}",
        )
        return iou

    def read_train(self, folder: Path, wanted: int) -> float:
        """Read the next films of train and accept them; return the model's seconds."""
        options, spent = self.options, 0.0
        with Project.open(folder, write=True) as project:
            waiting = film_orders.unread(project)
            ranked = film_orders.ranked(
                project, self.order, case_ids=waiting, seed=self.seed
            )
            runs = project.runs_in_use()
            for case in (project.case(one) for one in ranked[:wanted]):
                read = films(project, [case], options.truth, options.finding, runs)
                cost = (
                    read_film(read[0], TOOLS[self.tool], drafts=True)
                    if read
                    else Cost(keys=1)
                )
                _accept(project, case, options.finding, cost)
                spent += cost.seconds
        return spent


def run_rounds(plan: Plan, scratch: Path) -> list[Round]:
    """Read films of train and train again, round after round, in a copy."""
    folder = scratch / f"{plan.order}-{plan.seed}"
    locks = shutil.ignore_patterns("*lock")
    shutil.copytree(plan.options.project, folder, ignore=locks)
    found, done, spent = [Round(0, plan.read_test(folder, 0, 0.0), 0.0)], 0, 0.0
    for number in plan.rounds:
        spent += plan.read_train(folder, number - done)
        done = number
        train(folder, plan)
        found.append(Round(number, plan.read_test(folder, number, spent), spent))
    shutil.rmtree(folder)
    return found


def train(folder: Path, plan: Plan) -> None:
    """Run ``wsseg train chexseg``, which also computes the new maps and uses them."""
    settings = [f"seed={plan.seed}", *plan.options.set]
    arguments = ["train", "chexseg", "-p", str(folder), "--json", "--set", *settings]
    made = subprocess.run(
        [sys.executable, "-m", "napari_wsseg.cli", *arguments],
        capture_output=True,
        text=True,
        check=False,
    )
    if made.returncode:
        sys.exit(f"wsseg {' '.join(arguments)}:\n{made.stderr[-2000:]}")


def report_rounds(found: Mapping[str, Sequence[Sequence[Round]]]) -> None:
    """Print the table of orders: the drafts by round, and who reached `LEVEL`."""
    for order, seeds in found.items():
        for each in zip(*seeds, strict=True):
            values = [one.iou for one in each]
            say(
                f"order {order:<13} films read {each[0].films:3d} seeds {len(values)}",
                f"draft IoU mean {np.mean(values):.3f}",
                f"lowest {min(values):.3f} highest {max(values):.3f}",
            )
        for place, rounds in enumerate(seeds):
            first = next((one for one in rounds if one.iou >= LEVEL), None)
            say(
                f"order {order:<13} seed number {place}: draft IoU {LEVEL:.2f}",
                f"after {first.films} films, {first.seconds:.0f} model seconds"
                if first
                else "not reached",
            )


def _accept(project: Project, case: Case, finding: str, cost: Cost) -> None:
    small = np.zeros((1, 1), bool) if cost.mask is None else cost.mask
    mask = masks.nearest(small, case.shape)
    project.put_mask(case.id, finding, mask, reader=READER, tool="brush")
    project.work_log.enter(
        case.id, finding, reader=READER, seconds=cost.seconds, gestures={}, arm="loop"
    )
    project.decide(case.id, "accept", reader=READER, seconds=cost.seconds)


def _first_iou(film: Film) -> float:
    first = next(iter(film.drafts.values()), None)
    return 0.0 if first is None else metrics.iou(first, film.truth)


def _some_films(
    project: Project, options: argparse.Namespace, runs: Mapping[str, str]
) -> list[Film]:
    """Read films of the split that have a mask, as many as are asked for."""
    cases = project.cases(options.split)
    random.Random(options.seed).shuffle(cases)
    cases = cases[: options.films or None]
    read = films(project, cases, options.truth, options.finding, runs)
    if not read:
        sys.exit(f"no film of {options.split} has a mask in that folder")
    return read


def learn(options: argparse.Namespace, rounds: Sequence[int]) -> None:
    """Make the table of orders and seeds."""
    orders, seeds = options.orders.split(","), options.seeds.split(",")
    unknown = set(orders) - set(film_orders.ORDERS)
    if unknown:
        there = ", ".join(film_orders.ORDERS)
        sys.exit(f"no order {', '.join(sorted(unknown))}; there are: {there}")
    found: dict[str, list[list[Round]]] = {}
    with tempfile.TemporaryDirectory(dir=options.scratch) as scratch:
        for order in orders:
            for seed in seeds:
                tool = options.tools.split(",")[0]
                plan = Plan(options, order, int(seed), rounds, tool)
                found.setdefault(order, []).append(run_rounds(plan, Path(scratch)))
    report_rounds(found)


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
    parser.add_argument(
        "--rounds",
        default="",
        help="segmentation runs by commas, or numbers of films after which to train",
    )
    parser.add_argument(
        "--orders", default="random", help="orders of films to read, by commas"
    )
    parser.add_argument("--seeds", default="0", help="of orders and trainings")
    parser.add_argument(
        "--set", nargs="+", action="extend", default=[], metavar="key=value"
    )
    parser.add_argument("--scratch", type=Path, help="where copies of the project go")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("-o", "--out", type=Path, help="a CSV row a film")
    options = parser.parse_args()
    if not options.truth.is_dir():
        sys.exit(f"{options.truth}: not a folder of masks")
    unknown = set(options.tools.split(",")) - set(TOOLS)
    if unknown:
        sys.exit(f"no tool {', '.join(sorted(unknown))}; there are: {', '.join(TOOLS)}")
    for name, (value, source) in CONSTANTS.items():
        say(f"constant {name} = {value}: {source}")
    names = [run for run in options.rounds.split(",") if run]
    if names and all(name.isdecimal() for name in names):
        learn(options, [int(name) for name in names])
        return
    rows: list[list[object]] = []
    with Project.open(options.project) as project:
        in_use = project.runs_in_use()
        shown = [
            ("blank", "-", in_use),
            ("draft", "0", in_use | ({"segmentation": names[0]} if names else {})),
            *(
                ("loop", str(number), in_use | {"segmentation": run})
                for number, run in enumerate(names)
            ),
        ]
        for tool in options.tools.split(","):
            blank = 0.0
            for arm, number, runs in shown:
                read = _some_films(project, options, runs)
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

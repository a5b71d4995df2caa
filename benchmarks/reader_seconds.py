"""Seconds, strokes and keys of a scripted reader: a SIMULATION, not people.

    python -m benchmarks.reader_seconds -p PROJECT --truth MASKS --finding NAME
    python -m benchmarks.reader_seconds -p PROJECT --truth MASKS --finding NAME \\
        --rounds 8,16,32 --orders random,outline --seeds 0,1,2 --table rounds.csv \\
        [--set epochs=10]

`MASKS` is a folder of ``<film>.png``, non-zero = finding; with several findings, by
commas, a folder of such folders. A fixed policy reads films of a split: look; in the
arms ``draft`` and ``loop`` begin with the stage on screen, or, where the truth says
that another candidate is clearly better, with that one (Shift C and its number), or
with nothing where that is quicker; then, where the error is largest, use the tool until
IoU 0.85 or 40 strokes; accept. It knows the truth, so it never hesitates: the ratio of
arms means something, the seconds themselves little. Sizes of the brush cost it nothing,
which flatters the brush.

With `--rounds`, in a copy of the project films of train that no one has read come in
each of `--orders` (see `napari_wsseg.pipeline.film_orders`), are read by the same
policy with the draft in use, and after 8, 16 and 32 of them ``wsseg train chexseg``
learns from what was accepted; then the films of `--split` are read in the arm
``loop``. Masks that readers made of films of train beforehand would be learnt, too:
begin with a project that has none. Films are ranked anew in every round, by the maps
learnt in the round before; with `--at-once` all are chosen in the beginning, and the
order is called so in the table. With ``--teach learn`` the segmenter in use goes
on learning instead (``wsseg learn --once``). Rows are added to `--table`, and what
stands there is not made again, so that a long table can be made in pieces.

The seconds are a model, of constants below. Every line of the output says so.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterable, Sequence
from itertools import groupby
from pathlib import Path

import numpy as np

from benchmarks.scripted_reader.reading import CHEAPEST, CONSTANTS, TOOLS
from benchmarks.scripted_reader.rounds import Plan, Row, rows, run
from napari_wsseg.pipeline import film_orders

LEVEL = 0.70
"""Mean IoU of first drafts on the split that is asked for in the table of orders."""


def say(*parts: object) -> None:
    """Print a line that says what it is."""
    print("SIMULATION", *parts, flush=True)


def report(found: Sequence[Row]) -> None:
    """Print a row an arm and round, beside the blank one of its order and seed."""
    for _, group in groupby(found, lambda row: (row.order, row.seed, row.tool)):
        every = list(group)
        blank = next((row for row in every if row.arm == "blank"), None)
        for row in every:
            say(_line(row), *_beside(row, blank))


def _line(row: Row) -> str:
    return (
        f"{row.tool:<5} {row.order:<20} seed {row.seed} {row.arm:<5} films "
        f"{row.films:2d} masks {row.masks:3d} s {row.seconds:5.1f} "
        f"[{row.first:.1f} to {row.third:.1f}] strokes {row.strokes:4.1f} keys "
        f"{row.keys:3.1f} as offered {row.unedited:4.0%} at the goal "
        f"{row.at_goal:4.0%} first draft {row.iou:.3f}"
    )


def _beside(row: Row, blank: Row | None) -> Iterable[str]:
    if blank is not None and row is not blank:
        yield f"of blank {row.seconds / blank.seconds:.0%}"
        yield f"after the look {row.hands / blank.hands:.0%}"


def report_orders(found: Sequence[Row]) -> None:
    """Print the table of orders: first drafts by round, and when `LEVEL` was reached.

    Means over seeds, with the lowest and the highest.
    """
    # Without a film read, a draft is the project's own and no merit of an order.
    learnt = [row for row in found if row.arm == "loop"]
    for order in dict.fromkeys(row.order for row in learnt):
        own = [row for row in learnt if row.order == order]
        for films in sorted({row.films for row in own}):
            ious = [row.iou for row in own if row.films == films]
            say(
                f"order {order:<20} films {films:2d} seeds {len(ious)} first draft",
                f"{np.mean(ious):.3f} [{min(ious):.3f} to {max(ious):.3f}]",
            )
        for seed in sorted({row.seed for row in own}):
            reached = [row for row in own if row.seed == seed and row.iou >= LEVEL]
            first = min(reached, key=lambda row: row.films, default=None)
            say(
                f"order {order:<20} seed {seed}: {LEVEL:.2f}",
                f"after {first.films} films, {first.spent:.0f} s"
                if first
                else "not reached",
            )


def main() -> None:
    """Compare blank, draft and loop, by tool and round."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("-p", "--project", type=Path, required=True)
    parser.add_argument("--truth", type=Path, required=True)
    parser.add_argument("--finding", required=True, help="one, or several by commas")
    parser.add_argument("--split", default="test")
    parser.add_argument("--films", type=int, default=0, help="at most; 0: all")
    parser.add_argument("--tools", default="brush,grow")
    parser.add_argument(
        "--rounds", default="", help="films after which to train, by commas"
    )
    parser.add_argument(
        "--orders", default="random", help="orders of films to read, by commas"
    )
    parser.add_argument(
        "--at-once", action="store_true", help="choose the films of all rounds first"
    )
    parser.add_argument(
        "--teach",
        choices=("chexseg", "learn"),
        default="chexseg",
        help="what learns from films read: a training anew, or wsseg learn --once",
    )
    parser.add_argument("--seeds", default="0", help="of orders and trainings")
    parser.add_argument(
        "--set", nargs="+", action="extend", default=[], metavar="key=value"
    )
    parser.add_argument("--scratch", type=Path, help="where copies of the project go")
    parser.add_argument("--table", type=Path, help="a CSV row an arm and round")
    options = parser.parse_args()
    if not options.truth.is_dir():
        sys.exit(f"{options.truth}: not a folder of masks")
    tools = _known("tool", options.tools, TOOLS)
    orders = _known("order", options.orders, film_orders.ORDERS)
    for name, (value, source) in CONSTANTS.items():
        say(f"constant {name} = {value}: {source}")
    say(f"a look, a thought and one key take {CHEAPEST.seconds:.1f} s in every arm")
    rounds = [int(number) for number in options.rounds.split(",") if number]
    with tempfile.TemporaryDirectory(dir=options.scratch) as scratch:
        table = options.table or Path(scratch) / "rounds.csv"
        for tool in tools:
            # A seed of every order first: a table that is cut short compares, too.
            for seed in options.seeds.split(","):
                for order in orders:
                    plan = Plan(
                        project=options.project,
                        truth=options.truth,
                        findings=tuple(options.finding.split(",")),
                        split=options.split,
                        most=options.films,
                        settings=tuple(options.set),
                        tool=tool,
                        order=order,
                        seed=int(seed),
                        at_once=options.at_once,
                        teach=options.teach,
                    )
                    run(plan, rounds, Path(scratch), table)
        found = rows(table)
    report(found)
    if rounds:
        report_orders(found)


def _known(kind: str, given: str, there: Iterable[str]) -> list[str]:
    names = given.split(",")
    if unknown := set(names) - set(there):
        sys.exit(
            f"no {kind} {', '.join(sorted(unknown))}; there are: {', '.join(there)}"
        )
    return names


if __name__ == "__main__":
    main()

"""``wsseg next``: which films to read next, or to look at again."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING

import numpy as np

from napari_wsseg.cli import _output, add_json, add_project, number_of_films
from napari_wsseg.schema import SPLITS

if TYPE_CHECKING:
    from napari_wsseg.pipeline.look_again import Learned


def add(command: argparse.ArgumentParser) -> None:
    """Fill in the command's parser."""
    from napari_wsseg.pipeline.film_orders import DEFAULT, ORDERS

    add_project(command)
    add_json(command)
    orders = "; ".join(f"{name}: {what}" for name, what in ORDERS.items())
    command.add_argument(
        "--order",
        choices=tuple(ORDERS),
        default=DEFAULT,
        help=f"{orders} (%(default)s)",
    )
    command.add_argument(
        "--again",
        action="store_true",
        help="accepted masks to look at again instead, the least likely first",
    )
    command.add_argument(
        "-n", "--number", type=number_of_films, default=16, help="films (%(default)s)"
    )
    command.add_argument(
        "--split",
        choices=(*SPLITS, "all"),
        help="of which split (train; with --again: all)",
    )
    command.add_argument(
        "--seed", type=_at_least_zero, default=0, help="of all chance (%(default)s)"
    )


def run(arguments: argparse.Namespace) -> int:
    """Name films on which nobody has a final verdict, the one to read first on top."""
    from napari_wsseg.io.project import Project
    from napari_wsseg.pipeline import film_orders

    if arguments.again:
        return _again(arguments)
    order = arguments.order
    with Project.open(arguments.project) as project:
        named = arguments.split or "train"
        split = None if named == "all" else named
        waiting = film_orders.unread(project, split)
        found = film_orders.ranked(
            project, order, case_ids=waiting, seed=arguments.seed
        )[: arguments.number]
        cases = project.some_cases(found)
        chance = film_orders.by_chance_because(project, order)
    films = [cases[one] for one in found]
    if chance:
        _output.person(f"{chance}.")
    if not films:
        _output.person(f"no film waits for a verdict (split: {named}).")
    elif not arguments.json:
        rows = [[n, c.name, _labelled(c.labels)] for n, c in enumerate(films, 1)]
        _output.person(_output.table([("next", "film", "labelled with"), *rows]))
    if arguments.json:
        _output.program(
            {
                "order": order,
                "by_chance": bool(chance) or order == film_orders.DEFAULT,
                "n_waiting": len(waiting),
                "films": [{"case": one.id, "film": one.name} for one in films],
            }
        )
    return 0


def _again(arguments: argparse.Namespace) -> int:
    """Name accepted masks, the least likely under the last stage on top."""
    from napari_wsseg.io.project import Project
    from napari_wsseg.pipeline import look_again

    with Project.open(arguments.project) as project:
        named = arguments.split or "all"
        ids = set(project.case_ids(None if named == "all" else named))
        ranked, learned = look_again.look(project)
        every = [one for one in ranked if one.case in ids]
        found = every[: arguments.number]
        cases = project.some_cases([one.case for one in found])
    rows = [
        {
            **{"case": one.case, "film": cases[one.case].name},
            **{"finding": one.finding, "stage": one.stage},
            **{"quality": round(one.quality, 3), "dice": round(one.dice, 3)},
            "expected_dice": None if one.expected is None else round(one.expected, 3),
        }
        for one in found
    ]
    rule = look_again.LEARNED_RULE if learned.helps else look_again.RULE
    if arguments.json:
        figures = {
            name: None if np.isnan(value) else round(float(value), 4)
            for name, value in asdict(learned).items()
        }
        figures["used"] = learned.helps
        _output.program(
            {"rule": rule, "learned": figures, "n": len(every), "masks": rows}
        )
    elif not rows:
        _output.person("no film was accepted that a stage in use has seen.")
    else:
        heads = ("film", "finding", "quality", "Dice to the draft", "expected", "stage")
        keys = ("film", "finding", "quality", "dice", "expected_dice", "stage")
        _output.person(
            _output.table([heads, *([_cell(r[k]) for k in keys] for r in rows)])
        )
        _output.person(rule)
        _output.person(_learned_line(learned))
    return 0


def _cell(value: object) -> object:
    return "-" if value is None else value


def _learned_line(learned: Learned) -> str:
    """Say how far the Dice to expect was learnt."""
    from napari_wsseg.pipeline.look_again import ENOUGH

    if learned.pairs < ENOUGH:
        return (
            f"The Dice to expect is learnt from {ENOUGH} masks with a draft on; there "
            f"are {learned.pairs}."
        )
    errors = f"{learned.error:.3f}, their mean {learned.plain_error:.3f}"
    return (
        f"Learnt from {learned.pairs} masks, each told by the others: the Dice "
        f"expected is off by {errors}, so it is {'' if learned.helps else 'not '}used."
    )


def _labelled(labels: Mapping[str, int | None]) -> str:
    return ", ".join(name for name, label in labels.items() if label == 1) or "-"


def _at_least_zero(text: str) -> int:
    if not (text.isascii() and text.isdecimal()):
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number, from 0 on")
    return int(text)

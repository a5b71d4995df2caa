"""``wsseg next``: which films to read next."""

from __future__ import annotations

import argparse
from collections.abc import Mapping

from napari_wsseg.cli import _output, add_json, add_project
from napari_wsseg.schema import SPLITS


def add(command: argparse.ArgumentParser) -> None:
    """Fill in the command's parser."""
    from napari_wsseg.pipeline.film_orders import DEFAULT, ORDERS

    add_project(command)
    add_json(command)
    words = "; ".join(f"{name}: {what}" for name, what in ORDERS.items())
    command.add_argument(
        "--order", choices=tuple(ORDERS), default=DEFAULT, help=f"{words} (%(default)s)"
    )
    command.add_argument(
        "-n", "--number", type=_at_least_one, default=16, help="films (%(default)s)"
    )
    command.add_argument(
        "--split",
        choices=(*SPLITS, "all"),
        default="train",
        help="of which split (%(default)s)",
    )
    command.add_argument(
        "--seed", type=int, default=0, help="of all chance (%(default)s)"
    )


def run(arguments: argparse.Namespace) -> int:
    """Name films on which nobody has a final verdict, the one to read first on top."""
    from napari_wsseg.io.project import Project
    from napari_wsseg.pipeline import film_orders

    order = arguments.order
    with Project.open(arguments.project) as project:
        split = None if arguments.split == "all" else arguments.split
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
        _output.person(f"no film of {arguments.split} waits for a verdict.")
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


def _labelled(labels: Mapping[str, int | None]) -> str:
    return ", ".join(name for name, label in labels.items() if label == 1) or "-"


def _at_least_one(text: str) -> int:
    number = int(text) if text.isdecimal() else 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of films, from 1 on")
    return number

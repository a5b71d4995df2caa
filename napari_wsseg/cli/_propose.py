"""``wsseg propose``: a promptable model of somebody else draws a mask for clicks."""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path

from napari_wsseg.cli import _output, add_json, add_project
from napari_wsseg.jobs import DataError, UsageError


def add(command: argparse.ArgumentParser) -> None:
    """Fill in the command's parser."""
    command.add_argument("film", help="the film's path in the project, or its case id")
    add_project(command)
    command.add_argument(
        "--guest",
        required=True,
        metavar="COMMAND",
        help="the model's program, which speaks the protocol of docs/guests.md",
    )
    command.add_argument("--finding", required=True, help="what is to be drawn")
    command.add_argument(
        "--point",
        action="append",
        default=[],
        metavar="X,Y[,0]",
        help="a click in pixels of the film; with ,0 the finding is not there",
    )
    command.add_argument(
        "--box", action="append", default=[], metavar="X0,Y0,X1,Y1", help="a box"
    )
    command.add_argument(
        "--seconds", type=float, default=60.0, help="how long it may take; default 60"
    )
    command.add_argument(
        "-o", "--out", type=Path, required=True, metavar="PNG", help="the mask's file"
    )
    add_json(command)


def run(arguments: argparse.Namespace) -> int:
    """Ask the guest; write what it proposes, which no project holds yet."""
    from napari_wsseg.export.exporting.film_png import png
    from napari_wsseg.io import atomic
    from napari_wsseg.io.project import Project
    from napari_wsseg.pipeline.guest import Guest, Prompt

    prompt = Prompt(
        arguments.finding,
        tuple(_point(word) for word in arguments.point),
        tuple(_box(word) for word in arguments.box),
    )
    if not prompt.points and not prompt.boxes:
        raise UsageError("show it something with --point or --box")
    with Project.open(arguments.project) as project:
        if arguments.finding not in {one.name for one in project.findings}:
            raise UsageError(f"{arguments.finding!r} is no finding of this project")
        named = (arguments.film, Path(arguments.film).as_posix())
        films = [one for one in project.cases() if one.id in named or one.path in named]
        if len(films) != 1:
            raise DataError(f"{arguments.film}: no film of this project is called so")
        pixels = project.radiograph(films[0]).pixels
    command = shlex.split(arguments.guest)
    if not command:
        raise UsageError("--guest: name a program")
    with Guest(command, answer_seconds=arguments.seconds) as guest:
        mask = guest.propose(pixels, prompt)
        name = guest.name
    data = png(mask)
    atomic.write(arguments.out, lambda file: file.write(data))
    _output.person(f"{name} proposes {int(mask.sum())} px of {arguments.finding}")
    if arguments.json:
        _output.program(
            {
                "status": "done",
                "guest": name,
                "mask": str(arguments.out),
                "area_px": int(mask.sum()),
            }
        )
    return 0


def _point(word: str) -> tuple[float, float, bool]:
    numbers = _numbers(word, "--point", (2, 3))
    return numbers[0], numbers[1], len(numbers) == 2 or bool(numbers[2])


def _box(word: str) -> tuple[float, float, float, float]:
    x0, y0, x1, y1 = _numbers(word, "--box", (4,))
    return x0, y0, x1, y1


def _numbers(word: str, option: str, counts: tuple[int, ...]) -> list[float]:
    try:
        numbers = [float(part) for part in word.split(",")]
    except ValueError as error:
        raise UsageError(f"{option} {word!r}: say numbers, as 310,420") from error
    if len(numbers) not in counts:
        raise UsageError(
            f"{option} {word!r}: say {' or '.join(map(str, counts))} numbers"
        )
    return numbers

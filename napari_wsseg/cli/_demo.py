"""``wsseg demo``: the synthetic sample project, in the window or headless."""

from __future__ import annotations

import argparse
from pathlib import Path

from napari_wsseg.cli import _open, _output, add_json, number_of_films


def add(command: argparse.ArgumentParser) -> None:
    """Fill in the command's parser."""
    command.add_argument(
        "--headless", action="store_true", help="run the whole loop, write a report"
    )
    command.add_argument(
        "--out",
        type=Path,
        metavar="DIR",
        help="where films, project and report go; default: your cache folder",
    )
    command.add_argument(
        "--films",
        type=number_of_films,
        help="how many films are made, beside a sample of another number; by default "
        "64, in the window the 36 that ship",
    )
    add_json(command)


def run(arguments: argparse.Namespace) -> int:
    """Make the films and the project, then show them or work them through."""
    from napari_wsseg.datasets import _sample, _sample_readings

    can_show = _open.has_window() and _open.has_display()
    headless = arguments.headless or not can_show
    out = arguments.out or _sample.default_folder()
    making = (
        _sample.sample_project(out, arguments.films)
        if headless
        else _sample_readings.half_read_project(out, arguments.films)
    )
    project = _output.through(making, _output.Reporter(arguments.json))
    if headless:
        return _whole_loop(project, project.parent / "report", as_json=arguments.json)
    _output.person(f"opening {project}; its films are synthetic, not of patients")
    return _open.show(project, demo=True)


def _whole_loop(project: Path, report: Path, *, as_json: bool) -> int:
    """Every stage, then the mix with expert masks, then the page."""
    from napari_wsseg.cli import main

    project_words = ["-p", str(project)]
    options = ["--json"] if as_json else []
    for arguments in (
        ["run", *project_words, *options],
        ["train", "chexseg", *project_words, "--set", "p=0.8", "n_expert=16", *options],
        ["evaluate", *project_words, *options],
        ["report", *project_words, "-o", str(report), *options],
    ):
        _output.person(f"\n$ wsseg {' '.join(arguments)}")
        code = main(arguments)
        if code:
            return code
    return 0

"""``wsseg import classifier``: somebody else's weights make this project's maps."""

from __future__ import annotations

import argparse
from typing import Any

from napari_wsseg.cli import _output as _say
from napari_wsseg.jobs import UsageError

SIZE = 320
NORMALISATION = "imagenet"


def add(group: Any) -> None:
    """Fill in the parser's group of arguments."""
    group.add_argument(
        "--arch", help="resnet18, resnet34, resnet50, vgg16 or densenet121; needed"
    )
    group.add_argument(
        "--findings",
        metavar="A,B,…",
        help="what each output stands for, all of them in order, - for one that is not "
        "wanted; needed",
    )
    group.add_argument(
        "--size", type=int, help=f"side of its input in px; default {SIZE}"
    )
    group.add_argument(
        "--normalisation",
        help="film, imagenet, imagenet-rgb, chexpert or xrayvision; default "
        f"{NORMALISATION}",
    )
    group.add_argument(
        "--channels", type=int, help="1 or 3; default, what its first filters take"
    )
    group.add_argument(
        "--output-stride", type=int, default=32, help="8, 16 or 32, for finer maps"
    )
    group.add_argument(
        "--no-adopt", action="store_true", help="leave the classifier in use as it is"
    )


def run(arguments: argparse.Namespace) -> int:
    """Take the classifier over, use it, and say what was not used of the file."""
    if not arguments.arch or not arguments.findings:
        raise UsageError("name the network with --arch and its outputs with --findings")
    from napari_wsseg.cli import _training as _jobs
    from napari_wsseg.io.project import Project
    from trainers.tasks import imported_classifier as _foreign

    with Project.open(arguments.project) as project:
        taken = _foreign.take(
            project,
            arguments.file,
            arch=arguments.arch,
            outputs=[name.strip() for name in arguments.findings.split(",")],
            size=arguments.size or SIZE,
            normalisation=arguments.normalisation or NORMALISATION,
            channels=arguments.channels,
            output_stride=arguments.output_stride,
        )
    _tell(arguments, taken)
    if not arguments.no_adopt:
        _jobs.adopt(arguments.project, {"classifier": taken.run})
    if arguments.json:
        _say.program(
            {
                "status": "done",
                "run": taken.run,
                "missing": [],
                "unexpected": list(taken.unexpected),
                "left_out": list(taken.left_out),
            }
        )
    return 0


def _tell(arguments: argparse.Namespace, taken: Any) -> None:
    _say.person(f"{arguments.file.name} is run {taken.run}; no tensor is missing")
    if taken.unexpected:
        _say.person(f"not used of the file: {', '.join(taken.unexpected)}")
    if taken.left_out:
        _say.person(f"not findings of this project: {', '.join(taken.left_out)}")
    assumed = [
        f"--{name} {value}"
        for name, given, value in (
            ("size", arguments.size, SIZE),
            ("normalisation", arguments.normalisation, NORMALISATION),
            ("channels", arguments.channels, taken.channels),
        )
        if given is None
    ]
    if assumed:
        _say.person(f"assumed: {' '.join(assumed)}; it must be as it was trained")
    _say.person(
        f"next: wsseg infer crf -p {arguments.project} --run {taken.run}, which makes "
        "its maps (cam) on the way"
    )

"""``wsseg import classifier``: somebody else's weights make this project's maps."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_wsseg.cli import _output
from napari_wsseg.jobs import UsageError

if TYPE_CHECKING:
    from trainers.tasks.imported_classifier import ImportedClassifier
    from trainers.tasks.known_classifiers import KnownClassifier

SIZE = 320
NORMALISATION = "imagenet"


class _From(argparse.Action):
    """Take ``--from``, which stands in for the positional file."""

    def __init__(self, *arguments: Any, file: argparse.Action, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._file = file

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,
    ) -> None:
        """Put the words down; no file is needed any more."""
        self._file.required = False
        setattr(namespace, self.dest, values)


def add(group: Any, file: argparse.Action) -> None:
    """Fill in the parser's group of arguments; `file` is the positional one."""
    group.add_argument(
        "--from",
        dest="source",
        nargs="+",
        action=_From,
        file=file,
        metavar="SOURCE",
        help="torchxrayvision NAME or timm NAME, whose own package fetches the weights "
        "here; or a FILE whose keys say what it is",
    )
    group.add_argument(
        "--map",
        action="append",
        default=[],
        metavar="FINDING=OUTPUT",
        help="with --from: which output stands for a finding, where names do not say",
    )
    group.add_argument(
        "--arch",
        help="resnet18, resnet34, resnet50, vgg16, densenet121 or efficientnet_lite0; "
        "needed",
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
    from napari_wsseg.cli import _training
    from napari_wsseg.io.project import Project
    from trainers.tasks import imported_classifier

    with Project.open(arguments.project) as project:
        taken = imported_classifier.import_classifier(
            project,
            arguments.file,
            arch=arguments.arch,
            outputs=[name.strip() for name in arguments.findings.split(",")],
            size=arguments.size or SIZE,
            normalisation=arguments.normalisation or NORMALISATION,
            channels=arguments.channels,
            output_stride=arguments.output_stride,
        )
    _report(arguments, taken)
    if not arguments.no_adopt:
        _training.adopt(arguments.project, {"classifier": taken.run})
    if arguments.json:
        _output.program(_record(taken))
    return 0


def run_from(arguments: argparse.Namespace) -> int:
    """Take over a classifier that a library or a file's keys describe."""
    if arguments.file is not None or arguments.arch:
        raise UsageError("--from says what the network is: leave out FILE and --arch")
    from napari_wsseg.cli import _training
    from napari_wsseg.io.project import Project
    from trainers.tasks import imported_classifier, known_classifiers

    known = _settled(arguments, _found(arguments.source))
    with Project.open(arguments.project) as project:
        findings = [finding.name for finding in project.findings]
        outputs = known_classifiers.matched(
            known.outputs, findings, _named(arguments.map)
        )
        taken = imported_classifier.take_known(
            project,
            known,
            outputs,
            channels=arguments.channels,
            output_stride=arguments.output_stride,
        )
    _output.person(f"{known.name} is run {taken.run}; no tensor is missing")
    for name, value in known.origin.items():
        _output.person(f"  {name}: {value}")
    if taken.left_out:
        _output.person(f"not findings of this project: {', '.join(taken.left_out)}")
    if not arguments.no_adopt:
        _training.adopt(arguments.project, {"classifier": taken.run})
    _output.person(
        f"next: wsseg infer cam -p {arguments.project}, whose maps need no training"
    )
    if arguments.json:
        _output.program(
            {
                **_record(taken),
                "outputs": outputs,
                "size": known.size,
                "normalisation": known.normalisation,
                **dict(known.origin),
            }
        )
    return 0


def _record(taken: ImportedClassifier) -> dict[str, Any]:
    """Return what a program is told of a classifier that was taken over."""
    return {
        "status": "done",
        "run": taken.run,
        "missing": [],
        "unexpected": list(taken.unexpected),
        "left_out": list(taken.left_out),
    }


def _found(source: list[str]) -> KnownClassifier:
    from trainers.tasks import known_classifiers as _known

    if source[0] in _known.LIBRARIES:
        if len(source) != 2:
            raise UsageError(f"--from {source[0]} NAME: say which one")
        return _known.from_library(source[0], source[1], _output.person)
    path = Path(source[0])
    if len(source) != 1 or not path.is_file():
        raise UsageError(
            f"--from {' '.join(source)}: neither a file nor one of "
            f"{', '.join(_known.LIBRARIES)} with a name"
        )
    return _known.from_file(path)


def _settled(arguments: argparse.Namespace, known: KnownClassifier) -> KnownClassifier:
    """Return a classifier with what a person says where its source does not.

    Raises
    ------
    UsageError
        A person contradicts its makers, or something is said by neither.
    """
    names = arguments.findings
    given = {
        "outputs": tuple(name.strip() for name in names.split(",")) if names else (),
        "size": arguments.size,
        "normalisation": arguments.normalisation,
    }
    options = {"outputs": "--findings", "size": "--size"}
    for name, value in given.items():
        theirs = getattr(known, name)
        option = options.get(name, f"--{name}")
        if value and theirs and name != "size" and value != theirs:
            raise UsageError(
                f"{option}: {known.name} has {_text(theirs)}, as its makers trained "
                f"it, not {_text(value)}; leave the option out"
            )
        if not value and not theirs:
            raise UsageError(
                f"{known.name} does not say its {name}; say it with {option}, as it "
                "was trained"
            )
    return replace(known, **{name: value for name, value in given.items() if value})


def _text(value: object) -> str:
    return ", ".join(value) if isinstance(value, tuple) else str(value)


def _named(arguments: list[str]) -> dict[str, str]:
    named: dict[str, str] = {}
    for word in arguments:
        finding, equals, output = (part.strip() for part in word.partition("="))
        if not equals or not finding or not output:
            raise UsageError(f"--map {word!r}: say FINDING=OUTPUT")
        named[finding] = output
    return named


def _report(arguments: argparse.Namespace, taken: ImportedClassifier) -> None:
    _output.person(f"{arguments.file.name} is run {taken.run}; no tensor is missing")
    if taken.unexpected:
        _output.person(f"not used of the file: {', '.join(taken.unexpected)}")
    if taken.left_out:
        _output.person(f"not findings of this project: {', '.join(taken.left_out)}")
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
        _output.person(f"assumed: {' '.join(assumed)}; it must be as it was trained")
    _output.person(
        f"next: wsseg infer crf -p {arguments.project} --run {taken.run}, which makes "
        "its maps (cam) on the way"
    )

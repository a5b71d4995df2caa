"""The ``wsseg`` command: everything that the window does, without one.

With ``--json`` standard output is JSON alone; what is meant for a person goes to
standard error. Exit codes: 0 done, 2 the command's words are off, 3 the data is off,
4 the job failed, 130 stopped on request.
"""

from __future__ import annotations

import argparse
import importlib
import logging
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from napari_wsseg.jobs import WssegError

#: Command to the module that has ``add(parser)`` and ``run(arguments) -> int``.
COMMANDS = {
    "init": "start a project from a folder of films",
    "train": "train one recipe",
    "learn": "go on learning from films as they are accepted",
    "infer": "compute a stage's maps for every film",
    "presets": "say what each preset is, and where it is not what its paper says",
    "run": "train and compute every stage, in order",
    "adopt": "use a run for its stage, or go back to an earlier one",
    "propose": "let a promptable model of somebody else draw a mask for clicks",
    "evaluate": "score every stage against expert masks",
    "agreement": "tell how far readers of the same films agree",
    "next": "name the films to read next, in one of several orders",
    "study": "tell what masks cost their readers, by what was offered to them",
    "report": "write a page with figures and pictures",
    "sweep": "train one recipe at several values of a setting, several times each",
    "export": "write reviewed masks in a format others read",
    "import": "read masks that a reader made elsewhere",
    "open": "open the window",
    "demo": "make the synthetic sample project and open it, or run it all headless",
    "doctor": "say what was found of Qt, OpenGL, torch and devices",
    "names": "show hidden file names, hide them, or find moved films again",
    "fsck": "look for damage in a project",
    "audit": "check the project's audit trail",
    "gc": "delete maps and caches that are not in use and can be made again",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; return its exit code."""
    _hear_interrupts()
    arguments = parser(sys.argv[1:] if argv is None else argv).parse_args(argv)
    logging.basicConfig(
        level=logging.INFO if arguments.verbose else logging.WARNING,
        format="%(levelname)s %(name)s: %(message)s",
    )
    try:
        return int(arguments.run(arguments))
    except WssegError as error:
        sys.stderr.write(f"wsseg: {error}\n")
        return error.exit_code
    except KeyboardInterrupt:
        sys.stderr.write("wsseg: interrupted\n")
        return 130
    except BrokenPipeError:
        # The reader of our output went away, as `| head` does.
        return 0
    except OSError as error:
        # A disk that is full or failing where nobody had words for it.
        place = f"{error.filename}: " if error.filename else ""
        sys.stderr.write(f"wsseg: {place}{error.strerror or error}; try again\n")
        return 3


def _hear_interrupts() -> None:
    """Let an interrupt be heard in a process that leads a session of its own.

    What a shell starts in the background ignores interrupts, and so does all that it
    starts. The window's processes lead sessions of their own: who interrupts one means
    it, and it would otherwise be killed without tidying up.
    """
    if (
        os.name == "posix"
        and os.getsid(0) == os.getpid()
        and signal.getsignal(signal.SIGINT) == signal.SIG_IGN
    ):
        signal.signal(signal.SIGINT, signal.default_int_handler)


def parser(arguments: Sequence[str]) -> argparse.ArgumentParser:
    """Return the command line's parser.

    Only the command that `arguments` name is imported and filled in: help and
    ``doctor`` answer at once, and work where torch does not.
    """
    named = next((word for word in arguments if word in COMMANDS), None)
    root = argparse.ArgumentParser(
        prog="wsseg",
        description="From image-level labels on chest radiographs to reviewed masks. "
        "Research use only; not a medical device.",
    )
    root.add_argument("--version", action="version", version=_version())
    root.set_defaults(verbose=False)
    commands = root.add_subparsers(metavar="COMMAND", required=True)
    for name, summary in COMMANDS.items():
        command = commands.add_parser(name, help=summary, description=summary)
        if name == named:
            module = importlib.import_module(f"napari_wsseg.cli._{name}")
            module.add(command)
            command.add_argument("-v", "--verbose", action="store_true")
            command.set_defaults(run=module.run)
    return root


def add_project(command: argparse.ArgumentParser) -> None:
    """Add ``-p PROJECT``."""
    command.add_argument(
        "-p", "--project", type=Path, required=True, help="the project's folder"
    )


def add_json(command: argparse.ArgumentParser) -> None:
    """Add ``--json``."""
    command.add_argument(
        "--json", action="store_true", help="JSON alone on standard output"
    )


def number_of_films(text: str) -> int:
    """Read an option that says how many films.

    Raises
    ------
    argparse.ArgumentTypeError
        It is no whole number from one on.
    """
    if not (text.isascii() and text.isdecimal() and int(text) > 0):
        raise argparse.ArgumentTypeError(f"{text!r} is no number of films, from 1 on")
    return int(text)


def add_workers(command: argparse.ArgumentParser) -> None:
    """Add who looks at the films: ``--processes`` and ``--dask``."""
    command.add_argument(
        "--processes",
        type=int,
        default=1,
        metavar="N",
        help="look at the films in N processes; the figures are the same",
    )
    command.add_argument(
        "--dask",
        metavar="ADDRESS",
        help="let Dask's workers look at them: local:N starts N on this machine, "
        "tcp://HOST:PORT is a scheduler's; needs napari-wsseg[dask]",
    )


def _version() -> str:
    from importlib.metadata import version

    return f"wsseg {version('napari-wsseg')}"

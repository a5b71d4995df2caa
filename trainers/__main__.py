"""``python -m trainers RECIPE -p PROJECT``: one run, told as JSON lines.

The project is opened read-only, so that a window may hold the right to write.
"""

from __future__ import annotations

import argparse
import json
import sys
import threading
from pathlib import Path

from napari_wsseg import protocol
from napari_wsseg.io import runs
from napari_wsseg.jobs import UsageError, WssegError
from trainers.engine import cancellation as _cancellation


def main(argv: list[str] | None = None) -> int:
    """Run one recipe; return the exit code."""
    arguments = _parser().parse_args(argv)
    say = Speaker()
    code = _run_job(arguments, say)
    return 0 if arguments.exit_zero else code


def _run_job(arguments: argparse.Namespace, say: Speaker) -> int:
    try:
        return _train(arguments, say)
    except WssegError as error:
        say(
            protocol.finished(
                "failed",
                run=None,
                metrics={},
                seconds=0.0,
                message=str(error),
                exit_code=error.exit_code,
            )
        )
        return error.exit_code


class Speaker:
    """Writes one JSON object per line, whole, from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()

    def __call__(self, line: dict[str, object]) -> None:
        """Write one line."""
        with self._lock:
            sys.stdout.write(json.dumps(line) + "\n")
            sys.stdout.flush()


def settings_from(pairs: list[str]) -> dict[str, str]:
    """Read ``key=value`` words.

    Raises
    ------
    UsageError
        If one has no ``=``.
    """
    for pair in pairs:
        if "=" not in pair:
            raise UsageError(f"--set {pair} has no value; write key=value")
    return dict(pair.split("=", 1) for pair in pairs)


def _train(arguments: argparse.Namespace, say: Speaker) -> int:
    # torch takes seconds to load; a wrong word should not.
    settings = settings_from(arguments.set)
    with _cancellation.leaving_with(arguments.parent):
        from trainers.engine import processes
        from trainers.engine.following import follow

    cancel = threading.Event()
    _cancellation.on_signals(cancel)
    with processes.joined(cpu=settings.get("device") == "cpu"):
        if processes.leads():
            return _lead(arguments, settings, say, cancel)
        over = _cancellation.watch(cancel, lambda: None, parent=arguments.parent)
        try:
            return follow(arguments.recipe, arguments.project, cancel)
        finally:
            over.set()


def _lead(
    arguments: argparse.Namespace,
    settings: dict[str, str],
    say: Speaker,
    cancel: threading.Event,
) -> int:
    from trainers.engine import narrate as _narrate
    from trainers.engine import processes
    from trainers.engine.run import Run

    run: Run | None = None
    over = _cancellation.watch(
        cancel,
        lambda: runs.RunFolder(run.folder.path).stop_file if run else None,
        parent=arguments.parent,
        # The first line of all says which run it is.
        beat=lambda: say(protocol.heartbeat()) if run else None,
    )
    code = 4
    try:
        run = processes.led(
            lambda: Run.prepare(
                arguments.recipe,
                arguments.project,
                dict(settings),
                cancel=cancel,
                resume=arguments.resume,
            ),
            lambda run: {"id": run.folder.id, "resumes": run.resumes},
        )
        for line in _narrate.narrate(run, with_maps=arguments.infer):
            say(line)
            code = line.get("exit_code", code)
    finally:
        over.set()
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m trainers", description=__doc__)
    parser.add_argument("recipe")
    parser.add_argument("-p", "--project", type=Path, required=True)
    parser.add_argument(
        "--set", nargs="+", action="extend", default=[], metavar="key=value"
    )
    parser.add_argument("--resume", metavar="RUN")
    parser.add_argument(
        "--infer", action="store_true", help="compute the run's stage maps afterwards"
    )
    parser.add_argument("--json", action="store_true", help="always on; for symmetry")
    parser.add_argument(
        "--exit-zero", action="store_true", help="let the last line alone say the end"
    )
    parser.add_argument("--parent", type=int, help="stop when this process is gone")
    return parser


if __name__ == "__main__":
    sys.exit(main())

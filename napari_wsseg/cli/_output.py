"""How a command tells what it does: a progress bar for people, JSON for programs."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Callable, Generator, Iterable
from typing import Any, TypeVar

from tqdm import tqdm

from napari_wsseg import jobs, protocol
from napari_wsseg.jobs import Progress

Result = TypeVar("Result")


def person(text: str) -> None:
    """Tell a person; standard error, so that standard output stays data."""
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


_lock = threading.Lock()


def program(value: dict[str, Any]) -> None:
    """Write one JSON object as a line of standard output, whole, from any thread."""
    with _lock:
        sys.stdout.write(json.dumps(value, allow_nan=False) + "\n")
        sys.stdout.flush()


class Reporter:
    """Tells a job's lines (see `trainers.engine.narrate`) to a person or program."""

    def __init__(self, as_json: bool) -> None:
        self.as_json = as_json
        #: What is added to every line, see `napari_wsseg.cli._whole_run`.
        self.amend: Callable[[dict[str, Any]], dict[str, Any]] | None = None
        self._bar: Any = None
        self._what = ""

    def __call__(self, line: dict[str, Any]) -> None:
        """Tell one line."""
        if self.amend is not None:
            line = self.amend(line)
        if self.as_json:
            program(line)
        elif protocol.is_a("progress", line):
            self._draw(line)
        elif protocol.is_a("started", line):
            self.close()
            place = f" ({line['place']})" if line.get("place") else ""
            person(f"{line['recipe']}{place}: run {line['run']} on {line['device']}")

    def close(self) -> None:
        """Finish the bar that is drawn."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None
            self._what = ""

    def _draw(self, line: dict[str, Any]) -> None:
        # Validation reports inside training: its figures go behind the same bar.
        what = line["message"] if line["message"] != "validating" else self._what
        if self._bar is None or what != self._what:
            self.close()
            self._bar = tqdm(
                total=line["total"] or None, desc=what, file=sys.stderr, leave=True
            )
            self._what = what
        if left := line.get("whole_eta_s"):
            self._bar.set_description(f"{what}, {_minutes(left)} in all", refresh=False)
        self._bar.total = line["total"] or None
        self._bar.n = line["step"]
        if line["metrics"]:
            shown = {
                name: f"{value:.3g}"
                for name, value in protocol.metrics_alone(line["metrics"]).items()
            }
            self._bar.set_postfix(shown, refresh=False)
        self._bar.refresh(nolock=True) if line["step"] == line["total"] else (
            self._bar.update(0)
        )


def _minutes(seconds: float) -> str:
    return f"~{seconds / 60:.0f} min" if seconds >= 90 else f"~{seconds:.0f} s"


def through(job: Generator[Progress, None, Result], reporter: Reporter) -> Result:
    """Run a job of progress to its end, telling it; return its result."""
    while True:
        try:
            progress = next(job)
        except StopIteration as end:
            reporter.close()
            result: Result = end.value
            return result
        reporter(
            protocol.progress(
                progress.step,
                progress.total,
                progress.message,
                metrics=dict(progress.metrics),
            )
        )


def finish(job: Generator[Progress, None, Result], as_json: bool) -> Result:
    """Run a short job to its end: a bar for a person, nothing for a program."""
    return jobs.finish(job) if as_json else through(job, Reporter(as_json))


def table(rows: Iterable[Iterable[object]]) -> str:
    """Return rows as text in columns."""
    cells = [[_cell(value) for value in row] for row in rows]
    widths = [max(len(row[n]) for row in cells) for n in range(len(cells[0]))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        for row in cells
    )


def _cell(value: object) -> str:
    if value is None:
        return "–"
    return f"{value:.3f}" if isinstance(value, float) else str(value)

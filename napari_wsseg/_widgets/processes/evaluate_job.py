"""Evaluates one run at a time, in a process of its own."""

from __future__ import annotations

import sys
from pathlib import Path

from qtpy.QtCore import QObject, Signal

from napari_wsseg._widgets.parts.connections import at_quit
from napari_wsseg._widgets.processes.events import Ended, Event, Step
from napari_wsseg._widgets.processes.jobs import Job
from napari_wsseg._widgets.processes.requests import Request


class Evaluation(QObject):
    """``wsseg evaluate --run``; what it finds is kept in the run's folder.

    Signals
    -------
    moved()
        `message` or `busy` is another one.
    """

    moved = Signal()

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.message = ""
        self._job: Job | None = None
        at_quit(self.stop)

    @property
    def busy(self) -> bool:
        """Whether a run is being evaluated."""
        return self._job is not None

    def start(self, project: Path, run: str, split: str) -> None:
        """Evaluate a run on the films of a split that have expert masks."""
        if self.busy:
            return
        arguments = ["napari_wsseg.cli", "evaluate", "-p", str(project), "--json"]
        arguments += ["--run", run, "--split", split]
        try:
            job = Job(
                Request(project, None), command=[sys.executable, "-m", *arguments]
            )
        except OSError as error:
            self._say(f"The run could not be evaluated: {error}")
            return
        job.reported.connect(self._heard)
        job.ended.connect(self._ended)
        self._job = job
        self._say(f"Evaluating on the {split} split …")

    def stop(self) -> None:
        """End it; nothing is kept of it."""
        job, self._job = self._job, None
        if job is not None:
            job.force_stop()
            self._say("")

    def _heard(self, events: tuple[Event, ...]) -> None:
        steps = [event for event in events if isinstance(event, Step)]
        if steps and self.busy:
            last = steps[-1]
            self._say(f"Evaluating: {last.message} {last.step:,} of {last.total:,}")

    def _ended(self, end: Ended) -> None:
        if self._job is None:
            return
        code = self._job.child.process.returncode
        self._job = None
        # It ends with its figures, which are kept with the run, not with a last word.
        self._say("" if code == 0 else end.message or "The run was not evaluated.")

    def _say(self, text: str) -> None:
        self.message = text
        self.moved.emit()

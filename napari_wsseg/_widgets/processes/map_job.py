"""Computes maps that are not there yet, in a process of its own."""

from __future__ import annotations

import sys
from pathlib import Path

from qtpy.QtCore import QObject, Signal

from napari_wsseg._widgets.processes.events import Ended, Event, Step
from napari_wsseg._widgets.processes.jobs import Job
from napari_wsseg._widgets.processes.requests import Request

ALL = "all"
"""Every map of a run, for one film alone."""


class MapMaker(QObject):
    """One job at a time; a new wish takes the place of the one before.

    Signals
    -------
    moved()
        `message` is another one, or more films have been done.
    failed(str)
        Why it could not be done, for a person.
    """

    moved = Signal()
    failed = Signal(str)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.variant = ""
        self.message = ""
        self._job: Job | None = None

    @property
    def busy(self) -> bool:
        """Whether maps are being computed."""
        return self._job is not None and self._job.alive

    def make(self, project: Path, run: str, variant: str, case_id: str) -> None:
        """Compute a map of every film, `case_id` first; `ALL` maps of that one only."""
        self.stop()
        arguments = ["napari_wsseg.cli", "infer", "cam", "-p", str(project)]
        arguments += ["--run", run, "--map", variant, "--json"]
        arguments += ["--only" if variant == ALL else "--first", case_id]
        self.variant, self.message = variant, "starting"
        try:
            # Without a parent: it ends in its own time, maybe after this window.
            job = Job(
                Request(project, None), command=[sys.executable, "-m", *arguments]
            )
        except OSError as error:
            self.variant = self.message = ""
            self.failed.emit(f"The maps cannot be computed: {error}")
            return
        job.reported.connect(self._heard)
        job.ended.connect(lambda end: self._ended(job, end))
        self._job = job
        self.moved.emit()

    def stop(self) -> None:
        """End what is being computed; maps that are done stay."""
        if self._job is not None and self._job.alive:
            job, self._job = self._job, None
            job.force_stop()
            self.variant = self.message = ""
            self.moved.emit()

    def close(self) -> None:
        """End what is being computed, for good."""
        if self._job is not None:
            job, self._job = self._job, None
            job.close()

    def _heard(self, events: tuple[Event, ...]) -> None:
        steps = [event for event in events if isinstance(event, Step)]
        if steps and self.busy:
            self.message = f"{steps[-1].step} of {steps[-1].total} films"
            self.moved.emit()

    def _ended(self, job: Job, end: Ended) -> None:
        if job is not self._job:
            return
        self._job, self.variant, self.message = None, "", ""
        if end.state not in ("done", "stopped"):
            self.failed.emit(end.message or "The maps could not be computed.")
        self.moved.emit()

"""Keeps a network learning, in a process of its own, while films are read."""

from __future__ import annotations

import os
import sys
from contextlib import suppress

from qtpy.QtCore import QObject, Signal

from napari_wsseg._widgets.parts.connections import at_quit, listen
from napari_wsseg._widgets.processes.events import Ended, Event, Started, Step
from napari_wsseg._widgets.processes.jobs import Job, jobs_of
from napari_wsseg._widgets.processes.requests import Request
from napari_wsseg.io import runs
from napari_wsseg.jobs import DataError
from napari_wsseg.session import Session, learning
from napari_wsseg.session.shown_runs import LiveDrafts

_AT_WORK = ("training", "validating")


class LiveLearner(QObject):
    """``wsseg learn`` beside the window: started, followed, stopped.

    It makes room for a training that the reader starts, and goes on after it. What is
    learnt is kept in its run, so that nothing is lost however it ends.

    Signals
    -------
    changed()
        `wanted` or `message` is another one.
    """

    changed = Signal()

    def __init__(self, session: Session, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.session = session
        self.wanted = False
        self.message = ""
        self._job: Job | None = None
        self._leaving: Job | None = None
        self._jobs = jobs_of(session)
        self._jobs.began.connect(self._make_room)
        self._jobs.ended.connect(self._after_training)
        listen(self, self._wish, session.case_changed)
        listen(self, self.close, session.closing)
        listen(self, self._on_project, session.project_changed)
        at_quit(self.close)

    @property
    def alive(self) -> bool:
        """Whether its process runs."""
        return self._job is not None and self._job.alive

    @property
    def run(self) -> str | None:
        """The run that learns; ``None`` before its process has said so."""
        return self._job.run if self._job is not None else None

    def start(self) -> None:
        """Begin, or go on from what was learnt before."""
        if self.alive:
            return
        why = learning.refusal(self.session)
        self.wanted = not why
        if why:
            self._say(f"not learning: {why}")
        elif self._jobs.busy:
            self._say("waits until the training is over")
        elif self._leaving is not None:
            self._say("starting to learn")  # once the one before has saved
        else:
            self._begin()

    def stop(self) -> None:
        """Let it save and end; drafts that were offered stay offered."""
        self.wanted = False
        self._let_go()
        self._say("")

    def close(self) -> None:
        """End it when the project or the program does, after a moment to save."""
        self.wanted, self.message = False, ""
        for job in (self._job, self._leaving):
            if job is not None:
                job.close()
        self._job = self._leaving = None

    def _begin(self) -> None:
        project = self.session.project
        if project is None:
            return
        command = [sys.executable, "-m", "napari_wsseg.cli", "learn"]
        command += ["-p", str(project.folder), "--json", "--parent", str(os.getpid())]
        reader = learning.whose_masks(self.session)
        command += ["--reader", reader] if reader else []
        try:
            job = Job(Request(project.folder, "live"), command=command)
        except OSError as error:
            self._say(f"not learning: {error}")
            return
        job.reported.connect(lambda events: self._heard(job, events))
        job.ended.connect(lambda end: self._ended(job, end))
        self._job = job
        self._say("starting to learn")

    def _let_go(self) -> None:
        job, self._job = self._job, None
        if job is not None and job.alive:
            self._leaving = job
            job.stop()

    def _say(self, message: str) -> None:
        self.message = message
        self.changed.emit()

    def _heard(self, job: Job, events: tuple[Event, ...]) -> None:
        if job is not self._job:
            return
        for event in events:
            if isinstance(event, Started):
                self._began(job, event.run)
            elif isinstance(event, Step):
                self._followed(event)

    def _began(self, job: Job, run: str) -> None:
        try:
            settings = runs.find(job.request.project, run).config()["settings"]
        except DataError as error:
            self.session.message.emit(str(error))
            return
        self.session.renew_drafts(LiveDrafts(run, str(settings["start_run"])))
        self._wish()

    def _followed(self, step: Step) -> None:
        if "drafts" not in step.metrics:
            self._say("learning" if step.message in _AT_WORK else step.message)
            return
        if step.metrics["drafts"]:
            self.session.renew_drafts()
            self.session.prefetch()
        self._say(step.message)

    def _wish(self) -> None:
        """Say which films come next, so that their drafts are drawn first."""
        project, run = self.session.project, self.run
        if project is None or run is None or not self.alive:
            return
        with suppress(DataError):  # drafts of other films come instead
            runs.find(project.folder, run).wish(learning.next_films(self.session))

    def _ended(self, job: Job, end: Ended) -> None:
        if job is self._leaving:
            self._leaving = None
            if self.wanted and not self._jobs.busy:
                self._begin()
            return
        if job is not self._job:
            return
        self._job, self.wanted = None, False
        self._say(f"learning ended: {end.message or end.state}")

    def _make_room(self, training: object = None) -> None:
        if self.wanted:
            self._let_go()
            self._say("waits until the training is over")

    def _after_training(self, training: object = None) -> None:
        if self.wanted:
            self.start()

    def _on_project(self) -> None:
        """Another project, or another reader: what was learnt is not for this one."""
        if self.wanted:
            self.stop()
        else:
            self.changed.emit()

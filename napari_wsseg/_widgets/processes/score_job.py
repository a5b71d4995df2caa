"""Scores the rest of the worklist when another run is put in use.

In a process of its own, the open film first, then all that the run has not seen. The
order of the worklist follows; what is drawn on the open film does not.
"""

from __future__ import annotations

import sys
import weakref
from collections import deque
from pathlib import Path

from qtpy.QtCore import QObject, Signal

from napari_wsseg._widgets.parts.connections import at_quit, listen
from napari_wsseg._widgets.processes.events import Ended, Event, Step
from napari_wsseg._widgets.processes.jobs import Job
from napari_wsseg._widgets.processes.requests import Request
from napari_wsseg.io import stages
from napari_wsseg.io.project import Project
from napari_wsseg.jobs import counted
from napari_wsseg.session import Session

#: Films between two looks of the worklist at what is new.
OFTEN = 200


class Scoring(QObject):
    """Keeps the maps of the runs in use whole; one stage at a time.

    Signals
    -------
    moved()
        `message`, `done` or `busy` is another one.
    """

    moved = Signal()

    def __init__(self, session: Session) -> None:
        super().__init__()
        self._session = weakref.ref(session)
        self._in_use: dict[str, str] = {}
        self._waiting: deque[tuple[str, str]] = deque()
        self._job: Job | None = None
        self.stage = ""
        self.done = self.total = 0
        self.problem = ""
        self._seen = 0
        self._on_project()
        listen(self, self._on_project, session.project_changed)
        listen(self, self._on_stages, session.stages_changed)
        listen(self, self.stop, session.closing)
        at_quit(self.stop)

    @property
    def busy(self) -> bool:
        """Whether films are being scored."""
        return self._job is not None

    @property
    def message(self) -> str:
        """What is going on, for a person; empty when nothing is."""
        if self.problem:
            return self.problem
        if not self.busy:
            return ""
        if not self.total:
            return f"Scoring films with the new run ({self.stage}) …"
        return f"Scoring films: {self.done:,} of {self.total:,} ({self.stage})"

    def missing(self) -> int:
        """Return how many films some stage in use has no maps of."""
        project = self._project()
        if project is None:
            return 0
        films = project.case_ids()
        missing: set[str] = set()
        for stage, run in project.runs_in_use().items():
            missing |= stages.missing(project.folder, stage, run, films)
        return len(missing)

    @property
    def may_start(self) -> bool:
        """Whether maps can be written here."""
        project = self._project()
        return project is not None and not project.readonly

    def start(self) -> None:
        """Compute what the runs in use lack, where the project may be written."""
        project = self._project()
        if project is None or not self.may_start:
            return
        self.problem = ""
        films = project.case_ids()
        self._waiting = deque(
            (stage, run)
            for stage, run in project.runs_in_use().items()
            if stages.missing(project.folder, stage, run, films)
        )
        if not self.busy:
            self._next()

    def stop(self) -> None:
        """End it; maps that are done stay."""
        self._waiting.clear()
        job, self._job = self._job, None
        if job is not None:
            job.force_stop()
            self.moved.emit()

    def _project(self) -> Project | None:
        session = self._session()
        return session.project if session is not None else None

    def _on_project(self) -> None:
        self.stop()
        project = self._project()
        self._in_use = project.runs_in_use() if project is not None else {}
        self.problem = ""
        self.moved.emit()

    def _on_stages(self) -> None:
        project = self._project()
        now = project.runs_in_use() if project is not None else {}
        if now != self._in_use:
            self._in_use = now
            self.stop()
            self.start()

    def _next(self) -> None:
        project = self._project()
        if project is None or not self._waiting:
            self.moved.emit()
            return
        self.stage, run = self._waiting.popleft()
        self.done = self.total = self._seen = 0
        try:
            job = Job(
                Request(project.folder, None),
                command=self._command(project.folder, self.stage, run),
            )
        except OSError as error:
            self._complain(f"The films cannot be scored: {error}")
            return
        job.reported.connect(self._heard)
        job.ended.connect(lambda end: self._ended(job, end))
        self._job = job
        self.moved.emit()

    def _command(self, folder: Path, stage: str, run: str) -> list[str]:
        arguments = ["napari_wsseg.cli", "infer", stage, "-p", str(folder)]
        arguments += ["--run", run, "--json"]
        session = self._session()
        if session is not None and session.case is not None:
            arguments += ["--first", session.case.id]
        return [sys.executable, "-m", *arguments]

    def _heard(self, events: tuple[Event, ...]) -> None:
        steps = [event for event in events if isinstance(event, Step)]
        if not steps or not self.busy:
            return
        self.done, self.total = steps[-1].step, steps[-1].total
        if self.done - self._seen >= OFTEN:
            self._seen = self.done
            self._tell_session()
        self.moved.emit()

    def _ended(self, job: Job, end: Ended) -> None:
        if job is not self._job:
            return
        self._job = None
        self._tell_session()
        if end.state not in ("done", "stopped"):
            self._complain(end.message or "The films could not be scored.")
            return
        self._next()

    def _tell_session(self) -> None:
        session = self._session()
        if session is not None and session.project is not None:
            session.maps_came()

    def _complain(self, text: str) -> None:
        self.problem = text
        self._waiting.clear()
        self.moved.emit()


def summary(missing: int) -> str:
    """Say how many films have no maps of the runs in use; empty when none."""
    if not missing:
        return ""
    verb = "has" if missing == 1 else "have"
    return f"{counted(missing, 'film')} {verb} no maps of the runs in use."


_of_session: weakref.WeakKeyDictionary[Session, Scoring] = weakref.WeakKeyDictionary()


def scoring_of(session: Session) -> Scoring:
    """Return what scores the films of `session`, the same for every panel."""
    if session not in _of_session:
        _of_session[session] = Scoring(session)
    return _of_session[session]

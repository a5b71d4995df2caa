"""What the sample project shows of the machine, made once while one looks around.

The project that ships has all of it already; this is for one that was made on the spot.

Two runs of every stage and a sweep of the mixing share, by the very jobs that the Train
panel starts; each result is put in use as it comes. Whoever stops one stops them all,
and the next opening goes on from there.
"""

from __future__ import annotations

from collections import deque
from pathlib import Path

from qtpy.QtCore import QObject, QTimer

from napari_wsseg._widgets.canvas.bench import Workbench
from napari_wsseg._widgets.parts.connections import listen
from napari_wsseg._widgets.processes.jobs import Job, jobs_of
from napari_wsseg._widgets.processes.requests import Request, Sweep
from napari_wsseg.datasets import _sample_readings
from napari_wsseg.io import runs
from napari_wsseg.jobs import WssegError

#: A start from synthetic films leads the eye to the heart, on which one sees best what
#: each stage does; the segmenter learns lesions from planted ones.
_FIRST = {
    "segmentation.labels": "auto",
    "segmentation.with_anatomy": True,
    "segmentation.epochs": 20,
}
_SWEPT = {"epochs": 6, "size": 128, "labels": "auto"}
SETTLE_MS = 1500
"""After the first film is on screen."""


def requests(project: Path) -> list[Request]:
    """Return all that is to be made of the sample project, in order."""
    return [
        Request(project, None, _FIRST, preset="fast"),
        Request(project, None, preset="auto"),
        Request(project, "chexseg", _SWEPT, sweep=Sweep("p", ("0", "0.5", "1"), 1)),
    ]


def missing(project: Path) -> list[Request]:
    """Return what of it is not there yet."""
    done = [info for info in runs.listing(project) if info.state == "done"]
    complete = sum(info.recipe == "segmentation" for info in done)
    swept = sum(info.recipe == "chexseg" for info in done)
    first, second, sweep = requests(project)
    wanted = [first, second][min(complete, 2) :]
    return wanted if swept >= 3 else [*wanted, sweep]


class SampleStages(QObject):
    """Makes the stages of the sample project in the background, once."""

    def __init__(self, bench: Workbench) -> None:
        super().__init__(bench)
        self.session = bench.session
        self.jobs = jobs_of(bench.session)
        self._queue: deque[Request] = deque()
        self._mine: Job | None = None
        self._soon = QTimer(self, interval=SETTLE_MS, singleShot=True)
        self._soon.timeout.connect(self._begin)
        self.jobs.ended.connect(self._on_ended)
        listen(self, self._on_project, self.session.project_changed)
        self._on_project()

    def _on_project(self) -> None:
        self._queue.clear()
        project = self.session.project
        ours = project is not None and _sample_readings.is_one(project.folder)
        if project is not None and ours and not project.readonly:
            self.jobs.announce(bool(missing(project.folder)))
            self._soon.start()
        else:
            self.jobs.announce(False)

    def _begin(self) -> None:
        project = self.session.project
        if project is None or project.readonly or self.jobs.busy:
            return
        self._queue.extend(missing(project.folder))
        if self._queue:
            self.session.message.emit(
                "The sample's stages are being made in the background, some minutes: "
                "see Train. Films can be read meanwhile."
            )
        self._next()

    def _next(self) -> None:
        if self._queue and not self.jobs.busy:
            self._mine = self.jobs.start(self._queue.popleft())
        self.jobs.announce(bool(self._queue))

    def _on_ended(self, job: Job) -> None:
        if job is not self._mine:
            return
        self._mine = None
        if job.end is None or job.end.state != "done":
            self._queue.clear()
            self.jobs.announce(False)
            return
        if job.request.recipe is None:
            self._use(job)
        # The panels have their say about this one first.
        QTimer.singleShot(0, self._next)

    def _use(self, job: Job) -> None:
        """Put the first run in use; the second stays beside it, to be compared."""
        project = self.session.project
        if project is None or project.folder != job.request.project:
            return
        try:
            for run in job.runs.values():
                for stage in runs.find(project.folder, run).info().facts.stages:
                    if project.adopted(stage) is None:
                        self.session.adopt(stage, run)
        except WssegError as error:
            self.session.message.emit(str(error))

"""One training at a time, watched from the window: started, stopped, ended.

`Jobs` belongs to a session, not to a panel, so that closing a dock does not end a
training and both panels speak of the same one.
"""

from __future__ import annotations

import atexit
import time
import weakref
from collections import deque
from functools import partial
from typing import Literal, TypeAlias

from napari.qt.threading import create_worker
from qtpy.QtCore import QObject, QTimer, Signal

from napari_wsseg._widgets.parts.connections import at_quit
from napari_wsseg._widgets.processes.child import Child, Patience, pump
from napari_wsseg._widgets.processes.events import (
    CellDone,
    Ended,
    EndState,
    Event,
    Noise,
    Silent,
    Started,
    Step,
)
from napari_wsseg._widgets.processes.requests import Request
from napari_wsseg._widgets.processes.run_history import earlier_steps
from napari_wsseg.io import project_files
from napari_wsseg.jobs import DataError

JobState: TypeAlias = Literal["starting", "running", "stopping"] | EndState
ALIVE = ("starting", "running", "stopping")

#: How long a training on the processor rests after a movement of the reader's hand:
#: until what follows a stroke has been drawn as well.
HAND_MS = 900

#: The longest rest; a training that never moves would seem to be lost.
MOST_REST_S = 5.0


_at_work: weakref.WeakSet[Job] = weakref.WeakSet()


def give_way() -> None:
    """Let whatever computes rest for a moment: a reader draws or turns films."""
    for job in list(_at_work):
        if job.alive:
            job.give_way()
        else:
            _at_work.discard(job)


class Job(QObject):
    """One child process and what is known of it.

    Signals
    -------
    reported(tuple of Event)
        A batch of news, ten times a second at most.
    changed()
        `state`, `run`, `can_force` or `silent_s` is another one.
    ended(Ended)
        Sent exactly once.
    """

    reported = Signal(tuple)
    changed = Signal()
    ended = Signal(object)

    def __init__(
        self,
        request: Request,
        *,
        command: list[str] | None = None,
        patience: Patience | None = None,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self.request = request
        self.state: JobState = "starting"
        self.run: str | None = request.resume
        self.runs: dict[str, str] = {}
        self.recipe = request.recipe
        self.device = ""
        self.silent_s = 0.0
        self.end: Ended | None = None
        # Kept so that a panel opened later shows the same as one that was there.
        self.steps: deque[Step] = deque(maxlen=5000)
        #: Of the same run, before this process went on with it.
        self.earlier: list[Step] = []
        self.log: deque[str] = deque(maxlen=500)
        self.cells: list[CellDone] = []
        self.began = time.monotonic()
        self._patience = patience or Patience()
        self._force_due = False
        self._rest_began = 0.0
        self.child = Child(command or request.command())
        self._force_timer = QTimer(self, singleShot=True)
        self._force_timer.timeout.connect(self._allow_force)
        self._hand_timer = QTimer(self, singleShot=True)
        self._hand_timer.timeout.connect(self.child.go_on)
        self._worker = create_worker(
            pump, self.child, self._patience, _start_thread=False
        )
        self._worker.yielded.connect(self._on_batch)
        # The pump itself never raises; these three cover the worker being taken
        # from under it, e.g. by napari when it closes.
        self._worker.aborted.connect(partial(self._lose, "the window is closing"))
        self._worker.errored.connect(partial(self._lose, "the reader failed"))
        self._worker.finished.connect(partial(self._lose, "the reader ended"))
        self._worker.start()
        _at_work.add(self)

    @property
    def swept(self) -> int:
        """How many trainings of a sweep are done."""
        return self.cells[-1].done if self.cells else 0

    @property
    def alive(self) -> bool:
        """Whether it has not ended yet."""
        return self.state in ALIVE

    @property
    def can_force(self) -> bool:
        """Whether force is offered: long silence, or a wish to stop not heeded."""
        return self.alive and (self._force_due or self.silent_s > 0)

    def stop(self) -> None:
        """Ask it to save and stop after this batch; answers at once."""
        if self.state not in ("starting", "running"):
            return
        self.state = "stopping"
        self._ask_to_stop()
        self._force_timer.start(int(self._patience.force * 1000))
        self.changed.emit()

    def give_way(self) -> None:
        """Hold work on the processor while the reader's hand is at work.

        On a graphics card it disturbs nobody. Niceness alone does not help: two cores
        that share one processor halve each other's speed.
        """
        # Only a training says where it runs; what makes maps may well use the cores.
        if self.state == "stopping" or not self.alive or self.device not in ("", "cpu"):
            return
        now = time.monotonic()
        if not self._hand_timer.isActive():
            self._rest_began = now
        if now - self._rest_began < MOST_REST_S:
            self.child.rest()
            self._hand_timer.start(HAND_MS)

    def force_stop(self) -> None:
        """End the process and all it started; the last checkpoint stays."""
        if self.alive:
            self.child.kill()

    def close(self) -> None:
        """Let it go when the program ends: a moment to save, then by force."""
        if self.alive and self.child.alive:
            self._ask_to_stop()
            until = time.monotonic() + self._patience.farewell
            while self.child.alive and time.monotonic() < until:
                time.sleep(0.02)
        self.child.kill()
        self.child.close()

    def _ask_to_stop(self) -> None:
        self.child.go_on()
        if self.run is None:
            self.child.terminate()
            return
        folder = self.request.project / "runs"
        try:
            project_files.touch(folder / self.run / "stop")
            if self.request.trains_several:
                # Heard between two runs as well.
                project_files.touch(folder / "stop")
        except (OSError, DataError):
            # A full disk or a folder that is gone must not make Stop a dead button.
            self.child.terminate()

    def _allow_force(self) -> None:
        self._force_due = True
        self.changed.emit()

    def _on_batch(self, events: tuple[Event, ...]) -> None:
        silent = next((e.seconds for e in events if isinstance(e, Silent)), 0.0)
        changed = silent != self.silent_s
        self.silent_s = silent
        for event in events:
            if isinstance(event, Started):
                self._on_started(event)
                changed = True
            elif isinstance(event, Step):
                self.steps.append(event)
            elif isinstance(event, CellDone):
                self.cells.append(event)
            elif isinstance(event, Noise):
                self.log.append(event.text)
        if events:
            self.reported.emit(events)
        if changed:
            self.changed.emit()
        if events and isinstance(events[-1], Ended):
            self._finish(events[-1])

    def _on_started(self, event: Started) -> None:
        self.run, self.device = event.run, event.device
        self.runs[event.recipe] = event.run
        self.recipe = event.recipe
        self.steps.clear()
        self.earlier = []
        if event.run == self.request.resume:
            self.earlier = earlier_steps(self.request.project / "runs" / event.run)
        if self.state == "starting":
            self.state = "running"
        elif self.state == "stopping":
            # The wish came before the run had a folder to put it in.
            self._ask_to_stop()

    def _lose(self, why: str, *_: object) -> None:
        if self.alive:
            self.child.kill()
            self._finish(Ended("lost", f"The link to the training was lost: {why}."))

    def _finish(self, end: Ended) -> None:
        if not self.alive:
            return
        self._force_timer.stop()
        self._hand_timer.stop()
        self.silent_s = 0.0
        self.runs.update(end.runs)
        self.run = end.run or self.run
        self.end, self.state = end, end.state
        _keep_errors(self)
        self.child.close()
        self.changed.emit()
        self.ended.emit(end)


class Jobs(QObject):
    """The training of a session: none or one at a time.

    Signals
    -------
    began(Job)
        A training was started, from whichever panel.
    ended(Job)
        It is over; `current` stays until the next one, to be looked at.
    announced()
        `due` is another one.

    Attributes
    ----------
    due
        Whether more will be started by itself, as soon as there is room.
    """

    began = Signal(object)
    ended = Signal(object)
    announced = Signal()

    def __init__(self, patience: Patience | None = None) -> None:
        super().__init__()
        self.current: Job | None = None
        self.due = False
        self._patience = patience
        at_quit(self.close)
        # A program that ends without an event loop (a test, a script) still must not
        # leave a training behind.
        atexit.register(_close_if_alive, weakref.ref(self))

    @property
    def busy(self) -> bool:
        """Whether a training is under way."""
        return self.current is not None and self.current.alive

    def start(self, request: Request, *, command: list[str] | None = None) -> Job:
        """Start a training.

        Raises
        ------
        RuntimeError
            If one is under way: two would share the machine and slow each other.
        OSError
            If the process cannot be started.
        """
        if self.busy:
            raise RuntimeError("a training is under way; stop it first")
        job = Job(request, command=command, patience=self._patience, parent=self)
        job.ended.connect(lambda end: self.ended.emit(job))
        self.current = job
        self.began.emit(job)
        return job

    def announce(self, due: bool) -> None:
        """Say whether more will be started by itself."""
        if due != self.due:
            self.due = due
            self.announced.emit()

    def close(self) -> None:
        """End what is running; called when the program ends."""
        if self.current is not None and self.busy:
            self.current.close()


_of_session: weakref.WeakKeyDictionary[object, Jobs] = weakref.WeakKeyDictionary()


def jobs_of(session: object) -> Jobs:
    """Return the trainings of `session`, the same for every panel."""
    if session not in _of_session:
        _of_session[session] = Jobs()
    return _of_session[session]


def _keep_errors(job: Job) -> None:
    """Add what the process wrote to standard error to its run's log."""
    if job.run is None:
        return
    folder = job.request.project / "runs" / job.run
    try:
        text = job.child.errors.read_bytes()[-1_000_000:].decode("utf-8", "replace")
        if text.strip() and folder.is_dir():
            heading = "\n--- standard error ---\n"
            project_files.append(folder / "log.txt", heading + text)
    except (OSError, DataError) as error:
        job.reported.emit((Ended("lost", f"The log could not be kept: {error}"),))


def _close_if_alive(reference: weakref.ref[Jobs]) -> None:
    jobs = reference()
    if jobs is not None:
        jobs.close()

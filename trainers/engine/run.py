"""One execution of a recipe: its folder, its saves, its end."""

from __future__ import annotations

import errno
import logging
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from napari_wsseg.io import checkpoints, runs
from napari_wsseg.io.files import presence, row_files
from napari_wsseg.io.project import Project
from napari_wsseg.io.runs import RunFolder
from napari_wsseg.jobs import Checkpoint, JobFailed, Progress, UsageError, WssegError
from trainers.engine import fingerprint, processes, tracking
from trainers.engine import model_card as _model_card
from trainers.engine.recipe import (
    Context,
    TrainingConfig,
    configure,
    recipes,
    settings_of,
)

logger = logging.getLogger(__name__)

#: Words by which torch and the system say that memory ran out.
_OUT_OF_MEMORY = ("out of memory", "can't allocate memory", "cannot allocate memory")

_PARTNER_LOST = (
    "another process of this run ended; what was saved before is kept, resume the run"
)

ROWS = "metrics_rows"
"""Key of ``last.pt``: how many rows ``metrics.jsonl`` had when it was saved."""


@dataclass(slots=True)
class Run:
    """A run about to be iterated; made by `prepare`.

    Attributes
    ----------
    folder
        Where it is kept; its id is known before the first step.
    metrics
        Validation figures of the checkpoint that the run offers so far.
    status
        ``"running"``, then ``"done"``, ``"stopped"`` or ``"failed"``.
    refused
        Whether its checks of films, labels and settings failed: it never took a step.
    """

    name: str
    project: Project | Path
    config: TrainingConfig
    folder: RunFolder
    cancel: threading.Event
    resumes: bool
    metrics: dict[str, float] = field(default_factory=dict)
    status: str = "running"
    seconds: float = 0.0
    refused: bool = False
    _logged: int = field(default=0, init=False)
    _tracking: tracking.Tracking | None = field(default=None, init=False)
    _steps: int = field(default=0, init=False)

    @classmethod
    def prepare(
        cls,
        name: str,
        project: Project | Path,
        config: TrainingConfig | dict[str, Any] | None,
        *,
        cancel: threading.Event | None = None,
        resume: str | None = None,
    ) -> Self:
        """Check the settings and make the run's folder, or find the one to resume.

        Parameters
        ----------
        name
            The recipe's name.
        project
            Its folder, or the project itself, open.
        config
            All settings, or those that differ from the recipe's defaults, whose values
            may be text; of no account with `resume`, which keeps the run's own.
        cancel
            Stops the run after the batch in hand when it is set.
        resume
            Id of a run to go on with, one that was stopped; a new run without.

        Raises
        ------
        UsageError
            For a recipe or a setting that there is not, a value out of range, or a run
            that is done, still running or of another recipe.
        DataError
            If there is no such run.
        """
        if name not in recipes:
            raise UsageError(
                f"no recipe {name!r}; there are: {', '.join(recipes.names())}"
            )
        where = project.folder if isinstance(project, Project) else Path(project)
        if resume:
            folder = runs.find(where, resume)
            frozen = folder.config()
            if frozen["recipe"] != name:
                raise UsageError(
                    f"run {resume} is of the recipe {frozen['recipe']}, not {name}"
                )
            if folder.info().state == "done":
                raise UsageError(
                    f"run {resume} is done; start a new one, or compute what is "
                    "missing of its maps with wsseg infer"
                )
            if folder.info().state == "running":
                raise UsageError(f"run {resume} is still running in another process")
            settings = configure(name, frozen["settings"])
            processes.check(settings)
            folder.forget_stop()
        else:
            settings = (
                config
                if isinstance(config, TrainingConfig)
                else configure(name, config or {})
            )
            tracking.check(settings.tracker)
            processes.check(settings)
            folder = runs.new(
                where,
                name,
                settings_of(settings),
                notes={"inputs": _fingerprint(project, name, settings)},
                facts=recipes[name],
            )
        return cls(
            name, project, settings, folder, cancel or threading.Event(), bool(resume)
        )

    def __iter__(self) -> Iterator[Progress | Checkpoint]:
        began = time.monotonic()
        message = ""
        self._tracking = tracking.Tracking(
            self.config.tracker,
            self.folder.id,
            self.folder.path,
            settings_of(self.config),
        )
        try:
            resume = self._resume_state()
            self.folder.begin(self._logged)
            yield from self._events(resume)
            self.status = "stopped" if self.cancel.is_set() else "done"
        except GeneratorExit:
            # Whoever iterates closed us: as good as a wish to stop.
            self.status = "stopped"
            raise
        except WssegError as error:
            self.status, message = "failed", str(error)
            judged = not isinstance(error, JobFailed)
            self.refused = judged and not (self._steps or self.resumes)
            raise
        except (RuntimeError, MemoryError) as error:
            if processes.partner_lost(error):
                self.status, message = "stopped", _PARTNER_LOST
                self.cancel.set()
                logger.warning("%s: %s", message, error)
                return
            self.status, message = "failed", _explained(error, self.config)
            raise JobFailed(message) from error
        except BaseException as error:
            self.status, message = "failed", f"{type(error).__name__}: {error}"
            raise
        finally:
            self._tracking.close()
            processes.end()
            self.seconds = time.monotonic() - began
            self.folder.end(
                self.status if self.status != "running" else "failed",  # type: ignore[arg-type]
                metrics=self.metrics,
                seconds=self.seconds,
                message=message,
            )

    def _resume_state(self) -> dict[str, Any] | None:
        """Return the state to go on from; the run then has `_logged` rows of metrics.

        That number lies in the same file, so that a kill between two files cannot part
        them: what was logged after the save is logged again.
        """
        self._logged = 0
        if not (self.resumes and self.folder.last.exists()):
            return None
        resume = checkpoints.read_resume(self.folder.last)
        rows = resume.pop(ROWS, None)
        self._logged = (
            rows if isinstance(rows, int) else sum(1 for _ in self.folder.metrics())
        )
        return resume

    def _events(self, resume: dict[str, Any] | None) -> Iterator[Progress | Checkpoint]:
        project = self.project
        opened = None
        if not isinstance(project, Project):
            project = opened = Project.open(project)
        context = Context(
            project, self.cancel, resume, cache=self.folder.path / "cache"
        )
        try:
            locked = 0
            for event in recipes[self.name].train(context, self.config):
                # A recipe may learn of more rows after it has told of progress.
                if len(context.lock) > locked:
                    row_files.write(self.folder.path / "data.lock.json", context.lock)
                    locked = len(context.lock)
                self._steps += 1
                self._keep(event)
                yield event
        finally:
            if opened:
                opened.close()

    def _keep(self, event: Progress | Checkpoint) -> None:
        presence.check_is_project(self.folder.path)
        if isinstance(event, Progress):
            if event.metrics:
                self.folder.log_metrics(
                    {"step": event.step, "total": event.total, **event.metrics}
                )
                self._logged += 1
                if self._tracking is not None:
                    self._tracking.log(event.step, event.metrics)
            return
        if event.best:
            self.metrics = dict(event.metrics)
            checkpoints.write(self.folder.best, event)
            _model_card.write(self.folder, event)
            if choices := _model_card.choices(event.header):
                self.folder.keep_choices(choices)
        if event.resume is not None:
            state = {**event.resume, ROWS: self._logged}
            checkpoints.write_resume(self.folder.last, state)


def _fingerprint(project: Project | Path, name: str, settings: TrainingConfig) -> str:
    if isinstance(project, Project):
        return fingerprint.fingerprint(project, name, settings_of(settings))
    with Project.open(project) as opened:
        return fingerprint.fingerprint(opened, name, settings_of(settings))


def _explained(error: BaseException, config: TrainingConfig) -> str:
    text = str(error) or type(error).__name__
    if _disk_full(error):
        return (
            "the disk is full: free some space, then resume the run; what it saved "
            "before is kept"
        )
    if isinstance(error, MemoryError) or any(
        phrase in text.lower() for phrase in _OUT_OF_MEMORY
    ):
        half = max(1, config.batch // 2)
        smaller = f"batch={half}" if half < config.batch else "a smaller network"
        return (
            f"out of memory with batch={config.batch}: try {smaller} or a smaller "
            f"working size, or close other programs ({text.splitlines()[0][:200]})"
        )
    return text


def _disk_full(error: BaseException | None) -> bool:
    """Whether a full disk is behind an error; torch hides it behind one of its own."""
    while error is not None:
        if isinstance(error, OSError) and error.errno == errno.ENOSPC:
            return True
        error = error.__cause__ or error.__context__
    return False

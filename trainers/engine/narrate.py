"""A job told as plain dictionaries, one per line of a child process's output."""

from __future__ import annotations

import logging
import os
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch

from napari_wsseg import protocol
from napari_wsseg.io import project_files, stages
from napari_wsseg.jobs import Checkpoint, Progress, WssegError
from napari_wsseg.pipeline import infer
from napari_wsseg.pipeline.inference import networks
from napari_wsseg.protocol import Line
from trainers.engine.recipe import recipes
from trainers.engine.run import Run

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class Eta:
    """Seconds left, from the speed of the last half minute or so."""

    seen: deque[tuple[float, int]] = field(default_factory=lambda: deque(maxlen=64))
    what: str = ""

    def __call__(self, progress: Progress) -> float | None:
        """Return seconds left after a step, or ``None`` while nothing is known."""
        now = time.monotonic()
        if self.what != progress.message and progress.message != "validating":
            # Another phase has a speed of its own.
            self.seen.clear()
            self.what = progress.message
        if self.seen and progress.step < self.seen[-1][1]:
            self.seen.clear()
        self.seen.append((now, progress.step))
        (then, step), done = self.seen[0], progress.step
        if done <= step or not progress.total or done >= progress.total:
            return None  # at the end of a phase, nothing is known of what follows
        return round((progress.total - done) * (now - then) / (done - step), 1)


def progress_line(progress: Progress, eta: Eta) -> Line:
    """Return the line of one step."""
    return protocol.progress(
        progress.step,
        progress.total,
        progress.message,
        metrics=dict(progress.metrics),
        eta_s=eta(progress),
    )


def narrate(run: Run, *, with_maps: bool) -> Iterator[Line]:
    """Execute a run and yield what happens; the last line is ``finished``.

    Nothing escapes but `GeneratorExit`: a failure is told in the last line, whose
    ``exit_code`` is the one a command should end with, and logged with its traceback.

    Parameters
    ----------
    with_maps
        After training, compute the run's stage maps for every film.
    """
    began, eta = time.monotonic(), Eta()
    device = "cpu" if run.config.device == "cpu" else str(networks.device_of("auto"))
    yield protocol.started(
        run=run.folder.id,
        recipe=run.name,
        pid=os.getpid(),
        device=device,
        threads=torch.get_num_threads(),
    )
    message, code = "", 0
    try:
        for event in run:
            yield from _lines(event, eta)
        if with_maps and run.status == "done":
            yield from _maps(run, eta)
            message = _unfinished_maps(run)
    except WssegError as error:
        message, code = str(error), error.exit_code
        logger.info("run %s failed", run.folder.id, exc_info=True)
    except Exception as error:
        message, code = f"{type(error).__name__}: {error}", 4
        logger.exception("run %s failed", run.folder.id)
    if run.refused:
        # Nothing was learnt: a folder would only stand in the list of runs.
        project_files.remove_tree(run.folder.path)
    status = "failed" if code else run.status
    if not code and run.cancel.is_set() and (message or status != "done"):
        status = "stopped"
    yield protocol.finished(
        status,
        run=run.folder.id,
        recipe=run.name,
        stages=list(recipes[run.name].stages),
        metrics=run.metrics,
        seconds=round(time.monotonic() - began, 1),
        message=message,
        exit_code=code or (130 if status == "stopped" else 0),
    )


def _maps(run: Run, eta: Eta) -> Iterator[Line]:
    with _opened(run) as project:
        for stage in recipes[run.name].stages:
            maps = infer.infer(project, stage, run.folder.id, cancel=run.cancel)
            for progress in maps:
                yield progress_line(progress, eta)


def _unfinished_maps(run: Run) -> str:
    """Say that the run is whole but its maps are not; empty when they are."""
    if not run.cancel.is_set():
        return ""
    with _opened(run) as project:
        folder, films = project.folder, project.case_ids()
    for stage in recipes[run.name].stages:
        missing = stages.missing(folder, stage, run.folder.id, films)
        if missing:
            return (
                "the training is done and kept; its maps were stopped at "
                f"{len(films) - len(missing)} of {len(films)} films ({stage})"
            )
    return ""


def _lines(event: Progress | Checkpoint, eta: Eta) -> Iterator[Line]:
    if isinstance(event, Progress):
        yield progress_line(event, eta)
    else:
        yield protocol.checkpoint(best=event.best, metrics=event.metrics)


@contextmanager
def _opened(run: Run) -> Iterator[Any]:
    """Give the run's project; one that only its folder is known of ends here."""
    from napari_wsseg.io.project import Project

    if isinstance(run.project, Project):
        yield run.project
        return
    with Project.open(run.project) as project:
        yield project

"""A stage's maps by Dask's workers: on this machine, by SSH, or under SLURM.

What goes out is a plan, a copy of the index that is read without locks; a worker makes
the maps of its share of the films and keeps each in a file of its own. What a lost
worker leaves, another makes: films that are there already are not made again. The one
last call of `infer` in the caller's process completes the stage.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from napari_wsseg import jobs
from napari_wsseg.io.project import Project
from napari_wsseg.jobs import Progress
from napari_wsseg.pipeline import dask_client
from napari_wsseg.pipeline.infer import Shard, infer

FILMS = 256
"""Of one task: a lost worker costs no more than the batch in hand of it."""

_LOOK_S = 0.5
_AT_WORK = ("executing", "long-running")
_ENDING = ("closing", "closed", "failed")


def share_out(
    project: Project,
    stage: str,
    run: str,
    address: str,
    *,
    cancel: threading.Event,
    **how: Any,
) -> Generator[Progress, None, None]:
    """Yield progress while Dask's workers make the maps that a stage lacks.

    Parameters
    ----------
    project, stage, run
        As in `infer`. The workers see the project's folder under the same path.
    address
        ``"local:4"`` or a scheduler's, e.g. ``"tcp://10.0.0.1:8786"``.
    cancel
        Stops it: what was made stays.
    how
        Passed on to `infer`: ``variant``, ``device``, ``packed``, ``again``,
        ``precision``.

    Raises
    ------
    JobFailed
        There is no scheduler at the address, or workers fail or are lost again and
        again.
    DataError
        A film cannot be read.
    """
    with dask_client.planned(project) as plan, dask_client.client(address) as asking:
        workers = max(1, len(asking.scheduler_info(n_workers=-1)["workers"]))
        count = max(math.ceil(project.n_cases() / FILMS), 2 * workers)
        futures = [
            asking.submit(
                make_share,
                *(str(project.folder.absolute()), str(plan.absolute())),
                *(stage, run, number, count, how),
                pure=False,
                retries=2,
            )
            for number in range(count)
        ]
        yield from _followed(asking, futures, cancel)


def make_share(
    folder: str, plan: str, stage: str, run: str, number: int, count: int, how: Any
) -> int:
    """Make one share of a stage's maps; what a worker does.

    Parameters
    ----------
    folder, plan
        The project's, and the copy of its index.
    stage, run, how
        As in `share_out`.
    number, count
        Of the share, see `Shard`.

    Returns
    -------
    int
        The share's number.
    """
    shard = Shard(number, count)
    with (
        Project.open(Path(folder), plan=Path(plan)) as project,
        _while_wanted() as cancel,
    ):
        jobs.finish(infer(project, stage, run, shard=shard, cancel=cancel, **how))
    return number


@contextmanager
def _while_wanted() -> Iterator[threading.Event]:
    """Return what is set once nobody waits for the task in hand.

    It was cancelled, who asked is gone, or the scheduler: Dask takes a task from a
    worker, but does not end what that is doing.
    """
    from distributed import get_worker

    unwanted, over = threading.Event(), threading.Event()
    try:
        worker = get_worker()
        key = worker.get_current_task()
    except ValueError:  # not in a worker: called by itself
        yield unwanted
        return

    def look() -> None:
        while not over.wait(_LOOK_S):
            task = worker.state.tasks.get(key)
            if (
                task is None
                or task.state not in _AT_WORK
                or worker.status.name in _ENDING
            ):
                unwanted.set()

    threading.Thread(target=look, name="wsseg-wanted", daemon=True).start()
    try:
        yield unwanted
    finally:
        over.set()


def _followed(
    asking: Any, futures: list[Any], cancel: threading.Event
) -> Generator[Progress, None, None]:
    """Yield how many shares are done, until all are or somebody stops it."""
    from distributed import wait

    left = list(futures)
    while left:
        if cancel.is_set():
            asking.cancel(left)
            return
        try:
            wait(left, timeout=0.5, return_when="FIRST_COMPLETED")
        except TimeoutError:
            pass
        for future in [one for one in left if one.done()]:
            left.remove(future)
            dask_client.answer(future)
        yield Progress(len(futures) - len(left), len(futures), "shares of films")

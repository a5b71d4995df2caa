"""A stage's maps by Dask's workers: on this machine, by SSH, or under SLURM.

What goes out is a plan, a copy of the index that is read without locks; a worker makes
the maps of its share of the films and keeps each in a file of its own. What a lost
worker leaves, another makes: films that are there already are not made again. The one
last call of `infer` in the caller's process completes the stage.
"""

from __future__ import annotations

import math
import os
import re
import threading
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

from napari_wsseg import jobs
from napari_wsseg.io import project_files
from napari_wsseg.io.project import Project
from napari_wsseg.jobs import DataError, JobFailed, Progress, UsageError
from napari_wsseg.pipeline.infer import Shard, infer

FILMS = 256
"""Of one task: a lost worker costs no more than the batch in hand of it."""

LOST = 20
"""Workers that may be lost over one task before the job gives up."""

_LOOK_S = 0.5
_AT_WORK = ("executing", "long-running")
_ENDING = ("closing", "closed", "failed")

_LOCAL = re.compile(r"local:([1-9][0-9]{0,3})")


def check(address: str) -> None:
    """Refuse what is no address of a scheduler, nor ``local:N``.

    Raises
    ------
    UsageError
        It is neither, or Dask is not installed.
    """
    if not _LOCAL.fullmatch(address) and not re.fullmatch(r"\w+://\S+", address):
        raise UsageError(
            f"--dask {address}: write local:4 for four workers on this machine, or a "
            "scheduler's address, as tcp://10.0.0.1:8786"
        )
    try:
        import distributed  # noqa: F401
    except ImportError as error:
        raise UsageError(
            f"--dask needs Dask, which is not installed ({error}): "
            "pip install napari-wsseg[dask]"
        ) from error


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
    with planned(project) as plan, client(address) as asking:
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


@contextmanager
def planned(project: Project) -> Iterator[Path]:
    """Write a plan for workers, and take it away afterwards."""
    plan = project.folder / "cache" / f"plan-{uuid4().hex[:8]}.sqlite"
    project.write_plan(plan)
    try:
        yield plan
    finally:
        project_files.remove(plan)


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


@contextmanager
def client(address: str) -> Iterator[Any]:
    """Connect to a scheduler, or start one with workers on this machine."""
    import dask
    from distributed import Client, LocalCluster

    local = _LOCAL.fullmatch(address)
    # Dask takes a task for the culprit after three lost workers; here it never is.
    with dask.config.set({"distributed.scheduler.allowed-failures": LOST}):
        if local is None:
            try:
                found = Client(address, timeout=20)
            except (OSError, ValueError) as error:
                raise JobFailed(
                    f"no Dask scheduler answers at {address} ({error}); start one with "
                    "`dask scheduler`, or write --dask local:4"
                ) from error
            with found:
                yield found
            return
        number = int(local[1])
        with (
            LocalCluster(
                n_workers=number,
                threads_per_worker=1,
                dashboard_address=None,
                env={"OMP_NUM_THREADS": str(max(1, (os.cpu_count() or 1) // number))},
            ) as cluster,
            Client(cluster) as found,
        ):
            yield found


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
            answer(future)
        yield Progress(len(futures) - len(left), len(futures), "shares of films")


def answer(future: Any) -> Any:
    """Return what a task returned, or raise in words what went wrong."""
    try:
        return future.result()
    except (DataError, UsageError):
        raise
    except Exception as error:
        raise JobFailed(
            f"a worker of Dask failed ({type(error).__name__}: {error}); what was made "
            "stays, the same command goes on"
        ) from error

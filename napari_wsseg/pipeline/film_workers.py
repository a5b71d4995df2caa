"""What is done to each film by itself, done by several processes or by Dask.

A worker reads the project and writes nothing; it is given some films' ids and a
function, and hands back what the function returned. Results come in the order of the
films, whoever made them, so that whatever is summed up of them is the same.
"""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeAlias, TypeVar

from napari_wsseg.io.project import Project
from napari_wsseg.jobs import JobFailed, Progress, UsageError
from napari_wsseg.pipeline import dask_client
from napari_wsseg.schema import Case

P = ParamSpec("P")
R = TypeVar("R")

Each: TypeAlias = Callable[Concatenate[Project, Case, P], R]
"""A function of a module, of a film and of what can be pickled."""

FILMS = 32
"""Films of one task: seconds, so that all workers end together."""


@dataclass(frozen=True, slots=True)
class Workers:
    """Who does it.

    Parameters
    ----------
    processes
        On this machine; 1: this one.
    dask
        Instead of them ``"local:4"`` or the address of a scheduler, see
        `napari_wsseg.pipeline.dask_client`.
    """

    processes: int = 1
    dask: str | None = None

    def __post_init__(self) -> None:
        if self.processes < 1:
            raise UsageError(f"--processes {self.processes}: there must be one")
        if self.dask is not None:
            if self.processes > 1:
                raise UsageError("--dask goes without --processes")
            dask_client.check(self.dask)


HERE = Workers()


def over_films(
    workers: Workers,
    each: Each[P, R],
    project: Project,
    cases: Sequence[Case],
    message: str,
    *args: P.args,
    **kwargs: P.kwargs,
) -> Generator[Progress, None, list[R]]:
    """Yield progress; return what a function says of each film, in their order.

    Parameters
    ----------
    workers
        Who calls it.
    each
        Takes the project, open to read, a film, and `args` and `kwargs`.
    project, cases
        Open; and the films.
    message
        What progress says.

    Raises
    ------
    JobFailed
        A worker was lost.
    Exception
        What the function raised on the first film that it did so on.
    """
    found: list[R] = []
    parts: Iterable[list[R]]
    if workers == HERE:
        yield Progress(0, len(cases), message)
        for case in cases:
            found.append(each(project, case, *args, **kwargs))
            yield Progress(len(found), len(cases), message)
        return found
    ids = [case.id for case in cases]
    tasks = [ids[start : start + FILMS] for start in range(0, len(ids), FILMS)]
    yield Progress(0, len(cases), message)
    with _answers(workers, project, tasks, each, args, kwargs) as parts:
        for part in parts:
            found += part
            yield Progress(len(found), len(cases), message)
    return found


@contextmanager
def _answers(
    workers: Workers,
    project: Project,
    tasks: Sequence[Sequence[str]],
    each: Callable[..., R],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
) -> Iterator[Iterable[list[R]]]:
    """Give the answers to tasks as they are asked for, in order."""
    folder = str(project.folder.absolute())
    if workers.dask is not None:
        with (
            dask_client.planned(project) as plan,
            dask_client.client(workers.dask) as ask,
        ):
            futures = [
                ask.submit(
                    _task,
                    folder,
                    str(plan.absolute()),
                    ids,
                    each,
                    args,
                    kwargs,
                    pure=False,
                    retries=2,
                )
                for ids in tasks
            ]
            try:
                yield map(dask_client.answer, futures)
            finally:
                ask.cancel(futures)
        return
    threads = str(max(1, (os.cpu_count() or 1) // workers.processes))
    pool = ProcessPoolExecutor(
        min(workers.processes, max(1, len(tasks))),
        # A fork would share an open index and whatever threads hold.
        mp_context=multiprocessing.get_context("spawn"),
        initializer=_begin,
        initargs=(threads,),
    )
    try:
        waiting = [
            pool.submit(_task, folder, None, ids, each, args, kwargs) for ids in tasks
        ]
        yield map(_answer, waiting)
    finally:
        pool.shutdown(cancel_futures=True)


def _answer(future: Future[list[R]]) -> list[R]:
    try:
        return future.result()
    except BrokenProcessPool as error:
        raise JobFailed(
            "a process that looked at films was ended from outside, perhaps for want "
            "of memory; take fewer with --processes"
        ) from error


def _begin(threads: str) -> None:
    """Let a process of the pool end with the one that asked, however that ends."""
    os.environ.setdefault("OMP_NUM_THREADS", threads)
    parent = multiprocessing.parent_process()

    def look() -> None:
        if parent is not None:
            parent.join()
            os._exit(1)

    threading.Thread(target=look, name="wsseg-parent", daemon=True).start()


def _task(
    folder: str,
    plan: str | None,
    case_ids: Sequence[str],
    each: Callable[..., R],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
) -> list[R]:
    """Do one task; what a worker does."""
    with Project.open(Path(folder), plan=Path(plan) if plan else None) as project:
        cases = project.some_cases(case_ids)
        return [each(project, cases[one], *args, **kwargs) for one in case_ids]

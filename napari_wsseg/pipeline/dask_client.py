"""Dask's workers, on this machine or a scheduler's, and the plan that they read."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

from napari_wsseg.io import project_files
from napari_wsseg.io.project import Project
from napari_wsseg.jobs import DataError, JobFailed, UsageError

LOST = 20
"""Workers that may be lost over one task before the job gives up."""

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


@contextmanager
def planned(project: Project) -> Iterator[Path]:
    """Write a plan for workers, and take it away afterwards."""
    plan = project.folder / "cache" / f"plan-{uuid4().hex[:8]}.sqlite"
    project.write_plan(plan)
    try:
        yield plan
    finally:
        project_files.remove(plan)


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

"""Things that are done to films by other processes, which import them from here."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

from napari_wsseg.io.project import Project
from napari_wsseg.jobs import DataError
from napari_wsseg.schema import Case


def path_and_process(project: Project, case: Case, sign: str) -> tuple[str, int]:
    """Return a film's path with a sign, and which process looked at it."""
    assert project.readonly
    return f"{case.path}{sign}", os.getpid()


def refuses(project: Project, case: Case, number: int) -> None:
    """Refuse one film."""
    if case.path == f"film{number}.png":
        raise DataError(f"{case.path}: torn")


def dies(project: Project, case: Case) -> None:
    """End the process as a want of memory does."""
    os.kill(os.getpid(), signal.SIGKILL)


def waits(project: Project, case: Case, place: str) -> None:
    """Leave a sign of the process, and never come to an end."""
    Path(place, str(os.getpid())).touch()
    time.sleep(600)

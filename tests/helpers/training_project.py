"""A small project and its session, for tests of the panels that train."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from helpers import fake_training
from napari_wsseg._widgets.processes.child import Patience
from napari_wsseg._widgets.processes.jobs import Job, Jobs
from napari_wsseg._widgets.processes.requests import Request
from napari_wsseg.io import images, runs
from napari_wsseg.io.project import Project
from napari_wsseg.schema import Case
from napari_wsseg.session import Session

FAKE = Path(fake_training.__file__)
QUICK = Patience(tick=0.02, silent=5, force=0.3, linger=0.4, farewell=0.3)


class FakeJobs(Jobs):
    """Trainings whose process is the fake one, in a mode of our choice."""

    def __init__(self, mode: str = "done") -> None:
        super().__init__(QUICK)
        self.mode = mode
        self.requests: list[Request] = []

    def start(self, request: Request, *, command: list[str] | None = None) -> Job:
        self.requests.append(request)
        arguments = [sys.executable, str(FAKE), self.mode, str(request.project)]
        return super().start(request, command=command or arguments)


def make_project(
    folder: Path,
    *,
    films: int = 10,
    expert: int = 4,
    findings: Sequence[str] = ("effusion", "nodule"),
) -> Path:
    """Make a project of tiny films; two in ten are of the val split.

    The first finding is labelled, and has the expert masks.
    """
    pictures = folder / "images"
    pictures.mkdir(parents=True)
    rng = np.random.default_rng(0)
    project_folder = folder / "project"
    with Project.create(
        project_folder, findings=list(findings), images=pictures, name="Demo"
    ) as project:
        for n in range(films):
            path = pictures / f"film{n:02}.png"
            Image.fromarray(rng.integers(0, 255, (24, 20), np.uint8)).save(path)
            case = Case(
                id=images.read(path).uid[:16],
                path=path.name,
                shape=(24, 20),
                spacing_mm=None,
                split="val" if n % 5 == 4 else "train",
                labels={findings[0]: n % 2, **dict.fromkeys(findings[1:])},
            )
            project.add_case(case)
            if n < expert or (n % 5 == 4 and expert):
                mask = np.zeros((24, 20), bool)
                mask[4:9, 3:9] = True
                project.put_mask(case.id, findings[0], mask, reader="import")
    return project_folder


def open_session(folder: Path | None = None) -> Session:
    """Return a session, with a project open when one is named."""
    session = Session(reader="ab")
    if folder is not None:
        session.open_project(folder)
    return session


def make_run(
    project: Path,
    recipe: str,
    state: str,
    *,
    settings: dict[str, Any] | None = None,
    metrics: dict[str, float] | None = None,
    stages: tuple[str, ...] = (),
    last: bool = False,
) -> str:
    """Leave a run behind as a training would have."""
    run = runs.new(project, recipe, settings or {"epochs": 12, "batch": 8})
    run.begin()
    if state != "interrupted":
        run.end(state, metrics=metrics or {}, seconds=75, message="")  # type: ignore[arg-type]
    else:
        (run.path / "state.json").unlink()
    if last:
        run.last.write_bytes(b"")
    for stage in stages:
        (project / "stages" / stage / run.id).mkdir(parents=True)
    lock = [
        {"case": f"c{n}", "source": "expert" if n < 4 else "label"} for n in range(8)
    ]
    (run.path / "data.lock.json").write_text(json.dumps(lock))
    (run.path / "log.txt").write_text(f"log of {run.id}\n")
    return run.id

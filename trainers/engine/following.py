"""A process that helps another with its run, and writes and tells nothing itself."""

from __future__ import annotations

import threading
from pathlib import Path

from napari_wsseg.io import checkpoints, runs
from napari_wsseg.io.project import Project
from trainers.engine import processes
from trainers.engine.recipe import Context, configure, recipes
from trainers.engine.run import ROWS


def follow(name: str, project: Path, cancel: threading.Event) -> int:
    """Take part in the run that the first process leads; return the exit code.

    It begins once all that can be kept on disk is there, so that it is made once.

    Parameters
    ----------
    name
        The recipe's name.
    project
        The project's folder.
    cancel
        Set when the run should stop after the batch in hand.

    Returns
    -------
    int
        0; what goes wrong is raised, and told by the first process.
    """
    run = processes.heard()
    if run is None or not processes.heard():
        # The first process says why there is nothing to do.
        return 0
    folder = runs.find(project, run["id"])
    resume = None
    if run["resumes"] and folder.last.exists():
        resume = checkpoints.read_resume(folder.last)
        resume.pop(ROWS, None)
    config = configure(name, folder.config()["settings"])
    with Project.open(project) as opened:
        context = Context(opened, cancel, resume, cache=folder.path / "cache")
        for _ in recipes[name].train(context, config):
            pass
    return 0

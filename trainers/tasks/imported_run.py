"""A model folder that another project wrote becomes a run of this one."""

from __future__ import annotations

import hashlib
import time
from pathlib import Path

from napari_wsseg.io import atomic, checkpoints, runs
from napari_wsseg.io.project import Project
from napari_wsseg.jobs import Checkpoint, DataError
from trainers.engine import model_card as _model_card
from trainers.engine.recipe import recipes

CONFIG, WEIGHTS = "config.json", "model.safetensors"

_FORM = {"recipe": str, "settings": dict}


def take(project: Project, folder: Path) -> str:
    """Make a run of a folder that ``wsseg export hub`` wrote; return the run's id.

    Nothing is written unless everything fits.

    Raises
    ------
    DataError
        A file is missing or damaged, its recipe is not installed, or its findings are
        not those of the project.
    """
    config = atomic.read_json(folder / CONFIG, _FORM)
    file = folder / WEIGHTS
    header, weights = checkpoints.read(file)
    recipe = str(config["recipe"])
    if recipe not in recipes:
        raise DataError(
            f"{folder}: is of the recipe {recipe!r}, which is not here; there are: "
            f"{', '.join(recipes.names())}"
        )
    own = [finding.name for finding in project.findings]
    theirs = [str(name) for name in header.get("findings", ())]
    if sorted(own) != sorted(theirs):
        raise DataError(
            f"{folder}: knows {', '.join(theirs) or 'no findings'}, but this project "
            f"has {', '.join(own)}; a model serves a project of the same findings"
        )
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    origin = {"file": folder.name, "sha256": digest, "outputs": theirs}
    run = runs.new(
        project.folder,
        recipe,
        config["settings"],
        findings=tuple(theirs),
        notes={"imported": origin},
        facts=recipes[recipe],
    )
    began = time.monotonic()
    run.begin()
    try:
        checkpoint = Checkpoint(header, weights, {}, best=True)
        checkpoints.write(run.best, checkpoint)
        atomic.write_json(run.path / "data.lock.json", [])
        _model_card.write(run, checkpoint)
    except BaseException as error:
        run.end("failed", metrics={}, seconds=0.0, message=str(error))
        raise
    run.end("done", metrics={}, seconds=time.monotonic() - began)
    return run.id

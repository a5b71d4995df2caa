"""A project with an untrained segmenter in use, to learn while films are read."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import Image

from helpers.spot_films import import_films, make_films
from napari_wsseg.io import checkpoints, runs, stages
from napari_wsseg.io.project import Project
from napari_wsseg.jobs import Checkpoint
from napari_wsseg.nn import segmenter
from napari_wsseg.schema import Case, StageMaps, StageSettings

READER = "ann"
TINY = ("batch=4", "steps=4", "device=cpu", "labels=cam", "ahead=3")
"""Settings of a round that takes a second."""


def make_project(folder: Path, *, held_out: bool = True, films: int = 20) -> Path:
    """Make a project of spots whose films of train nobody has read.

    Parameters
    ----------
    held_out
        Whether an expert drew on films of val.
    """
    source = make_films(folder / "films", n=films)
    project = import_films(source, folder / "project", masks=False)
    with Project.open(project, write=True) as opened:
        for case in opened.cases("val") if held_out else ():
            mask = true_mask(source, case)
            opened.put_mask(case.id, "spot", mask, reader="truth", tool="import")
    use_segmenter(project, _use_classifier(project))
    return project


def true_mask(source: Path, case: Case) -> np.ndarray:
    """Return the (H, W) bool mask that a film was made with, empty without a spot."""
    path = source / "masks" / "spot" / case.path
    if not path.exists():
        return np.zeros(case.shape, bool)
    with Image.open(path) as image:
        return np.asarray(image) > 0


def accept(project: Path, case: Case, *, reader: str = READER) -> None:
    """Draw the true mask of a film and accept it."""
    with Project.open(project, write=True) as opened:
        mask = true_mask(project.parent / "films", case)
        opened.put_mask(case.id, "spot", mask, reader=reader, tool="brush")
        opened.decide(case.id, "accept with edits", reader=reader)


def films_of(project: Path, split: str = "train") -> list[Case]:
    """Return the films of a split that have a spot."""
    with Project.open(project) as opened:
        return [case for case in opened.cases(split) if case.labels["spot"] == 1]


def _use_classifier(project: Path) -> str:
    """Put a run in use that has maps of all films, and no weights."""
    run = runs.new(project, "classifier", {}).id
    maps = StageMaps(
        score=np.full((1, 16, 16), 0.7, np.float32), present=np.ones(1, np.float32)
    )
    settings = StageSettings(("spot",), (0.5,), (0.0,))
    with Project.open(project, write=True) as opened:
        for case_id in opened.case_ids():
            stages.write(project, "cam", run, case_id, maps)
        opened.adopt("cam", run, actor="test")
    stages.write_settings(project, "cam", run, settings)
    return run


def use_segmenter(project: Path, classifier: str) -> str:
    """Put a small segmenter of random weights in use, its maps of all films made."""
    torch.manual_seed(0)
    model = segmenter.build(segmenter.ANATOMY, n_findings=1)
    run = runs.new(project, "chexseg", {"size": 64, "batch": 4, "labels": "cam"})
    header = {
        "network": {"kind": "segmenter", **model.spec},
        "findings": ["spot"],
        "size": 64,
        "normalisation": "film",
        "classifier": classifier,
    }
    checkpoints.write(
        run.best, Checkpoint(header=header, weights=model.state_dict(), metrics={})
    )
    run.end("done", metrics={"val_dice": 0.1}, seconds=1.0)
    maps = StageMaps(
        score=np.zeros((1, 16, 16), np.float32), present=np.ones(1, np.float32)
    )
    settings = StageSettings(("spot",), (0.5,), (0.0,))
    with Project.open(project, write=True) as opened:
        for case_id in opened.case_ids():
            stages.write(project, "segmentation", run.id, case_id, maps)
        opened.adopt("segmentation", run.id, actor="test")
    stages.write_settings(project, "segmentation", run.id, settings)
    return run.id

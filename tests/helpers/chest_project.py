"""A project of synthetic chests."""

from __future__ import annotations

from pathlib import Path

from helpers.training import train
from napari_wsseg.cli import main
from napari_wsseg.io.project import Project
from napari_wsseg.phantom.dataset import write_dataset


def make_chests(folder: Path, *, n: int, size: int, masks: bool = True) -> Path:
    """Make a project ``p`` of synthetic chests in a folder; return it."""
    films = write_dataset(folder / "films", n=n, size=size, form="png", processes=1)
    arguments = ["--images", films / "images", "--labels", films / "labels.csv"]
    arguments += ["--masks", films / "masks"] if masks else []
    assert main(["init", str(folder / "p"), *map(str, arguments)]) == 0
    return folder / "p"


def use_classifier(project: Path) -> None:
    """Train a small classifier and put it in use."""
    run = train(project, "classifier", size=64, epochs=1, batch=4)
    with Project.open(project, write=True) as opened:
        opened.adopt("cam", run.folder.id, actor="test")

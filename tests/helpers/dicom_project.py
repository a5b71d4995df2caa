"""A project of DICOM films that are all accepted."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from napari_wsseg.io import images
from napari_wsseg.io.project import Project
from napari_wsseg.schema import Case


def add_film(project: Project, path: Path) -> Case:
    """Add a film of a project's folder as a case."""
    read = images.read(path)
    shape = read.pixels.shape
    case = Case(read.uid[:16], path.name, shape, read.spacing_mm, "train", {})
    project.add_case(case)
    return case


def draw_and_accept(project: Project, case: str, rows: int) -> None:
    """Draw a heart from a film's first row to one below, and accept the film."""
    mask = np.zeros(project.case(case).shape, bool)
    mask[:rows, 2:11] = True
    project.put_mask(case, "heart", mask, reader="ann", tool="brush")
    project.decide(case, "accept", reader="ann")


@contextmanager
def accepted_films(folder: Path, films: Path) -> Iterator[Project]:
    """Make a project of the films in a folder, each with a heart and accepted."""
    with Project.create(folder, findings=["heart"], images=films) as made:
        for path in sorted(films.iterdir()):
            draw_and_accept(made, add_film(made, path).id, rows=4)
        yield made

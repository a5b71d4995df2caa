"""The sample project as one meets it in the middle of its work: half of it corrected.

Two readers have read some films, and disagree about a few. What they drew is the true
mask of the synthetic film, a little off, as hands are; verdicts and masks go in by the
same ways as a reader's. Nobody of flesh has read these films, and their names say so.
"""

from __future__ import annotations

import shutil
from collections.abc import Generator
from pathlib import Path

import numpy as np
from scipy import ndimage

from napari_wsseg.datasets import datasets
from napari_wsseg.io.project import Project
from napari_wsseg.jobs import Progress
from napari_wsseg.phantom import ensure_demo_dataset
from napari_wsseg.schema import Case, Mask, Verdict

FILMS = 24
"""So few are made in seconds; see ``wsseg demo --films`` for more."""

FIRST, SECOND = "simulated reader A", "simulated reader B"
TRUTH = "import"
_BOTH_OF = 2
"""Of so many films with a finding that the first has read, the second has read one."""


def place(out: Path) -> Path:
    """Return where the half-corrected sample project is, or will be."""
    return out / "sample" / "synthetic-project"


def is_one(project: Path) -> bool:
    """Whether a folder is the half-corrected sample project, by where it lies."""
    return project == place(project.parent.parent)


def half_read_project(out: Path, films: int = FILMS) -> Generator[Progress, None, Path]:
    """Yield progress while the sample project is made and half of it is read.

    What is there already is kept.
    """
    project = place(out)
    if (project / "wsseg.toml").exists():
        return project
    yield Progress(0, films, "making synthetic films")
    source = ensure_demo_dataset(project.with_name("synthetic-films"), n=films)
    # A project keeps the name of the folder that it was made in.
    growing = project.parent / ".growing" / project.name
    if growing.exists():
        shutil.rmtree(growing)
    yield from datasets["folder"](
        growing,
        images=source / "images",
        labels=source / "labels.csv",
        masks=source / "masks",
    )
    with Project.open(growing, write=True) as opened:
        _read(opened)
    growing.rename(project)
    growing.parent.rmdir()
    return project


def _read(project: Project) -> None:
    """Let two readers read half of the films that are learnt from."""
    for name in (FIRST, SECOND):
        project.add_reader(name)
    train = project.cases("train")
    first = train[: (len(train) + 1) // 2]
    for number, case in enumerate(first):
        _read_film(project, case, number, FIRST)
    marked = [case for case in first if 1 in case.labels.values()]
    for number, case in enumerate(marked[::_BOTH_OF]):
        _read_film(project, case, number + 1, SECOND)


def _read_film(project: Project, case: Case, number: int, reader: str) -> None:
    drawn = False
    for finding, label in case.labels.items():
        version = project.latest(case.id, finding, reader=TRUTH)
        if label != 1 or version is None:
            continue
        mask = _by_hand(project.read_mask(version), number, reader)
        project.put_mask(case.id, finding, mask, reader=reader, tool="brush")
        drawn = True
    verdict: Verdict = "accept with edits" if drawn else "accept"
    if reader == FIRST and number % 5 == 4:
        verdict = "flag"
    project.decide(
        case.id, verdict, reader=reader, confidence=2 + number % 2, seconds=20.0
    )


def _by_hand(truth: Mask, number: int, reader: str) -> Mask:
    """Return a mask as a hand draws it: a little large or small, and a little off."""
    chance = np.random.default_rng([number, len(reader)])
    side = max(2, round(np.sqrt(truth.sum()) / (5 if reader == SECOND else 14)))
    moved = ndimage.shift(truth.astype(np.uint8), chance.integers(-side, side + 1, 2))
    if reader == SECOND:
        return np.asarray(ndimage.binary_dilation(moved > 0, iterations=side))
    return np.asarray(moved > 0)

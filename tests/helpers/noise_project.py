"""A project small enough to be made anew for every test of the window."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image

from napari_wsseg.io import images, stages
from napari_wsseg.io.project import Project
from napari_wsseg.schema import Case, StageMaps, StageSettings

FINDINGS = ("effusion", "nodule")
SHAPE = (96, 80)
RUN = "classifier-20261121-000000-aaaa"
SQUARE = 16


class Clock:
    """Seconds that pass when the test says so."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def make_project(
    folder: Path,
    *,
    cases: int = 4,
    shape: tuple[int, int] = SHAPE,
    spacing_mm: tuple[float, float] | None = None,
) -> Path:
    """Make a project of noise films, named film0, film1 …, without any stage.

    Pixels of the films after the first one have a size, if it is given.
    """
    films = folder / "films"
    films.mkdir(parents=True)
    rng = np.random.default_rng(0)
    place = folder / "project"
    with Project.create(place, findings=FINDINGS, images=films) as project:
        for number in range(cases):
            path = films / f"film{number}.png"
            noise = rng.integers(0, 255, shape, dtype=np.uint8)
            Image.fromarray(noise).save(path)
            film = images.read(path)
            project.add_case(
                Case(
                    id=film.uid[:16],
                    path=path.name,
                    shape=shape,
                    spacing_mm=spacing_mm if number else None,
                    split="train",
                    labels={"effusion": number % 2, "nodule": None},
                )
            )
    return place


def add_stage(
    place: Path,
    stage: str = "cam",
    run: str = RUN,
    value: float = 0.9,
    extra: Mapping[str, np.ndarray] | None = None,
) -> None:
    """Give every case maps with a hot upper left quarter."""
    score = np.zeros((len(FINDINGS), SQUARE, SQUARE), np.float32)
    score[:, : SQUARE // 2, : SQUARE // 2] = value
    present = np.full(len(FINDINGS), 0.9, np.float32)
    maps = StageMaps(score=score, present=present, extra=extra or {})
    stages.write_settings(
        place, stage, run, StageSettings(FINDINGS, (0.5, 0.5), (0.5, 0.5))
    )
    with Project.open(place) as project:
        ids = [case.id for case in project.cases()]
    for case_id in ids:
        stages.write(place, stage, run, case_id, maps)


def adopt(place: Path, stage: str = "cam", run: str = RUN) -> None:
    """Let a stage show a run."""
    with Project.open(place, write=True) as project:
        project.adopt(stage, run, actor="test")


def case_ids(place: Path) -> list[str]:
    """Return the ids of the cases in the order of their files."""
    with Project.open(place) as project:
        return [case.id for case in project.cases()]


def blob(shape: tuple[int, int] = SHAPE, *, at: int = 10, size: int = 8) -> np.ndarray:
    """Return a mask, uint8, with one square in it."""
    mask = np.zeros(shape, np.uint8)
    mask[at : at + size, at : at + size] = 1
    return mask


def digest(mask: np.ndarray) -> str:
    """Return the first 16 digits of a hash of which pixels a mask has."""
    return hashlib.sha256(np.packbits(np.asarray(mask) != 0).tobytes()).hexdigest()[:16]


BLANK = digest(np.zeros(SHAPE))

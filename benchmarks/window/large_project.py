"""The project that the window is timed on: large films with masks and maps of noise."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
from scipy import ndimage

from napari_wsseg.io import images, stages
from napari_wsseg.io.project import Project
from napari_wsseg.phantom._files import write_dicom
from napari_wsseg.phantom.film import generate
from napari_wsseg.schema import Case, StageMaps, StageSettings

FINDINGS = tuple(f"finding_{number}" for number in range(10))
SHAPE = (3000, 2500)
FILMS = 8
SQUARE = 128
RUN = "classifier-20260101-000000-aaaa"
STAGES_MADE = ("cam", "crf", "irnet", "segmentation")


def make(folder: Path) -> Path:
    """Make films, masks of every finding and maps of every stage."""
    films, place = folder / "films", folder / "project"
    films.mkdir(parents=True)
    rng = np.random.default_rng(0)
    first = generate(1, size=SHAPE)
    with Project.create(place, findings=FINDINGS, images=films) as project:
        for number in range(FILMS):
            noise = rng.integers(0, 60, SHAPE, dtype=np.uint16)
            pixels = np.minimum(first.pixels + noise, 4095).astype(np.uint16)
            path = films / f"film{number}.dcm"
            write_dicom(
                path, dataclasses.replace(first, pixels=pixels, seed=number + 1)
            )
            film = images.read(path)
            case = Case(
                film.uid[:16],
                path.name,
                SHAPE,
                film.spacing_mm,
                "train" if number < FILMS - 2 else "val",
                {name: (number + i) % 2 for i, name in enumerate(FINDINGS)},
            )
            project.add_case(case)
            for name in FINDINGS:
                project.put_mask(case.id, name, _blob(rng), reader="ann", tool="brush")
    _add_maps(place, rng)
    return place


def _add_maps(place: Path, rng: np.random.Generator) -> None:
    smooth = ndimage.gaussian_filter(rng.random((10, SQUARE, SQUARE)), (0, 9, 9))
    score = (smooth - smooth.min()) / (smooth.max() - smooth.min())
    maps = StageMaps(score.astype(np.float32), np.full(10, 0.9, np.float32))
    with Project.open(place, write=True) as project:
        for stage in STAGES_MADE:
            settings = StageSettings(FINDINGS, (0.6,) * 10, (0.5,) * 10)
            stages.write_settings(place, stage, RUN, settings)
            for case in project.cases():
                stages.write(place, stage, RUN, case.id, maps)
            project.adopt(stage, RUN, actor="benchmark")


def _blob(rng: np.random.Generator) -> np.ndarray:
    y, x = rng.uniform(0.25, 0.75, 2) * SHAPE
    rows, columns = np.ogrid[: SHAPE[0], : SHAPE[1]]
    within = (rows - y) ** 2 + (columns - x) ** 2 < rng.uniform(80, 260) ** 2
    return np.asarray(within)

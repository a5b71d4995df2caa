"""Films and findings to be drawn for a benchmark, and where a mask is most wrong."""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from napari_wsseg.io import stages
from napari_wsseg.io.project import Project
from napari_wsseg.ops import geometry, scribble
from napari_wsseg.phantom import generate
from napari_wsseg.schema import Case, Mask

SIDE = 256
"""Pixels of a film's longer side."""

LEAST_AREA = 30
"""Smaller truths, in pixels of 256, are left out: a dab is as large."""

Film = NDArray[np.float32]


@dataclass(eq=False)
class Job:
    """One film and finding to be drawn, with the drafts and boundary there are."""

    film: Film
    truth: Mask
    draft: Mask | None = None
    boundary: NDArray[np.float32] | None = None
    mask: Mask = field(init=False)

    def __post_init__(self) -> None:
        self.mask = np.zeros_like(self.truth)


def deepest(mask: Mask, truth: Mask) -> tuple[float, tuple[int, int], int]:
    """Return depth, place and side of the largest disc that is all wrong."""
    best = (0.0, (0, 0), scribble.INSIDE)
    for side, wrong in (
        (scribble.INSIDE, truth & ~mask),
        (scribble.OUTSIDE, mask & ~truth),
    ):
        depth = ndimage.distance_transform_edt(np.pad(wrong, 1))[1:-1, 1:-1]
        place = np.unravel_index(int(depth.argmax()), depth.shape)
        if depth[place] > best[0]:
            best = float(depth[place]), (int(place[0]), int(place[1])), side
    return best


def wingspan(
    data: Path,
    name: str,
    films: int,
    split: str,
    project: Path | None = None,
    stage: str = "anatomy",
) -> Iterator[Job]:
    """Yield films of a split of wingspan with one of its organs."""
    if project is None:
        with (data / "wingspan/labels.csv").open() as file:
            named = [
                row["image"] for row in csv.DictReader(file) if row["split"] == split
            ]
        for film in named[:films]:
            truth = _mask(data / "wingspan/anatomy" / name / film)
            yield Job(_grey(data / "wingspan/images" / film), truth)
        return
    with Project.open(project) as opened:
        run = "shipped" if stage == "anatomy" else opened.adopted(stage)
        if run is None:
            sys.exit(f"{project}: no run of {stage} is in use")
        finding = name if stage == "anatomy" else "cardiomegaly"
        folder = (
            data
            / "wingspan"
            / ("anatomy/" + name if stage == "anatomy" else "masks/cardiomegaly")
        )
        count = 0
        for case in opened.cases(split):
            path = folder / Path(case.path).name
            if count >= films or not path.exists():
                continue
            count += 1
            truth = _mask(path)
            film = opened.radiograph(case).pixels
            small = np.divide(truth.shape, film.shape)
            film = ndimage.zoom(film, small, order=1, mode="nearest", grid_mode=True)
            yield Job(
                np.asarray(film, np.float32),
                truth,
                _draft(project, stage, run, case, finding, truth.shape),
                _boundary(opened, case),
            )


def _draft(
    project: Path,
    stage: str,
    run: str,
    case: Case,
    finding: str,
    shape: tuple[int, ...],
) -> Mask | None:
    settings = stages.read_settings(project, stage, run)
    maps = stages.read(project, stage, run, case.id)
    if maps is None or settings is None:
        return None
    place = settings.findings.index(finding)
    score = geometry.unletterbox(
        maps.score[place], case.shape, grid=(shape[0], shape[1])
    )
    return np.asarray(score >= settings.thresholds[place])


def _boundary(opened: Project, case: Case) -> NDArray[np.float32] | None:
    run = opened.adopted("irnet")
    maps = run and stages.read(opened.folder, "irnet", run, case.id)
    return np.asarray(maps.extra["boundary"][0], np.float32) if maps else None


LESIONS = ("consolidation", "ground_glass_opacities")
TUBES = ("central_venous_line", "endotracheal_tube", "nasogastric_tube")


def covid(data: Path, findings: Sequence[str], films: int) -> Iterator[Job]:
    """Yield masks of covid_lesions of the findings named."""
    folder, count = data / "covid_lesions", 0
    for path in sorted(folder.glob("masks/*/*.png")):
        if path.parent.name not in findings or count >= films:
            continue
        image = next(folder.glob(f"images/{path.stem}.*"), None)
        truth = _mask(path)
        if image is not None and truth.sum() >= LEAST_AREA:
            count += 1
            yield Job(_grey(image), truth)


def phantom(names: tuple[str, ...], films: int) -> Iterator[Job]:
    """Yield generated films with one of the findings named, which are synthetic."""
    count, seed = 0, 0
    while count < films and seed < 50 * films:
        made = generate(seed, size=SIDE, findings=names)
        seed += 1
        for name in names:
            truth = made.masks.get(name)
            if truth is not None and truth.sum() >= LEAST_AREA and count < films:
                count += 1
                yield Job(np.asarray(made.pixels, np.float32), np.asarray(truth, bool))


THICKEST = 2.5
"""Half the width, in pixels of 256, up to which a device counts as a line or tube."""


def phantom_tubes(films: int) -> Iterator[Job]:
    """Yield generated films with the longest line, tube or wire in them; synthetic.

    Devices are no finding of phantoms, but their truth comes with the anatomy. Thicker
    ones (pads, pacemakers) and short ones (sternal wires) are passed over.
    """
    count, seed = 0, 0
    while count < films and seed < 50 * films:
        made = generate(seed, size=SIDE, findings=())
        seed += 1
        parts, _ = ndimage.label(made.anatomy["devices"], np.ones((3, 3)))
        sizes = np.bincount(parts.ravel())[1:]
        if not sizes.size:
            continue
        truth = parts == 1 + int(sizes.argmax())
        rows, columns = np.nonzero(truth)
        long = max(np.ptp(rows), np.ptp(columns)) >= SIDE // 4
        if long and ndimage.distance_transform_edt(truth).max() <= THICKEST:
            count += 1
            yield Job(np.asarray(made.pixels, np.float32), np.asarray(truth, bool))


def _grey(path: Path) -> Film:
    with Image.open(path) as image:
        grey = image.convert("L")
        grey.thumbnail((SIDE, SIDE))
        return np.asarray(np.asarray(grey) / 255, np.float32)


def _mask(path: Path) -> Mask:
    with Image.open(path) as image:
        grey = image.convert("L")
        grey.thumbnail((SIDE, SIDE), Image.Resampling.NEAREST)
        return np.asarray(grey) > 0

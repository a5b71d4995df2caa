"""A project whose masks are all that an export format may stumble over."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import Image

from napari_wsseg.io import images
from napari_wsseg.io.project import Project
from napari_wsseg.schema import Case

SHAPE = (16, 11)
INDEXED_SHAPE = (64, 48)


def special_masks() -> dict[str, np.ndarray]:
    empty, full = np.zeros(SHAPE, bool), np.ones(SHAPE, bool)
    first, last, ring, diagonal = (empty.copy() for _ in range(4))
    first[0, 0] = last[-1, -1] = True
    ring[2:9, 1:8] = True
    ring[4:6, 3:5] = ring[7, 6] = False
    diagonal[np.arange(9), np.arange(9)] = True
    noise = np.random.default_rng(3).random(SHAPE) < 0.5
    return {
        "empty": empty,
        "full": full,
        "first": first,
        "last": last,
        "ring": ring,
        "diagonal": diagonal,
        "noise": noise,
    }


def make_project(folder: Path, *, overlap: bool) -> Project:
    """Make a project with a film for each special mask; the other finding is full."""
    source = folder / "images" / "ward"
    source.mkdir(parents=True)
    made = Project.create(
        folder / "project", findings=["mass", "nodule"], images=folder / "images"
    )
    for number, (name, mask) in enumerate(special_masks().items()):
        path = source / f"{name}.png"
        pixels = np.random.default_rng(number).integers(0, 256, SHAPE, np.uint8)
        Image.fromarray(pixels).save(path)
        case_id = images.read(path).uid[:16]
        labels = {"mass": int(mask.any()), "nodule": 1}
        split = "val" if number % 2 else "train"
        made.add_case(Case(case_id, f"ward/{name}.png", SHAPE, None, split, labels))
        made.put_mask(case_id, "mass", mask, reader="ann")
        other = np.ones(SHAPE, bool) if overlap else ~mask
        made.put_mask(case_id, "nodule", other, reader="ann")
    return made


@contextmanager
def indexed_films(
    folder: Path, names: Iterable[str], labels: Mapping[str, int | None]
) -> Iterator[Project]:
    """Make a project of two findings whose films are in the index alone."""
    (folder / "images").mkdir()
    with Project.create(
        folder / "project", findings=["nodule", "mass"], images=folder / "images"
    ) as made:
        for number, name in enumerate(names):
            made.add_case(
                Case(f"{number:016}", name, INDEXED_SHAPE, None, "train", labels)
            )
        yield made

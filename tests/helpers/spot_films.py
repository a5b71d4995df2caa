"""Small films with a bright disc to find, for tests that train."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
from PIL import Image

from napari_wsseg.datasets import datasets


def make_films(
    folder: Path, *, n: int = 20, side: int = 64, masks: bool = True
) -> Path:
    """Make films whose finding "spot" is a bright disc, on every other one."""
    rng = np.random.default_rng(0)
    (folder / "images").mkdir(parents=True)
    (folder / "masks" / "spot").mkdir(parents=True)
    rows = []
    yy, xx = np.mgrid[:side, :side]
    for number in range(n):
        film = rng.normal(90, 12, (side, side + 8))
        present = number % 2
        row, column = rng.integers(side // 4, 3 * side // 4, 2)
        disc = (yy - row) ** 2 + (xx - column) ** 2 < (side // 7) ** 2
        disc = np.pad(disc, ((0, 0), (0, 8)))
        name = f"f{number:02d}.png"
        if present:
            film = film + 90 * disc
            if masks:
                mask = Image.fromarray((disc * 255).astype(np.uint8))
                mask.save(folder / "masks" / "spot" / name)
        film = np.clip(film, 0, 255).astype(np.uint8)
        Image.fromarray(film).save(folder / "images" / name)
        split = ("train", "train", "train", "train", "val", "val", "test", "test")
        rows.append((name, present, split[number % 8]))
    with (folder / "labels.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("image", "spot", "split"))
        writer.writerows(rows)
    return folder


def import_films(source: Path, project: Path, *, masks: bool = True) -> Path:
    """Import films made by `make_films`."""
    for _ in datasets["folder"](
        project,
        images=source / "images",
        labels=source / "labels.csv",
        masks=source / "masks" if masks else None,
    ):
        pass
    return project

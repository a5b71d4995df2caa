"""Films whose lesions are known to the pixel, as folders that ``wsseg init`` reads.

``python -m benchmarks.draft_films KIND FOLDER [--seed N] [--films DIR]``

=============  ==================================================================
``ellipses``   synthetic chests, dense ellipses of 7 to 13 % in one lung
``planted``    real films (``--films``: ``images/``, ``labels.csv`` with a split,
               ``anatomy/``) with blobs that the program's generator does not draw
``phantoms``   synthetic chests with the generator's five findings
=============  ==================================================================

Masks go beside all films; whether a training may look at them is for it to say.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from napari_wsseg.phantom import FINDINGS, generate

Film = tuple[str, NDArray[np.float64], dict[str, NDArray[np.bool_]]]
"""Split, greys in [0, 1], and the masks of what is there."""

_SPLITS = {"train": 72, "val": 12, "test": 24}


def ellipses(seed: int) -> Iterator[Film]:
    """Yield chests of 128 px without findings; every other one has an ellipse."""
    side, number = 128, 0
    for split, count in _SPLITS.items():
        for _ in range(count):
            rng = np.random.default_rng([seed, number])
            made = generate(100_000 * seed + number, size=side, findings=())
            greys, found = made.pixels / 4095, {}
            if number % 2:
                lesion = _ellipse(side, rng)
                greys = greys + 0.35 * ndimage.gaussian_filter(lesion * 1.0, 1.0)
                found = {"lesion": lesion}
            yield split, greys, found
            number += 1


def _ellipse(side: int, rng: np.random.Generator) -> NDArray[np.bool_]:
    row = rng.uniform(0.3, 0.65)
    column = rng.choice([rng.uniform(0.2, 0.38), rng.uniform(0.62, 0.8)])
    return _oval(side, (row, column), tuple(rng.uniform(0.07, 0.13, 2)), rng) < 1


def _oval(
    side: int,
    middle: tuple[float, float],
    axes: tuple[float, float],
    rng: np.random.Generator,
) -> NDArray[np.float64]:
    """Return the distance from the middle, 1 on the border; lengths by the side."""
    turn = rng.uniform(0, np.pi)
    y, x = np.mgrid[:side, :side] / side
    down, right = y - middle[0], x - middle[1]
    along = down * np.cos(turn) + right * np.sin(turn)
    across = right * np.cos(turn) - down * np.sin(turn)
    return np.asarray(np.hypot(along / axes[0], across / axes[1]))


def planted(seed: int, films: Path) -> Iterator[Film]:
    """Yield real films; every other one has a smooth blob in a lung.

    Blobs are two ovals grown together, and brighten by a share of the film's range:
    neither shape nor shading is that of `napari_wsseg.phantom.planting`.
    """
    with (films / "labels.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    for number, row in enumerate(rows):
        rng = np.random.default_rng([seed, number])
        picture = Image.open(films / "images" / row["image"]).convert("L")
        side = 256
        greys = np.asarray(picture.resize((side, side)), np.float64) / 255
        found = {}
        if rng.random() < 0.5:
            lung = _lung(films, row["image"], side, rng)
            lesion, shade = _blob(lung, rng)
            room = np.percentile(greys, 98) - greys
            greys = greys + shade * np.clip(room, 0, None)
            found = {"lung_opacity": lesion}
        yield row["split"], greys, found


def _lung(
    films: Path, image: str, side: int, rng: np.random.Generator
) -> NDArray[np.bool_]:
    name = ("left_lung", "right_lung")[int(rng.integers(2))]
    mask = Image.open(films / "anatomy" / name / f"{Path(image).stem}.png")
    return np.asarray(mask.convert("L").resize((side, side))) > 127


def _blob(
    lung: NDArray[np.bool_], rng: np.random.Generator
) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    side = len(lung)
    rows, columns = np.nonzero(ndimage.binary_erosion(lung, iterations=side // 32))
    place = int(rng.integers(len(rows)))
    middle = (float(rows[place]) / side, float(columns[place]) / side)
    ovals = []
    for _ in range(2):
        moved = (middle[0] + rng.normal(0, 0.02), middle[1] + rng.normal(0, 0.02))
        ovals.append(_oval(side, moved, tuple(rng.uniform(0.04, 0.10, 2)), rng))
    away = np.minimum(*ovals)
    depth = rng.uniform(0.45, 0.8)
    return (away < 1) & lung, depth / (1 + np.exp(8 * (away - 1))) * lung


def phantoms(seed: int, count: int = 160) -> Iterator[Film]:
    """Yield chests of 256 px; four in ten show nothing, others up to three findings."""
    for number in range(count):
        rng = np.random.default_rng([seed, number])
        shown: tuple[str, ...] = ()
        if number % 10 > 3:
            shown = (FINDINGS[number % len(FINDINGS)],)
            shown += tuple(
                name for name in FINDINGS if name not in shown and rng.random() < 0.3
            )
        made = generate(100_000 * seed + number, size=256, findings=shown)
        split = ("train", "train", "train", "val", "test")[number // 10 % 5]
        masks = {name: np.asarray(made.masks[name], bool) for name in shown}
        yield split, made.pixels / 4095, masks


def write(folder: Path, films: Iterator[Film], findings: tuple[str, ...]) -> None:
    """Write ``images/``, ``labels.csv`` and ``masks/<finding>/`` of what is there."""
    (folder / "images").mkdir(parents=True)
    for finding in findings:
        (folder / "masks" / finding).mkdir(parents=True)
    with (folder / "labels.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("image", *findings, "split"))
        for number, (split, greys, masks) in enumerate(films):
            name = f"f{number:03d}.png"
            picture = (greys.clip(0, 1) * 255).astype(np.uint8)
            Image.fromarray(picture).save(folder / "images" / name)
            for finding, mask in masks.items():
                drawn = Image.fromarray(mask.astype(np.uint8) * 255)
                drawn.save(folder / "masks" / finding / name)
            labels = (int(finding in masks) for finding in findings)
            writer.writerow((name, *labels, split))


def main() -> None:
    """Write the films that the command line asks for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("kind", choices=("ellipses", "planted", "phantoms"))
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--films", type=Path, help="folder of real films for planted")
    given = parser.parse_args()
    if given.kind == "planted":
        if given.films is None:
            parser.error("planted needs --films DIR")
        write(given.folder, planted(given.seed, given.films), ("lung_opacity",))
    elif given.kind == "ellipses":
        write(given.folder, ellipses(given.seed), ("lesion",))
    else:
        write(given.folder, phantoms(given.seed), FINDINGS)


if __name__ == "__main__":
    main()

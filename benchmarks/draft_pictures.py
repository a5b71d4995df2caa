"""Pictures of drafts before and after, of films that nobody chose.

``python -m benchmarks.draft_pictures OUT.jpg BEFORE AFTER [--films 10] [--side 224]``

BEFORE and AFTER are projects of the same films, each with a segmenter in use. The first
test films by name that have an expert mask are drawn in a row each: the film, the truth
(white), the draft before (red) and after (green), in predicted mode.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from skimage.segmentation import find_boundaries

from napari_wsseg.io import stages
from napari_wsseg.io.project import Project
from napari_wsseg.pipeline import stage_masks
from napari_wsseg.schema import Mask

_WHITE, _RED, _GREEN = (255, 255, 255), (255, 60, 60), (60, 230, 60)


def drafts(folder: Path, count: int) -> dict[str, tuple[Path, Mask, Mask]]:
    """Return, by film name, where the film lies, its truth and its draft."""
    found = {}
    with Project.open(folder) as project:
        run = project.adopted("segmentation")
        if run is None:
            raise SystemExit(f"{folder} has no segmenter in use")
        settings = stages.read_settings(folder, "segmentation", run)
        annotated = project.annotated("test")
        cases = [case for case in project.cases("test") if annotated.get(case.id)]
        for case in sorted(cases, key=lambda one: one.path)[:count]:
            maps = stages.read(folder, "segmentation", run, case.id)
            if maps is None or settings is None:
                raise SystemExit(f"{folder}: no map of {case.path}")
            drawn = stage_masks(maps, settings, case.shape).any(0)
            masks = project.expert_masks(case.id).values()
            truth = np.logical_or.reduce([*masks, np.zeros(case.shape, bool)])
            found[case.path] = (project.image_path(case), truth, drawn)
    return found


def panel(
    film: NDArray[np.uint8], mask: Mask | None, colour: tuple[int, ...]
) -> NDArray[np.uint8]:
    """Return a film (S, S, 3) with a mask's outline."""
    picture = np.stack([film] * 3, -1)
    if mask is not None:
        small = Image.fromarray(mask).resize(film.shape[::-1])
        picture[find_boundaries(np.asarray(small), mode="inner")] = colour
    return picture


def main() -> None:
    """Write the sheet."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("before", type=Path)
    parser.add_argument("after", type=Path)
    parser.add_argument("--films", type=int, default=10)
    parser.add_argument("--side", type=int, default=224)
    given = parser.parse_args()
    before, after = (drafts(each, given.films) for each in (given.before, given.after))
    rows = []
    for name, (path, truth, now) in after.items():
        film = _film(path, given.side)
        each = [(None, _WHITE), (truth, _WHITE), (before[name][2], _RED), (now, _GREEN)]
        rows.append(np.hstack([panel(film, mask, colour) for mask, colour in each]))
    half = -(-len(rows) // 2)
    if len(rows) % 2:
        rows.append(np.zeros_like(rows[0]))
    sheet = np.hstack([np.vstack(rows[:half]), np.vstack(rows[half:])])
    Image.fromarray(sheet).save(given.out, quality=80)


def _film(path: Path, side: int) -> NDArray[np.uint8]:
    picture = Image.open(path).convert("L").resize((side, side))
    greys = np.asarray(picture, np.float32)
    low, high = np.percentile(greys, (1, 99))
    return (
        np.asarray((greys - low) / max(high - low, 1) * 255).clip(0, 255).astype("u1")
    )


if __name__ == "__main__":
    main()

"""Oracle 26: every stage finds more of a planted lesion than the one before."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from napari_wsseg.phantom import generate

SIDE = 128
FILMS = {"train": 72, "val": 12, "test": 24}


def film(number: int, *, ill: bool) -> tuple[np.ndarray, np.ndarray]:
    """Return a chest without findings, in one lung of which a dense ellipse may lie."""
    greys = generate(9000 + number, size=SIDE, findings=()).pixels / 4095
    if not ill:
        return greys, np.zeros(greys.shape, bool)
    rng = np.random.default_rng(9000 + number)
    row = rng.uniform(0.3, 0.65)
    column = rng.choice([rng.uniform(0.2, 0.38), rng.uniform(0.62, 0.8)])
    long, short = rng.uniform(0.1, 0.18, 2)
    turn = rng.uniform(0, np.pi)
    y, x = np.mgrid[:SIDE, :SIDE] / SIDE
    down, right = y - row, x - column
    along = down * np.cos(turn) + right * np.sin(turn)
    across = right * np.cos(turn) - down * np.sin(turn)
    lesion = (along / long) ** 2 + (across / short) ** 2 < 1
    return greys + 0.35 * ndimage.gaussian_filter(lesion.astype(float), 1.0), lesion


def write(folder: Path) -> Path:
    """Write films of which every other one is ill; only test films have masks."""
    (folder / "images").mkdir(parents=True)
    (folder / "masks" / "lesion").mkdir(parents=True)
    splits = [split for split, count in FILMS.items() for _ in range(count)]
    with (folder / "labels.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("image", "lesion", "split"))
        for number, split in enumerate(splits):
            greys, lesion = film(number, ill=bool(number % 2))
            name = f"f{number:03d}.png"
            picture = (greys.clip(0, 1) * 255).astype(np.uint8)
            Image.fromarray(picture).save(folder / "images" / name)
            if split == "test" and lesion.any():
                mask = Image.fromarray(lesion.astype(np.uint8) * 255)
                mask.save(folder / "masks" / "lesion" / name)
            writer.writerow((name, number % 2, split))
    return folder


def wsseg(*arguments: object) -> dict[str, Any]:
    ended = subprocess.run(
        [sys.executable, "-m", "napari_wsseg.cli", *map(str, arguments), "--json"],
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    last: dict[str, Any] = json.loads(ended.stdout.splitlines()[-1])
    return last


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_every_stage_finds_more_of_a_planted_lesion_than_the_one_before(
    tmp_path: Path,
) -> None:
    films, project = write(tmp_path / "films"), tmp_path / "project"
    wsseg(
        *("init", project, "--images", films / "images"),
        *("--labels", films / "labels.csv", "--masks", films / "masks"),
    )
    wsseg("run", "-p", project, "--preset", "focal")
    scored = wsseg("evaluate", "-p", project, "--split", "test", "--draws", 0)
    stages = scored["stages"]
    overlaps = [stages[name]["pos_iou"] for name in ("cam", "irnet", "segmentation")]
    assert overlaps[0] < overlaps[1] < overlaps[2]
    for scores in stages.values():
        assert scores["pos_iou"] > 0
        assert scores["all_iou"] > scored["blank"]["all_iou"]
        assert scores["emptiness"] == 1.0

"""Colour pictures take the same way through the same code, all 21 classes of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import Image

from helpers.dataset_trees import run, text
from helpers.training import LEARNING, train_colours
from napari_wsseg.io import film_cache, images
from napari_wsseg.io.project import Project
from napari_wsseg.jobs import finish
from napari_wsseg.nn.normalise import as_input

SHAPE = (32, 40)


def two_hues(folder: Path) -> None:
    """Make pictures of one luminance, half of them with a red patch, half green."""
    rng = np.random.default_rng(0)
    rows = []
    for number in range(12):
        red = number % 2
        pixels = np.full((*SHAPE, 3), 110, np.int64) + rng.integers(-6, 6, (*SHAPE, 1))
        top, left = rng.integers(4, 14, 2)
        # Both colours have the luminance 110.
        pixels[top : top + 12, left : left + 12] = (
            (220, 66, 50) if red else (20, 165, 60)
        )
        path = folder / "images" / f"p{number:02}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels.astype(np.uint8)).save(path)
        rows.append(f"{path.name},{red},{'train' if number < 8 else 'val'}")
    text(folder / "labels.csv", "image,red,split", *rows)


def test_greys_stay_grey_and_colours_are_kept_beside_them(tmp_path: Path) -> None:
    two_hues(tmp_path)
    film = images.read(tmp_path / "images" / "p01.png")
    assert film.colour is not None
    assert film.colour.shape == (*SHAPE, 3)
    grey = tmp_path / "grey.png"
    Image.fromarray(np.full(SHAPE, 9, np.uint8)).convert("RGB").save(grey)
    assert images.read(grey).colour is None


def test_a_folder_is_grey_with_a_warning_or_coloured_if_asked_for(
    tmp_path: Path,
) -> None:
    two_hues(tmp_path)
    given = {"images": tmp_path / "images", "labels": tmp_path / "labels.csv"}
    plain = run("folder", tmp_path / "grey", **given)
    [warning] = plain.warnings
    assert "and 11 more" in warning
    with Project.open(plain.project) as project:
        assert not project.colour
        films = finish(film_cache.films(project, 32))
        assert films.pixels.shape == (12, 32, 32)
    coloured = run("folder", tmp_path / "rgb", **given, colour=True)
    assert coloured.warnings == ()
    with Project.open(coloured.project) as project:
        assert finish(film_cache.films(project, 32)).pixels.shape == (12, 3, 32, 32)


def test_a_grey_network_sees_the_luminance_of_colours() -> None:
    rgb = torch.from_numpy(
        np.random.default_rng(0).integers(0, 256, (2, 3, 9, 9), np.uint8)
    )
    expected = [
        Image.fromarray(one.permute(1, 2, 0).numpy()).convert("L") for one in rgb
    ]
    greys = torch.from_numpy(np.stack([np.asarray(one) for one in expected]))
    ours = as_input(rgb, "imagenet", 1)
    torch.testing.assert_close(
        ours, as_input(greys, "imagenet", 1), atol=1.01 / 255 / 0.226, rtol=0
    )


def test_a_hue_of_one_luminance_is_learnt_by_a_network_of_colours_alone(
    tmp_path: Path,
) -> None:
    two_hues(tmp_path)
    report = run(
        "folder",
        tmp_path,
        images=tmp_path / "images",
        labels=tmp_path / "labels.csv",
        colour=True,
    )
    loss = {}
    for channels in (1, 3):
        made = train_colours(
            report.project, "classifier", channels=channels, **LEARNING, epochs=6
        )
        rows = [*made.folder.metrics()]
        loss[channels] = [row["loss"] for row in rows if "loss" in row][-1]
    assert loss[1] > 0.5  # a coin's is 0.69
    assert loss[3] < 0.2

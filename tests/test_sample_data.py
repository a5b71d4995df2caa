from __future__ import annotations

import csv
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from napari_wsseg import _sample_data
from napari_wsseg.phantom import FINDINGS, generate
from napari_wsseg.phantom.dataset import plan

FOLDER = Path(__file__).resolve().parents[1] / "sample_data"


def committed() -> list[dict[str, str]]:
    with (FOLDER / "labels.csv").open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def test_the_committed_films_take_at_most_12_megabytes() -> None:
    size = sum(path.stat().st_size for path in FOLDER.rglob("*") if path.is_file())
    assert 1e6 < size <= 12e6


def test_the_committed_labels_are_those_of_the_plan() -> None:
    rows = committed()
    for row, film in zip(rows, plan(len(rows)), strict=True):
        assert row["image"] == film.image
        assert row["split"] == film.split
        there = tuple(name for name in FINDINGS if row[name] == "1")
        assert there == film.findings


def test_the_committed_films_show_both_forms_and_every_finding() -> None:
    rows = committed()
    assert {Path(row["image"]).suffix for row in rows} == {".dcm", ".png"}
    for name in FINDINGS:
        assert any(row[name] == "1" for row in rows)
    assert sum(all(row[n] == "0" for n in FINDINGS) for row in rows) == round(
        0.4 * len(rows)
    )


@pytest.mark.parametrize("place", [0, 1, 2, 3])
def test_a_committed_film_is_what_the_generator_makes_from_its_seed(
    place: int,
) -> None:
    film = plan(len(committed()))[place]
    phantom = generate(film.seed, findings=film.findings)
    path = FOLDER / "images" / film.image
    read = _sample_data._read_dicom if path.suffix == ".dcm" else _sample_data._read_png
    pixels, spacing = read(path)
    # Another processor's exp and sin may differ in their last bit.
    difference = np.abs(pixels.astype(int) - phantom.pixels.astype(int))
    assert difference.max() <= 2
    assert (difference > 0).mean() < 0.01
    assert spacing == pytest.approx(phantom.spacing_mm, rel=2e-3)
    for name in film.findings:
        with Image.open(FOLDER / "masks" / name / f"{film.stem}.png") as image:
            assert (np.asarray(image) != phantom.masks[name]).mean() < 1e-4


def test_the_readme_says_that_nobody_was_imaged() -> None:
    text = (FOLDER / "README.md").read_text(encoding="utf-8").lower()
    assert "synthetic" in text
    assert "none of these films shows a person" in text
    assert "not for\nclinical use" in text


def check_layers(layers: list[_sample_data.LayerData]) -> None:
    assert len(layers) == 4
    right = -1.0
    for pixels, options, kind in layers:
        assert kind == "image"
        assert options["name"].startswith("synthetic")
        assert pixels.dtype == np.uint16
        assert pixels.max() <= 4095
        assert 0.5 < options["scale"][0] < 1.2
        assert options["translate"][1] > right  # side by side, not one on another
        right = options["translate"][1] + pixels.shape[1] * options["scale"][1]


def test_sample_films_open_side_by_side_in_millimetres() -> None:
    check_layers(_sample_data.films())


def test_without_the_committed_folder_films_are_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_sample_data, "FOLDER", tmp_path)
    check_layers(_sample_data.films())


def test_a_layer_can_be_built_from_each_film() -> None:
    from napari.layers import Layer

    for data in _sample_data.films()[:2]:
        layer = Layer.create(*data)
        assert layer.name.startswith("synthetic")


def test_listing_the_samples_imports_neither_torch_nor_a_decoder() -> None:
    code = (
        "import sys, napari_wsseg._sample_data;"
        "print([m for m in ('torch', 'pydicom', 'skimage', 'scipy', 'napari')"
        " if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"

"""File ▸ Open Sample: synthetic chest radiographs, side by side."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

FOLDER = Path(__file__).parent / "sample_data"
"""The committed films; a link to the folder of that name beside the package."""

_SHOWN = 4
_GAP_MM = 12.0

LayerData = tuple[NDArray[np.uint16], dict[str, Any], str]


def films() -> list[LayerData]:
    """Return four synthetic films as napari layers, in a row, in millimetres."""
    layers: list[LayerData] = []
    left = 0.0
    for name, findings, pixels, spacing in _films():
        layers.append(
            (
                pixels,
                {
                    "name": f"synthetic {name}: {findings}",
                    "scale": spacing,
                    "translate": (0.0, left),
                    "units": ("mm", "mm"),
                    "contrast_limits": (0, 4095),
                    "colormap": "gray",
                    "metadata": {"synthetic": True},
                },
                "image",
            )
        )
        left += pixels.shape[1] * spacing[1] + _GAP_MM
    return layers


def _films() -> Iterator[tuple[str, str, NDArray[np.uint16], tuple[float, float]]]:
    if not (FOLDER / "labels.csv").is_file():  # a checkout without symbolic links
        yield from _made_now()
        return
    with (FOLDER / "labels.csv").open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    for row in rows[:_SHOWN]:
        there = [name.replace("_", " ") for name, cell in row.items() if cell == "1"]
        path = FOLDER / "images" / row["image"]
        pixels, spacing = (
            _read_dicom(path) if path.suffix == ".dcm" else _read_png(path)
        )
        number = path.stem.removeprefix("synthetic_")
        yield number, ", ".join(there) or "no finding", pixels, spacing


def _made_now() -> Iterator[tuple[str, str, NDArray[np.uint16], tuple[float, float]]]:
    from napari_wsseg.phantom import generate

    for seed in range(_SHOWN):
        phantom = generate(seed)
        there = [name.replace("_", " ") for name, on in phantom.labels.items() if on]
        yield (
            str(seed), ", ".join(there) or "no finding",
            phantom.pixels, phantom.spacing_mm,
        )  # fmt: skip


def _read_dicom(path: Path) -> tuple[NDArray[np.uint16], tuple[float, float]]:
    from pydicom import dcmread

    file = dcmread(path)
    rows, columns = file.PixelSpacing
    return file.pixel_array, (float(rows), float(columns))


def _read_png(path: Path) -> tuple[NDArray[np.uint16], tuple[float, float]]:
    from PIL import Image

    with Image.open(path) as image:
        across, down = image.info["dpi"]
        return np.asarray(image).astype(np.uint16), (25.4 / down, 25.4 / across)

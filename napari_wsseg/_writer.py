"""napari's writer: a labels layer becomes a PNG mask.

One value besides 0 makes a 1-bit PNG. Several make an indexed 8-bit PNG whose indices
are the values, coloured by the project's palette, so that nothing is flattened.
"""

from __future__ import annotations

import io
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageColor

from napari_wsseg.io import atomic
from napari_wsseg.jobs import DataError
from napari_wsseg.schema import PALETTE


def write_png(path: str, data: Any, meta: dict[str, Any]) -> list[str]:
    """Write a (H, W) labels layer to `path` and return what was written.

    Raises
    ------
    DataError
        More than two dimensions, values that 8 bits do not hold, or a full disk;
        an older file of that name is then unharmed.
    """
    labels = np.asarray(data)
    if labels.ndim != 2:
        raise DataError(
            f"{path}: the layer has {labels.ndim} dimensions, a mask has 2; "
            "save one slice"
        )
    several = np.count_nonzero(np.unique(labels)) > 1
    image = _indexed(path, labels) if several else Image.fromarray(labels != 0)
    buffer = io.BytesIO()
    image.save(buffer, format="PNG")
    atomic.write(Path(path), lambda file: file.write(buffer.getvalue()))
    return [path]


def _indexed(path: str, labels: NDArray[Any]) -> Image.Image:
    if labels.min() < 0 or labels.max() > 255:
        raise DataError(
            f"{path}: label values go from {labels.min()} to {labels.max()}; "
            "a PNG holds 0 to 255"
        )
    image = Image.fromarray(labels.astype(np.uint8)).convert("P")
    colours = [ImageColor.getrgb(PALETTE[place % len(PALETTE)]) for place in range(255)]
    flat = [0, 0, 0, *(level for colour in colours for level in islice(colour, 3))]
    image.putpalette(flat)
    return image

"""napari's writer: a labels layer becomes a PNG mask or a NIfTI slice.

In a PNG, one value besides 0 makes 1 bit a pixel. Several make an indexed 8-bit PNG
whose indices are the values, coloured by the project's palette, so that nothing is
flattened.
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
    has_regions = np.count_nonzero(np.unique(labels)) > 1
    image = _indexed(path, labels) if has_regions else Image.fromarray(labels != 0)
    buffer = io.BytesIO()
    image.save(buffer, format="PNG")
    atomic.write(Path(path), lambda file: file.write(buffer.getvalue()))
    return [path]


def write_nifti(path: str, data: Any, meta: dict[str, Any]) -> list[str]:
    """Write a (H, W) labels layer to `path` as a coronal slice, with its scale.

    The scale is taken as millimetres where the layer says so, or does not say.

    Raises
    ------
    DataError
        More than two dimensions, values that 16 bits do not hold, or a full disk.
    """
    import gzip

    from napari_wsseg.export import nifti

    labels = np.asarray(data)
    if labels.ndim != 2:
        raise DataError(
            f"{path}: the layer has {labels.ndim} dimensions, a mask has 2; "
            "save one slice"
        )
    if labels.min(initial=0) < 0 or labels.max(initial=0) > 65535:
        raise DataError(f"{path}: a label is below 0 or over 65535")
    kept = labels.astype(np.uint8 if labels.max(initial=0) < 256 else np.uint16)
    encoded = nifti.encode(kept, _millimetres(meta))
    if not path.lower().endswith(".gz"):
        encoded = gzip.decompress(encoded)
    atomic.write(Path(path), lambda file: file.write(encoded))
    return [path]


def _millimetres(meta: dict[str, Any]) -> tuple[float, float] | None:
    scale = tuple(float(step) for step in meta.get("scale", ()))[-2:]
    units = {str(unit) for unit in meta.get("units") or ()}
    if len(scale) != 2 or units & {"pixel", "micrometer", "um"} or scale == (1.0, 1.0):
        return None
    return scale[0], scale[1]


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

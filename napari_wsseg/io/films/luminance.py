"""Colours that stand for greys: a screen saved as a picture."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

LUMINANCE = "colour was turned into luminance"
"""What is remarked of a photograph."""

#: Channels of a grey film differ this much after JPEG's chroma rounding.
_TINT = 8


def luminance(colours: NDArray[np.uint8]) -> tuple[NDArray[np.float32], bool]:
    """Return (H, W) greys in [0, 1] of (H, W, 3) colours, and whether they are more.

    Greys whose channels are equal are taken as they are, others by ITU-R 601-2 luma.
    """
    value_range = colours.max(axis=2) - colours.min(axis=2)
    differ = int(value_range.max())
    if differ:
        greys = np.asarray(Image.fromarray(colours).convert("L"))
    else:
        greys = colours[:, :, 0]
    return greys.astype(np.float32) / np.float32(255), differ > _TINT


def deep_luminance(
    values: NDArray[np.uint16], bits: int
) -> tuple[NDArray[np.float32], bool]:
    """Return the same of (H, W, 1, 3 or 4) values, of which `bits` are used."""
    seen = values[:, :, :3]
    value_range = int((seen.max(axis=2) - seen.min(axis=2)).max())
    scale = np.float32(2**bits - 1)
    if not value_range:
        return seen[:, :, 0].astype(np.float32) / scale, False
    weights = np.array([0.299, 0.587, 0.114], np.float32)
    greys = np.asarray((seen @ weights) / scale, np.float32)
    return greys, bool(value_range * 255 > _TINT * scale)

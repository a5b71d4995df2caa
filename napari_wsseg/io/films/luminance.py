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
    spread = colours.max(axis=2) - colours.min(axis=2)
    differ = int(spread.max())
    if differ:
        greys = np.asarray(Image.fromarray(colours).convert("L"))
    else:
        greys = colours[:, :, 0]
    return greys.astype(np.float32) / np.float32(255), differ > _TINT

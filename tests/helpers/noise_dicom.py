"""Small DICOM films for the tests of importers."""

from __future__ import annotations

from typing import Any

import numpy as np
from pydicom.dataset import Dataset

from helpers.small_project import dicom_film


def film(seed: int, side: int = 24, **elements: Any) -> Dataset:
    """Make a DX film of 12 bits with pixels of its own."""
    pixels = np.random.default_rng(seed).integers(0, 4096, (side, side + 8), np.uint16)
    return dicom_film(pixels, BitsStored=12, **elements)

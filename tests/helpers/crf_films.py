"""Films and findings for the tests of the CRF."""

from __future__ import annotations

import importlib.util
import sys

import numpy as np
import pytest

from napari_wsseg.ops import crf

ONCE = crf.CrfParams(iterations=1)

needs_pydensecrf = pytest.mark.skipif(
    importlib.util.find_spec("pydensecrf") is None,
    reason="pip install pydensecrf2"
    if sys.version_info < (3, 13)
    else "pydensecrf2 does not compile for this Python",
)


def film(size: int, seed: int = 0, *, bits: int | None = None) -> np.ndarray:
    """A bright disc on a slanted ground with noise, in [0, 1]."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:size, :size] / size
    disc = np.hypot(y - 0.45, x - 0.55) < 0.25
    pixels = 0.4 + 0.1 * y + 0.15 * disc + rng.normal(0, 0.015, (size, size))
    if bits == 8:
        return (pixels * 255).round().astype(np.uint8)
    return pixels.clip(0, 1)


def heats(size: int, seed: int = 0) -> np.ndarray:
    """Three findings' probabilities: blurred, shifted, never quite right."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:size, :size] / size
    places = rng.uniform(0.35, 0.65, (3, 2))
    distances = [np.hypot(y - v, x - u) for v, u in places]
    return np.stack([np.exp(-((s / 0.3) ** 2)) for s in distances])


def labels(probabilities: np.ndarray) -> np.ndarray:
    return probabilities > 0.5


def colour_film(size: int, seed: int = 0) -> np.ndarray:
    """Three different films as red, green and blue, in 8 bits."""
    kinds = [film(size, seed, bits=8), film(size, seed + 1, bits=8).T]
    return np.stack([*kinds, kinds[0][::-1] // 2 + kinds[1] // 2], axis=2)

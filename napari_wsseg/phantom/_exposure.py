"""From optical depth to 12 bits: beam, scatter, quanta, processing, shutters."""

from __future__ import annotations

import numpy as np

from napari_wsseg.phantom._canvas import Frame, Plane, blur, smoothstep
from napari_wsseg.schema import Mask

WHITE = 4095


def expose(film: Frame, depth: Plane, rng: np.random.Generator) -> Plane:
    """Return what a detector read, as -log of its signal; bright is dense (H, W)."""
    heel = rng.uniform(-0.06, 0.06) * (film.y - film.centre[1]) / 200
    beam = np.exp(-np.minimum(depth, 12.0) + heel)
    scatter = rng.uniform(0.18, 0.40) * blur(beam, 24 / film.spacing)
    signal = blur(beam, rng.uniform(0.10, 0.22) / film.spacing) + scatter
    quanta = 1.9e5 * np.exp(rng.uniform(-1.0, 0.7)) * (film.spacing / 0.8) ** 2
    noise = rng.standard_normal(film.shape, np.float32) * np.sqrt(signal / quanta)
    signal = signal + blur(noise, 0.45) * 1.5
    read: Plane = (-np.log(np.maximum(signal, 1e-5))).astype(np.float32)
    return read


def develop(film: Frame, signal: Plane, rng: np.random.Generator) -> Plane:
    """Return pixels in [0, 1] after the vendor's processing, which differs by film."""
    coarse = blur(signal, rng.uniform(20, 30) / film.spacing)
    fine = signal - blur(signal, 2.2 / film.spacing)
    even = signal - rng.uniform(0.22, 0.42) * (coarse - 2.6)
    even = even + rng.uniform(0.25, 0.7) * fine
    seen = even[signal > 0.7]
    low, high = np.percentile(seen[:: max(1, seen.size // 20000)], [2.0, 98.5])
    span = high - low
    low -= span * rng.uniform(0.10, 0.30)
    high += span * rng.uniform(0.05, 0.22)
    value = np.clip((even - low) / (high - low), -0.3, 1.4)
    steep = rng.uniform(3.2, 4.8)
    centre = rng.uniform(0.42, 0.52)
    curve = 1 / (1 + np.exp(-steep * (value - centre)))
    floor, roof = (1 / (1 + np.exp(-steep * (v - centre))) for v in (-0.12, 1.1))
    pixels: Plane = np.clip((curve - floor) / (roof - floor), 0, 1).astype(np.float32)
    return pixels


def shutters(
    film: Frame, pixels: Plane, rng: np.random.Generator
) -> tuple[Plane, Mask]:
    """Black out what lies outside the collimated field, often nothing.

    Returns
    -------
    pixels : (H, W)
    field : (H, W) bool
        Where the shutters are open.
    """
    rows, columns = film.shape
    tilt = rng.normal(0, 0.006)
    row, column = np.mgrid[0:rows, 0:columns].astype(np.float32)
    row, column = (row + tilt * column) / rows, (column - tilt * row) / columns
    open_field = np.ones(film.shape, np.float32)
    sharp = 1.2 / min(rows, columns)
    for position in (row, 1 - row, column, 1 - column):
        inset = max(0.0, rng.uniform(-0.05, 0.045))
        if inset > 0:
            open_field *= smoothstep(inset - sharp, inset + sharp, position)
    dark: Plane = pixels * open_field + 0.012 * (1 - open_field)
    return dark, open_field > 0.5


def quantise(pixels: Plane) -> np.ndarray[tuple[int, int], np.dtype[np.uint16]]:
    """Return 12-bit values in 16 bits."""
    return np.round(np.clip(pixels, 0, 1) * WHITE).astype(np.uint16)

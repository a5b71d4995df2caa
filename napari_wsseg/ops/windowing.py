"""From stored values to displayed greys: windows, lookup tables, inversion.

Every function takes values of any shape and returns float32; greys are in [0, 1].
The formulas are those of DICOM PS3.3 C.11.1 and C.11.2.
"""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

Values: TypeAlias = NDArray[Any]
Grey: TypeAlias = NDArray[np.float32]
WindowFunction: TypeAlias = Literal["LINEAR", "LINEAR_EXACT", "SIGMOID"]


def rescale(values: Values, slope: float, intercept: float) -> Grey:
    """Modality rescale: ``slope * values + intercept`` (PS3.3 C.11.1.1.2).

    Parameters
    ----------
    values
        Stored values, of any shape and number type.
    slope, intercept
        Rescale Slope (0028,1053) and Rescale Intercept (0028,1052).

    Returns
    -------
    float32, the shape of `values`
        In the unit of the Modality transformation; not a copy where nothing changes.
    """
    if slope == 1 and intercept == 0:
        return values.astype(np.float32, copy=False)
    scaled = values.astype(np.float32)
    scaled *= np.float32(slope)
    scaled += np.float32(intercept)
    return scaled


def apply_window(
    values: Values,
    center: float,
    width: float,
    function: WindowFunction = "LINEAR",
) -> Grey:
    """Window level and width to grey (PS3.3 C.11.2.1.2, C.11.2.1.3).

    Parameters
    ----------
    values
        Of any shape, in the unit behind the Modality transformation.
    center, width
        Window Center (0028,1050) and Window Width (0028,1051), in that unit.
    function
        VOI LUT Function (0028,1056): ``"LINEAR"``, ``"LINEAR_EXACT"`` or ``"SIGMOID"``.

    Returns
    -------
    float32 in [0, 1], the shape of `values`

    Raises
    ------
    ValueError
        Center or width is not finite, or the width is below 1 for LINEAR or not above
        0 for the others.
    """
    smallest = 1.0 if function == "LINEAR" else 0.0
    if not np.isfinite([center, width]).all() or width < smallest or width == 0:
        raise ValueError(f"window of width {width} at {center} shows nothing")
    if function == "SIGMOID":
        # exp(88) is the last that float32 holds.
        slope = np.clip(-4.0 * (values.astype(np.float32) - center) / width, -88, 88)
        return np.asarray(1.0 / (1.0 + np.exp(slope)), np.float32)
    if function == "LINEAR":
        if width == 1:  # a step: the formula would divide by zero
            return (values > center - 0.5).astype(np.float32)
        center, width = center - 0.5, width - 1.0
    grey = values.astype(np.float32)
    grey -= np.float32(center - width / 2)
    grey /= np.float32(width)
    return np.clip(grey, 0, 1, out=grey)


def percentile_window(
    values: Values, low: float = 0.5, high: float = 99.5, valid: Values | None = None
) -> Grey:
    """Stretch the values between two percentiles over [0, 1].

    A constant image gives zeros.

    Parameters
    ----------
    values
        Of any shape and unit.
    low, high
        Percentiles in [0, 100] that become 0 and 1.
    valid : bool, the shape of `values`
        Pixels that count; all without it.

    Returns
    -------
    float32 in [0, 1], the shape of `values`
    """
    counted = values if valid is None or not valid.any() else values[valid]
    bottom, top = (float(v) for v in np.percentile(counted, (low, high)))
    if top <= bottom:
        bottom, top = float(counted.min()), float(counted.max())
    if top <= bottom:
        return np.zeros(values.shape, np.float32)
    return apply_window(values, (bottom + top) / 2, top - bottom, "LINEAR_EXACT")


def look_up(values: Values, table: Values, first: int) -> Grey:
    """Read each value in a `table` whose first entry is for the value `first`.

    Values below and above get the first and the last entry (PS3.3 C.11.1.1.1).

    Parameters
    ----------
    values
        Of any shape; rounded to whole numbers.
    table : (n,)
        The outputs in order: LUT Data (0028,3006), scaled or not.
    first
        Value that the first entry is for: the second number of LUT Descriptor
        (0028,3002).

    Returns
    -------
    float32, the shape of `values`
        In the unit of the table.
    """
    place = np.rint(values).astype(np.int32) - first
    np.clip(place, 0, len(table) - 1, out=place)
    return np.take(table.astype(np.float32), place)


def invert(grey: Grey) -> Grey:
    """White becomes black: ``1 - grey``."""
    return np.subtract(np.float32(1), grey, dtype=np.float32)


PRESETS = ("auto", "full", "lung", "mediastinum", "bone")
"""Grey windows to read a film in, see `reading_window`."""

_SHARES = {"lung": (1.0, 70.0), "mediastinum": (35.0, 99.5), "bone": (55.0, 99.9)}
_GLANCE = 256


def reading_window(pixels: Grey, preset: str = "auto") -> tuple[float, float]:
    """Return the grey window, (low, high), in which a film is read.

    A radiograph has no scale like a CT's Hounsfield units, so a preset is a share of
    this film's own greys: "lung" spreads the dark ones, "mediastinum" the middle and
    bright ones, "bone" the brightest; "auto" leaves out burnt-in markers and borders.
    What is black through and through, such as the collimator, does not count.

    Parameters
    ----------
    pixels : (H, W) in [0, 1]
    preset
        One of `PRESETS`.

    Raises
    ------
    ValueError
        There is no such preset.
    """
    if preset not in PRESETS:
        raise ValueError(f"no grey window {preset!r}; there are {', '.join(PRESETS)}")
    if preset == "full":
        return 0.0, 1.0
    rows, columns = (
        np.linspace(0, side - 1, min(side, _GLANCE)).round().astype(int)
        for side in pixels.shape
    )
    small = pixels[np.ix_(rows, columns)]
    if preset == "auto":
        low, high = (float(value) for value in np.percentile(small, (0.5, 99.5)))
        # Some room above keeps the densest tissue from turning into flat white.
        high = min(1.0, high + 0.15 * (high - low))
    else:
        tissue = small[small > small.min() + 0.01]
        if not tissue.size:
            return 0.0, 1.0
        low, high = (float(v) for v in np.percentile(tissue, _SHARES[preset]))
    return (low, high) if high - low >= 0.02 else (0.0, 1.0)

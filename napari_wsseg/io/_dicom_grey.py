"""DICOM's way from stored values to greys: modality, VOI, then presentation."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from napari_wsseg.io._dicom_header import Header, element, number
from napari_wsseg.ops import windowing
from napari_wsseg.ops.windowing import Grey, Values

_FUNCTIONS = ("LINEAR", "LINEAR_EXACT", "SIGMOID")


def to_grey(dataset: Dataset, stored: Values, header: Header) -> Grey:
    """Return (H, W) greys in [0, 1], bright is dense.

    Parameters
    ----------
    stored : (H, W) integers
        Pixel values as stored, signed or not.

    Modality LUT or rescale; then VOI LUT, else window, else the 0.5 and 99.5
    percentiles; and only then inversion, because windows are given in values before
    it (PS3.4 N.2.1). MONOCHROME1 and a presentation shape of INVERSE say the same and
    invert once. Padding is black and does not count for percentiles.
    """
    padding = _padding(dataset, stored)
    values = _modality(dataset, stored, signed=header.signed)
    grey = _voi(dataset, values, padding)
    if _is_inverse(dataset, header):
        grey = windowing.invert(grey)
    if padding is not None:
        grey[padding] = 0
    return grey


def _is_inverse(dataset: Dataset, header: Header) -> bool:
    shape = str(element(dataset, "PresentationLUTShape") or "").strip().upper()
    return header.photometric == "MONOCHROME1" or shape == "INVERSE"


def _padding(dataset: Dataset, stored: Values) -> NDArray[np.bool_] | None:
    """Return where the detector saw nothing, or ``None`` (PS3.3 C.7.5.1.1.2)."""
    first = number(dataset, "PixelPaddingValue")
    if first is None:
        return None
    last = number(dataset, "PixelPaddingRangeLimit")
    bounds = sorted((first, first if last is None else last))
    padding = (stored >= bounds[0]) & (stored <= bounds[1])
    # A padding value that leaves nothing to see is a mistake of the header.
    return padding if padding.any() and not padding.all() else None


def _modality(dataset: Dataset, stored: Values, *, signed: bool) -> Values:
    lut = _lut(dataset, "ModalityLUTSequence", signed=signed)
    if lut is not None:
        table, first, _ = lut
        return windowing.look_up(stored, table, first)
    slope = number(dataset, "RescaleSlope")
    intercept = number(dataset, "RescaleIntercept")
    if not slope or not np.isfinite(slope):
        slope = 1.0
    return windowing.rescale(stored, slope, intercept or 0.0)


def _voi(dataset: Dataset, values: Values, padding: NDArray[np.bool_] | None) -> Grey:
    grey = _by_voi_lut(dataset, values)
    if grey is None:
        grey = _by_window(dataset, values)
    # A window beside all values shows a black film: it is worth less than none.
    if grey is None or (grey.min() == grey.max() and values.min() < values.max()):
        valid = None if padding is None else ~padding
        return windowing.percentile_window(values, valid=valid)
    return grey


def _by_voi_lut(dataset: Dataset, values: Values) -> Grey | None:
    # Its input is signed when the modality's output can be below zero.
    lut = _lut(dataset, "VOILUTSequence", signed=bool(values.min() < 0))
    if lut is None:
        return None
    table, first, bits = lut
    # Some tables exceed the depth that they declare.
    highest = max(2**bits - 1, int(table.max()))
    return windowing.look_up(values, table / np.float32(highest), first)


def _by_window(dataset: Dataset, values: Values) -> Grey | None:
    center, width = number(dataset, "WindowCenter"), number(dataset, "WindowWidth")
    if center is None or width is None:
        return None
    function = str(element(dataset, "VOILUTFunction") or "LINEAR").strip().upper()
    if function not in _FUNCTIONS:
        function = "LINEAR"
    try:
        return windowing.window(values, center, width, function)  # type: ignore[arg-type]
    except ValueError:
        return None


def _lut(
    dataset: Dataset, keyword: str, *, signed: bool
) -> tuple[Values, int, int] | None:
    """Return (table, value of its first entry, bits), or ``None`` if there is none."""
    try:
        item = dataset[keyword].value[0]
        entries, first, bits = (int(v) for v in item.LUTDescriptor)
        table = _table(item.LUTData, entries or 2**16)
    except Exception:  # absent, empty, or damaged: the next way to a grey is taken
        return None
    if not 1 <= bits <= 16 or not len(table):
        return None
    # The descriptor's VR may be ambiguous, so its sign is put right here.
    if signed and first >= 2**15:
        first -= 2**16
    elif not signed and first < 0:
        first += 2**16
    return table, first, bits


def _table(data: Any, entries: int) -> Values:
    if isinstance(data, bytes):
        wide = len(data) >= 2 * entries
        return np.frombuffer(data, "<u2" if wide else np.uint8)[:entries]
    return np.asarray(data, np.uint16)[:entries]

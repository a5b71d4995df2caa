"""DICOM's way from stored values to greys: modality, VOI, then presentation."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from napari_wsseg.io.dicom.header import Header, header_number, header_text
from napari_wsseg.ops import windowing
from napari_wsseg.ops.windowing import Grey, Values

BESIDE = "its window shows none of its values; the percentiles were taken"

_FUNCTIONS = ("LINEAR", "LINEAR_EXACT", "SIGMOID")


class Greys(NamedTuple):
    """(H, W) greys in [0, 1], bright is dense; and what was odd on the way."""

    pixels: Grey
    remarks: tuple[str, ...]


def to_grey(dataset: Dataset, stored: Values, header: Header) -> Greys:
    """Return greys of stored values.

    Modality LUT or rescale; then VOI LUT, else window, else the 0.5 and 99.5
    percentiles; and only then inversion, because windows are given in values before
    it (PS3.4 N.2.1). MONOCHROME1 and a presentation shape of INVERSE say the same and
    invert once. Padding is black and does not count for percentiles.

    Parameters
    ----------
    dataset
        The film's header.
    stored : (H, W) integers
        Pixel values as stored, signed or not.
    header
        Its checked sizes, and how a stored value is to be read.
    """
    padding = _padding(dataset, stored, header)
    values, lowest = _modality(dataset, stored, header)
    grey, remarks = _voi(dataset, values, padding, header, signed=lowest < 0)
    if _is_inverse(dataset, header):
        grey = windowing.invert(grey)
    if padding is not None:
        grey[padding] = 0
    return Greys(grey, remarks)


def _is_inverse(dataset: Dataset, header: Header) -> bool:
    shape = header_text(dataset, "PresentationLUTShape").upper()
    return header.photometric == "MONOCHROME1" or shape == "INVERSE"


def _padding(
    dataset: Dataset, stored: Values, header: Header
) -> NDArray[np.bool_] | None:
    """Return where the detector saw nothing, or ``None`` (PS3.3 C.7.5.1.1.2)."""
    first = header_number(dataset, "PixelPaddingValue")
    if first is None:
        return None
    last = header_number(dataset, "PixelPaddingRangeLimit")
    bounds = sorted(
        _as_stored(value, header) for value in (first, first if last is None else last)
    )
    padding = (stored >= bounds[0]) & (stored <= bounds[1])
    # A padding value that leaves nothing to see is a mistake of the header.
    return padding if padding.any() and not padding.all() else None


def _as_stored(value: float, header: Header) -> float:
    """Put right a value that was written with the other sign than the pixels have."""
    turn = 2.0**header.bits_allocated
    if header.signed and value >= turn / 2:
        return value - turn
    return value + turn if not header.signed and value < 0 else value


def _modality(dataset: Dataset, stored: Values, header: Header) -> tuple[Values, float]:
    """Return the modality's values, and the lowest that a pixel could have."""
    lut = _lut(dataset, "ModalityLUTSequence", header, signed=header.signed)
    if lut is not None:
        table, first, _ = lut
        return windowing.look_up(stored, table, first), 0.0
    low = -(2.0 ** (header.bits_stored - 1)) if header.signed else 0.0
    high = low + 2.0**header.bits_stored - 1
    slope = header_number(dataset, "RescaleSlope") or 1.0
    intercept = header_number(dataset, "RescaleIntercept") or 0.0
    ends = low * slope + intercept, high * slope + intercept
    # What float32 cannot hold is no rescale but damage, and nan compares with nothing.
    if not max(abs(ends[0]), abs(ends[1])) < 1e30:
        slope, intercept, ends = 1.0, 0.0, (low, high)
    return windowing.rescale(stored, slope, intercept), min(ends)


def _voi(
    dataset: Dataset,
    values: Values,
    padding: NDArray[np.bool_] | None,
    header: Header,
    *,
    signed: bool,
) -> tuple[Grey, tuple[str, ...]]:
    grey = _by_voi_lut(dataset, values, header, signed=signed)
    if grey is None:
        grey = _by_window(dataset, values)
    valid = None if padding is None else ~padding
    if grey is None:
        return windowing.percentile_window(values, valid=valid), ()
    # A window beside all values shows a black film: it is worth less than none.
    if grey.min() == grey.max() and values.min() < values.max():
        return windowing.percentile_window(values, valid=valid), (BESIDE,)
    return grey, ()


def _by_voi_lut(
    dataset: Dataset, values: Values, header: Header, *, signed: bool
) -> Grey | None:
    # Its input is signed when the modality's output can be below zero.
    lut = _lut(dataset, "VOILUTSequence", header, signed=signed)
    if lut is None:
        return None
    table, first, bits = lut
    # Some tables exceed the depth that they declare.
    highest = max(2**bits - 1, int(table.max()))
    return windowing.look_up(values, table / np.float32(highest), first)


def _by_window(dataset: Dataset, values: Values) -> Grey | None:
    center, width = (
        header_number(dataset, "WindowCenter"),
        header_number(dataset, "WindowWidth"),
    )
    if center is None or width is None:
        return None
    function = header_text(dataset, "VOILUTFunction").upper()
    if function not in _FUNCTIONS:
        function = "LINEAR"
    try:
        return windowing.apply_window(values, center, width, function)  # type: ignore[arg-type]
    except ValueError:
        return None


def _lut(
    dataset: Dataset, keyword: str, header: Header, *, signed: bool
) -> tuple[Values, int, int] | None:
    """Return (table, value of its first entry, bits), or ``None`` if there is none."""
    try:
        item = dataset[keyword].value[0]
        entries, first, bits = (int(v) for v in item.LUTDescriptor)
        # 65536 entries are written as 0, which a descriptor with a sign misreads.
        entries = entries % 2**16 or 2**16
        table = _table(item.LUTData, entries, header)
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


def _table(data: Any, entries: int, header: Header) -> Values:
    if isinstance(data, bytes):
        # Words keep the file's byte order; entries of 8 bits may lie two in a word.
        dtype = "<u2" if header.little_endian else ">u2"
        if len(data) >= 2 * entries:
            return np.frombuffer(data[: 2 * entries], dtype)
        packed = np.frombuffer(data[: len(data) & ~1], dtype).astype("<u2")
        return packed.view(np.uint8)[:entries]
    return np.asarray(data, np.uint16)[:entries]

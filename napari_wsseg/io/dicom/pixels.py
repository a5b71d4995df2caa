"""A film's pixel data: held against its header, then decoded."""

from __future__ import annotations

import numpy as np
from pydicom.dataset import Dataset
from pydicom.encaps import generate_fragments, parse_basic_offsets
from pydicom.pixels.utils import pixel_array
from pydicom.uid import (
    JPEG2000,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    RLELossless,
)

from napari_wsseg.io.dicom import codestream as _codestream
from napari_wsseg.io.dicom import jpeg_plugin as _jpeg_plugin
from napari_wsseg.io.dicom.header import Header, plain_value
from napari_wsseg.jobs import DataError
from napari_wsseg.ops.windowing import Values

#: One decoder each: where a film is damaged, trying the next only takes as long again.
#: The faster one of run lengths ends in a panic over damaged ones.
_DECODERS = {
    RLELossless: "pydicom",
    JPEG2000: "pylibjpeg",
    JPEG2000Lossless: "pylibjpeg",
    JPEGBaseline8Bit: "pillow",
    **dict.fromkeys(_jpeg_plugin.SYNTAXES, _jpeg_plugin.NAME),
}
_jpeg_plugin.register()

_BLOCK = 2048
"""Bytes that a file may be filled up to."""


def stored(dataset: Dataset, header: Header) -> Values:
    """Return the (H, W) stored values, or (H, W, 3) uint8 red, green and blue.

    Parameters
    ----------
    dataset
        Holds the pixel data, native or encapsulated (PS3.5 section 8.2).
    header
        What `napari_wsseg.io.dicom.header.check` made of `dataset`.

    Returns
    -------
    (H, W) integers or (H, W, 3) uint8
        Before modality LUT and window (PS3.3 C.11); bits that are not stored are
        cleared.

    Raises
    ------
    DataError
        The pixel data contradicts the header or cannot be decoded.
    """
    if header.syntax.is_encapsulated:
        _check_compressed(dataset, header)
    else:
        _check_native(dataset, header)
    try:
        values = pixel_array(
            dataset,
            index=0,
            correct_unused_bits=False,
            decoding_plugin=_DECODERS.get(header.syntax, ""),
        )
    except Exception as error:  # each decoder has errors of its own
        raise DataError(
            f"pixels cannot be decoded ({_line(error)}); the file is damaged"
        ) from error
    expected = (header.rows, header.columns) + ((3,) if header.samples == 3 else ())
    if values.shape != expected:
        raise DataError(
            f"decodes to {values.shape}, the header says "
            f"{header.rows} × {header.columns}"
        )
    if header.samples == 3:
        return values
    return _unused_bits_cleared(dataset, header, values)


def _check_native(dataset: Dataset, header: Header) -> None:
    data = dataset.PixelData
    expected = header.rows * header.columns * header.bits_allocated // 8
    # Two pixels of YBR_FULL_422 share their colour (PS3.3 C.7.6.3.1.2).
    expected *= 2 if header.photometric == "YBR_FULL_422" else header.samples
    if len(data) < expected:
        raise DataError(
            f"truncated: {len(data)} bytes of pixels where the header "
            f"promises {expected}"
        )
    # What fills up to a block is padding, whatever it holds (PS3.5 8.1.1); more than
    # that contradicts the header unless it is blank.
    spare = data[expected:]
    if len(spare) >= expected or (len(spare) > _BLOCK and spare.strip(b"\x00")):
        raise DataError(
            f"{len(data)} bytes of pixels where the header promises {expected}"
        )


def _check_compressed(dataset: Dataset, header: Header) -> None:
    data = dataset.PixelData
    try:
        frames = len(parse_basic_offsets(data))
        fragments = generate_fragments(data)
        next(fragments)  # the offset table
        if header.syntax == RLELossless:
            stream = None
            _check_run_lengths(data, header)
        else:
            # A frame may lie in fragments of any size, its header across several.
            stream = _codestream.describe(b"".join(fragments))
    except DataError:
        raise
    except Exception as error:  # damaged item headers raise nearly anything
        raise DataError(f"compressed pixels are damaged ({_line(error)})") from error
    if frames > 1:
        raise DataError(f"{frames} frames of pixels where the header has one")
    if stream is not None:
        _check_stream(stream, header)


def _check_stream(stream: _codestream.Stream, header: Header) -> None:
    if stream[:3] != (header.rows, header.columns, header.samples):
        raise DataError(
            f"the compressed image is {stream.rows} × {stream.columns} × "
            f"{stream.samples}, the header says {header.rows} × {header.columns} × "
            f"{header.samples}"
        )
    if stream.bits > header.bits_allocated:
        raise DataError(
            f"the compressed image has {stream.bits} bits a pixel, the header "
            f"allots {header.bits_allocated}"
        )


def _check_run_lengths(data: bytes, header: Header) -> None:
    """Refuse more runs than the film's bytes need: they would unpack to far more.

    PackBits makes at most 129 bytes of 128, by row (PS3.5 annex G.3).
    """
    rows = header.rows * header.samples * header.bits_allocated // 8
    if len(data) > 1.1 * rows * header.columns + 8 * rows + 1024:
        raise DataError(
            f"{len(data)} bytes of run lengths, more than {header.rows} × "
            f"{header.columns} pixels can need"
        )


def _unused_bits_cleared(dataset: Dataset, header: Header, values: Values) -> Values:
    bits, signed = header.bits_stored, header.signed
    above = header.high_bit + 1 - bits
    if above and not header.syntax.is_encapsulated:
        return _shifted_down(header, values, above)
    low = -(2 ** (bits - 1)) if signed else 0
    high = low + 2**bits - 1
    if low <= values.min() and values.max() <= high:
        return values
    if signed or _holds_overlay(dataset):
        spare = 8 * values.dtype.itemsize - bits
        return np.asarray((values << spare) >> spare)
    raise DataError(
        f"values up to {values.max()} where the header promises {bits} bits "
        f"(at most {high})"
    )


def _shifted_down(header: Header, values: Values, above: int) -> Values:
    """Take values that lie in the upper bits, as files before 2004 may have them."""
    if (values & (2**above - 1)).any():
        raise DataError(
            f"the high bit {header.high_bit} of {header.bits_stored} bits "
            f"stored says that the lowest {above} are unused, but they are not"
        )
    spare = header.bits_allocated - header.high_bit - 1
    return np.asarray((values << spare) >> (spare + above))


def _holds_overlay(dataset: Dataset) -> bool:
    """Whether the unused bits hold an overlay, as files before 2004 may have."""
    return any((0x6000 + 2 * n, 0x0102) in dataset for n in range(16))


def _line(error: Exception) -> str:
    _, _, each = str(error).partition("plugins:")
    return plain_value(each or str(error)) or type(error).__name__

"""What a DICOM header promises about its pixels, checked before any is decoded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydicom.dataset import Dataset
from pydicom.encaps import generate_fragments
from pydicom.pixels.decoders.base import get_decoder
from pydicom.uid import (
    UID,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    RLELossless,
)

from napari_wsseg.io import _codestream, _film
from napari_wsseg.jobs import DataError

_GREY = ("MONOCHROME1", "MONOCHROME2")


@dataclass(frozen=True, slots=True)
class Header:
    """The checked promise: sizes and how a stored value is to be read."""

    rows: int
    columns: int
    bits_allocated: int
    bits_stored: int
    signed: bool
    photometric: str


def check(path: Path, dataset: Dataset) -> Header:
    """Check that `dataset` holds one grey film whose bytes fit its header.

    Raises
    ------
    DataError
        With the one reason why it cannot be read.
    """
    if "PixelData" not in dataset:
        kind = element(dataset, "Modality") or "unknown kind"
        raise DataError(f"{path}: holds no pixel data ({kind})")
    header = _described(path, dataset)
    syntax = _syntax(path, dataset)
    if syntax.is_encapsulated:
        _check_compressed(path, dataset, header, syntax)
    else:
        _check_native(path, dataset, header)
    return header


def element(dataset: Dataset, keyword: str) -> Any:
    """Return an element's value, or ``None`` if it is absent, empty or nonsense.

    Only for what can be done without: a broken window must not cost the film.
    """
    try:
        value = dataset.get(keyword)
    except Exception:  # pydicom converts on access and raises nearly anything
        return None
    return None if value in ("", b"") else value


def number(dataset: Dataset, keyword: str) -> float | None:
    """Return an element's (first) value as a number, or ``None``."""
    value = element(dataset, keyword)
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        value = value[0] if len(value) else None
    try:
        return None if value is None else float(value)
    except (TypeError, ValueError):
        return None


def _described(path: Path, dataset: Dataset) -> Header:
    photometric = str(element(dataset, "PhotometricInterpretation") or "").strip()
    samples = number(dataset, "SamplesPerPixel")
    if photometric not in _GREY or samples not in (1, None):
        raise DataError(
            f"{path}: {photometric or 'no photometric interpretation'} with "
            f"{samples or 1:.0f} samples a pixel, not a grey film; export it as "
            "MONOCHROME2"
        )
    frames = number(dataset, "NumberOfFrames")
    if frames not in (None, 1):
        raise DataError(
            f"{path}: {frames:.0f} frames; a radiograph has one, export them singly"
        )
    rows, columns = _whole(path, dataset, "Rows"), _whole(path, dataset, "Columns")
    _film.check_shape(path, rows, columns)
    allocated = _whole(path, dataset, "BitsAllocated")
    stored = _whole(path, dataset, "BitsStored")
    high = number(dataset, "HighBit")
    if allocated not in (8, 16) or not 1 <= stored <= allocated:
        raise DataError(
            f"{path}: {stored} bits stored in {allocated}; a film has 1 to 16 bits, "
            "in 8 or 16"
        )
    if high is not None and high >= allocated:
        raise DataError(f"{path}: high bit {high:.0f} lies outside {allocated} bits")
    signed = number(dataset, "PixelRepresentation")
    if signed not in (0, 1, None):
        raise DataError(f"{path}: pixel representation {signed:.0f} is neither 0 nor 1")
    return Header(rows, columns, allocated, stored, signed == 1, photometric)


def _whole(path: Path, dataset: Dataset, keyword: str) -> int:
    value = number(dataset, keyword)
    if value is None or value != int(value):
        raise DataError(f"{path}: {keyword} is missing or not a number")
    return int(value)


def _syntax(path: Path, dataset: Dataset) -> UID:
    """Return the transfer syntax, worked out from the bytes if it is not named."""
    named = element(dataset.file_meta, "TransferSyntaxUID")
    if named is None:
        implicit, little = dataset.original_encoding
        named = ImplicitVRLittleEndian if implicit else ExplicitVRLittleEndian
        if not little:
            named = ExplicitVRBigEndian
        # Said aloud, because pydicom decodes nothing without it.
        dataset.file_meta.TransferSyntaxUID = named
    syntax = UID(named)
    try:
        decoder = get_decoder(syntax)
    except NotImplementedError as error:
        raise DataError(
            f"{path}: transfer syntax {syntax.name} cannot be read; export it as "
            "Explicit VR Little Endian or JPEG 2000"
        ) from error
    if not decoder.is_available:
        needed = "; ".join(decoder.missing_dependencies)
        raise DataError(
            f"{path}: {syntax.name} needs a decoder that is not installed: {needed}"
        )
    return syntax


def _check_native(path: Path, dataset: Dataset, header: Header) -> None:
    data = _bytes(path, dataset)
    expected = header.rows * header.columns * header.bits_allocated // 8
    if len(data) < expected:
        raise DataError(
            f"{path}: truncated: {len(data)} bytes of pixels where the header "
            f"promises {expected}"
        )
    # Some devices fill up to a block; anything but blanks contradicts the header.
    if len(data) >= 2 * expected or data[expected:].strip(b"\x00"):
        raise DataError(
            f"{path}: {len(data)} bytes of pixels where the header promises {expected}"
        )


def _check_compressed(
    path: Path, dataset: Dataset, header: Header, syntax: UID
) -> None:
    data = _bytes(path, dataset)
    try:
        fragments = generate_fragments(data)
        next(fragments)  # the offset table
        first = next(fragments, b"")
        if syntax == RLELossless:
            return
        stream = _codestream.describe(first)
    except Exception as error:  # damaged item headers raise nearly anything
        raise DataError(f"{path}: compressed pixels are damaged ({error})") from error
    if stream != (header.rows, header.columns, 1):
        raise DataError(
            f"{path}: the compressed image is {stream.rows} × {stream.columns} × "
            f"{stream.samples}, the header says {header.rows} × {header.columns} × 1"
        )


def _bytes(path: Path, dataset: Dataset) -> bytes:
    data = dataset.PixelData
    if not isinstance(data, bytes) or not data:
        raise DataError(f"{path}: holds no pixel data (the element is empty)")
    return data

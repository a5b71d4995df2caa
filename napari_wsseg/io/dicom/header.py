"""What a DICOM header promises about its pixels, checked before any is decoded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.dataset import Dataset
from pydicom.pixels.decoders.base import get_decoder
from pydicom.uid import (
    UID,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from napari_wsseg.io.films import limits as _limits
from napari_wsseg.jobs import DataError

_GREY = ("MONOCHROME1", "MONOCHROME2")
_COLOUR = ("RGB", "YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT")
"""What a screen saved as secondary capture comes in; palettes are refused."""


@dataclass(frozen=True, slots=True)
class Header:
    """The checked promise: sizes and how a stored value is to be read.

    Parameters
    ----------
    samples
        1 for greys, 3 for colours.
    little_endian
        Byte order of what pydicom leaves as bytes, such as tables.
    """

    rows: int
    columns: int
    samples: int
    bits_allocated: int
    bits_stored: int
    high_bit: int
    signed: bool
    photometric: str
    syntax: UID
    little_endian: bool


def check(dataset: Dataset) -> Header:
    """Check that `dataset` describes one film that can be read.

    Raises
    ------
    DataError
        With the one reason why it cannot.
    """
    if "PixelData" not in dataset:
        kind = header_text(dataset, "Modality") or "unknown kind"
        raise DataError(f"holds no pixel data ({kind})")
    photometric, samples = _kind(dataset)
    frames = header_number(dataset, "NumberOfFrames")
    # 0 is benign and means one: devices write it into an element that one film lacks.
    if frames == 0:
        dataset.NumberOfFrames = 1
    elif frames not in (None, 1):
        raise DataError(
            f"{frames:.0f} frames; a radiograph has one, export them singly"
        )
    rows, columns = _whole_number(dataset, "Rows"), _whole_number(dataset, "Columns")
    _limits.check_shape(rows, columns)
    allocated, stored, high = _bits(dataset, samples)
    signed = _whole_number(dataset, "PixelRepresentation")
    if signed not in (0, 1):
        raise DataError(f"pixel representation {signed} is neither 0 nor 1")
    syntax = _syntax(dataset)
    data = dataset.PixelData
    if not isinstance(data, bytes) or not data:
        raise DataError("holds no pixel data (the element is empty)")
    return Header(
        rows,
        columns,
        samples,
        allocated,
        stored,
        high,
        signed == 1,
        photometric,
        syntax,
        syntax.is_little_endian,
    )


def header_element(dataset: Dataset, keyword: str) -> Any:
    """Return an element's value, or ``None`` if it is absent, empty or nonsense.

    Only for what can be done without: a broken window must not cost the film.
    """
    try:
        value = dataset.get(keyword)
    except Exception:  # pydicom converts on access and raises nearly anything
        return None
    if value in ("", b""):
        return None
    tag = tag_for_keyword(keyword)
    return _with_points(value) if tag and dictionary_VR(tag) == "DS" else value


def _with_points(value: Any) -> Any:
    """Return decimal strings that were written with commas as numbers.

    A comma means nothing else there (PS3.5 6.2, DS); pydicom leaves them as words.
    """
    if isinstance(value, bytes):
        value = value.decode("latin-1")
    values = value.split("\\") if isinstance(value, str) else value
    if not isinstance(values, Sequence) or not all(isinstance(w, str) for w in values):
        return value
    try:
        return [float(word.strip("\x00 ").replace(",", ".")) for word in values]
    except ValueError:
        return value


def header_text(dataset: Dataset, keyword: str, most: int = 32) -> str:
    """Return an element's value as one short printable line, empty if there is none.

    Parameters
    ----------
    dataset, keyword
        Where to look, and the element's keyword (PS3.6 section 6).
    most
        Characters; what follows is cut off.
    """
    return plain_value(str(header_element(dataset, keyword) or ""), most)


def plain_value(text: str, most: int = 200) -> str:
    """Return text from a file as one printable line of at most so many characters."""
    line = "".join(c if c.isprintable() else " " for c in text[: 4 * most])
    return " ".join(line.split())[:most]


def header_number(dataset: Dataset, keyword: str) -> float | None:
    """Return an element's (first) value as a number, or ``None``."""
    value = header_element(dataset, keyword)
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        value = value[0] if len(value) else None
    try:
        return None if value is None else float(value)
    except (TypeError, ValueError):
        return None


def _kind(dataset: Dataset) -> tuple[str, int]:
    """Return how samples are to be seen, and how many a pixel has."""
    photometric = header_text(dataset, "PhotometricInterpretation")
    samples = header_number(dataset, "SamplesPerPixel") or 1
    if photometric in _GREY and samples == 1:
        # Said aloud where it is missing: greys can have no other number.
        dataset.SamplesPerPixel = 1
        return photometric, 1
    if photometric in _COLOUR and samples == 3:
        return photometric, 3
    raise DataError(
        f"{photometric or 'no photometric interpretation'} with "
        f"{samples:.0f} samples a pixel is no film; export it as MONOCHROME2"
    )


def _bits(dataset: Dataset, samples: int) -> tuple[int, int, int]:
    """Return bits allocated, bits stored, and the highest of them."""
    allocated = _whole_number(dataset, "BitsAllocated")
    stored = _whole_number(dataset, "BitsStored")
    if samples == 3 and (allocated, stored) != (8, 8):
        raise DataError(f"colours of {stored} bits in {allocated}; only 8 are read")
    if allocated not in (8, 16) or not 1 <= stored <= allocated:
        raise DataError(
            f"{stored} bits stored in {allocated}; a film has 1 to 16 bits, in 8 or 16"
        )
    high = header_number(dataset, "HighBit")
    if high is None:
        return allocated, stored, stored - 1
    if not stored - 1 <= high < allocated:
        raise DataError(
            f"high bit {high:.0f} cannot be that of {stored} bits stored in {allocated}"
        )
    return allocated, stored, int(high)


def _whole_number(dataset: Dataset, keyword: str) -> int:
    value = header_number(dataset, keyword)
    if value is None or value != int(value):
        raise DataError(f"{keyword} is missing or not a number")
    return int(value)


def _syntax(dataset: Dataset) -> UID:
    """Return the transfer syntax, worked out from the bytes if it is not named."""
    named = header_element(dataset.file_meta, "TransferSyntaxUID")
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
            f"transfer syntax {plain_value(syntax.name, 64)} cannot be read; "
            "export it as Explicit VR Little Endian or JPEG 2000"
        ) from error
    if not decoder.is_available:
        needed = "; ".join(decoder.missing_dependencies)
        raise DataError(
            f"{syntax.name} needs a decoder that is not installed: {needed}"
        )
    return syntax

"""DICOM radiographs: one grey frame, as a radiologist expects to see it."""

from __future__ import annotations

import warnings
import zlib
from pathlib import Path
from typing import Literal

import numpy as np
import pydicom
from pydicom.dataset import Dataset
from pydicom.errors import InvalidDicomError
from pydicom.filereader import read_file_meta_info
from pydicom.pixels.utils import pixel_array
from pydicom.uid import DeflatedExplicitVRLittleEndian

from napari_wsseg.io import _dicom_grey, _dicom_header, _film
from napari_wsseg.io._dicom_header import Header, element
from napari_wsseg.jobs import DataError
from napari_wsseg.ops.windowing import Values
from napari_wsseg.schema import Radiograph

# Every oddity of a file that pydicom warns of is either mended or refused here in
# words; five thousand films would bury a person in the rest.
warnings.filterwarnings("ignore", module=r"pydicom\b", append=True)


def read(path: Path) -> Radiograph:
    """Read one single-frame grey DICOM file.

    Raises
    ------
    DataError
        It cannot be read, with the one reason: no pixels, several frames, colour,
        truncated, contradicting itself, too large, a decoder that is missing.
    """
    path = Path(path)
    _film.check_file(path)
    dataset = _dataset(path)
    header = _checked(path, dataset)
    stored = _stored(path, dataset, header)
    pixels = _dicom_grey.to_grey(dataset, stored, header)
    spacing, kind = _spacing(dataset)
    view = element(dataset, "ViewPosition")
    return Radiograph(
        uid=_film.uid_of(pixels),
        pixels=pixels,
        spacing_mm=spacing,
        spacing_kind=kind,
        bits=max(8, header.bits_stored),
        view=str(view).strip() or None if view else None,
        path=path,
    )


def _dataset(path: Path) -> Dataset:
    try:
        _check_inflated(path)
        dataset = pydicom.dcmread(path)
    except InvalidDicomError:
        return _without_preamble(path)
    except DataError:
        raise
    except Exception as error:  # damaged elements make pydicom raise nearly anything
        raise DataError(f"{path}: damaged DICOM ({_line(error)})") from error
    return dataset


def _without_preamble(path: Path) -> Dataset:
    """Read a data set that starts without DICOM's mark, as some archives keep them."""
    try:
        dataset = pydicom.dcmread(path, force=True)
        if "Rows" in dataset and "PixelData" in dataset:
            return dataset
    except Exception as error:
        raise DataError(f"{path}: not DICOM ({_line(error)})") from error
    raise DataError(f"{path}: not DICOM (no DICM mark, and no image without it)")


def _check_inflated(path: Path) -> None:
    """Refuse a deflated file that would fill the memory, by inflating it in sips."""
    meta = read_file_meta_info(path)
    if element(meta, "TransferSyntaxUID") != DeflatedExplicitVRLittleEndian:
        return
    with open(path, "rb") as file:
        # Preamble, mark, the group length's element, then as many bytes as it says.
        file.seek(128 + 4 + 12 + int(meta.FileMetaInformationGroupLength))
        sips, total, data = zlib.decompressobj(-zlib.MAX_WBITS), 0, file.read()
    while data and not sips.eof:
        total += len(sips.decompress(data, 2**20))
        data = sips.unconsumed_tail
        if total > _film.MAX_FILE_BYTES:
            raise DataError(
                f"{path}: inflates to over {_film.MAX_FILE_BYTES // 2**20} MiB"
            )


def _checked(path: Path, dataset: Dataset) -> Header:
    try:
        return _dicom_header.check(path, dataset)
    except DataError:
        raise
    except Exception as error:
        raise DataError(f"{path}: damaged DICOM ({_line(error)})") from error


def _stored(path: Path, dataset: Dataset, header: Header) -> Values:
    """Decode the (H, W) stored values and check that they keep their promise."""
    try:
        stored = pixel_array(dataset, index=0, correct_unused_bits=False)
    except Exception as error:  # each decoder has errors of its own
        raise DataError(
            f"{path}: pixels cannot be decoded ({_line(error)}); the file is damaged"
        ) from error
    if stored.shape != (header.rows, header.columns):
        raise DataError(
            f"{path}: decodes to {stored.shape}, the header says "
            f"{header.rows} × {header.columns}"
        )
    return _unused_bits_cleared(path, dataset, header, stored)


def _unused_bits_cleared(
    path: Path, dataset: Dataset, header: Header, stored: Values
) -> Values:
    bits, signed = header.bits_stored, header.signed
    low = -(2 ** (bits - 1)) if signed else 0
    high = low + 2**bits - 1
    if low <= stored.min() and stored.max() <= high:
        return stored
    if signed or _holds_overlay(dataset):
        spare = 8 * stored.dtype.itemsize - bits
        return np.asarray((stored << spare) >> spare)
    raise DataError(
        f"{path}: values up to {stored.max()} where the header promises {bits} bits "
        f"(at most {high})"
    )


def _holds_overlay(dataset: Dataset) -> bool:
    """Whether the unused bits hold an overlay, as files before 2004 may have."""
    return any(
        element.tag.group >> 8 == 0x60 and element.tag.element == 0x0102
        for element in dataset.group_dataset(0x6000)
    )


def _spacing(
    dataset: Dataset,
) -> tuple[tuple[float, float] | None, Literal["pixel", "detector"] | None]:
    """Return millimetres between rows and columns, and what they are measured on.

    Pixel Spacing equal to Imager Pixel Spacing is not calibrated (PS3.3 10.7.1.3).
    """
    pixel = _pair(dataset, "PixelSpacing")
    imager = _pair(dataset, "ImagerPixelSpacing")
    if pixel is not None and pixel != imager:
        return pixel, "pixel"
    return (imager, "detector") if imager is not None else (None, None)


def _pair(dataset: Dataset, keyword: str) -> tuple[float, float] | None:
    try:
        row, column = (float(value) for value in element(dataset, keyword))
    except (TypeError, ValueError):
        return None
    return (row, column) if 0 < row < 100 and 0 < column < 100 else None


def _line(error: Exception) -> str:
    text = " ".join(str(error).split())
    return text[:200] or type(error).__name__

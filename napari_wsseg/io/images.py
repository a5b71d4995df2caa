"""Radiographs from any file we know: PNG, JPEG, TIFF, DICOM, told by content.

Depth: 8-bit files are divided by 255. Deeper ones are divided by the largest value of
the bits that they really use (12 bits in a 16-bit PNG by 4095), which is what makes
such a film look as it did before it was exported. An EXIF orientation is obeyed. A
film of the JSRT database, ``.IMG``, has no header and is known by its ending and size.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from napari_wsseg.io.films import deep
from napari_wsseg.io.films import jsrt as _jsrt
from napari_wsseg.io.films import luminance as _luminance
from napari_wsseg.io.films import orientation as _orientation
from napari_wsseg.io.films import source as _source
from napari_wsseg.io.films.limits import check_shape, uid_of
from napari_wsseg.io.films.read import Read, read_film
from napari_wsseg.jobs import DataError, one_line
from napari_wsseg.ops import windowing
from napari_wsseg.schema import Radiograph

DICOM_ENDINGS = (".dcm", ".dicom", ".dic", ".ima")

LUMINANCE = _luminance.LUMINANCE

_MARKS = (
    b"\x89PNG\r\n\x1a\n",
    b"\xff\xd8\xff",
    b"II*\x00",
    b"MM\x00*",
    b"II+\x00",
    b"MM\x00+",
)


def read(path: Path) -> Radiograph:
    """Read one radiograph; see `read_noting`."""
    return read_noting(path).radiograph


def read_noting(path: Path) -> Read:
    """Read one radiograph, with remarks on what was not quite as expected.

    Raises
    ------
    DataError
        Not an image we know, damaged, several pages, too large, or without greys.
    """
    path = Path(path)

    def by_content(file: BinaryIO) -> Read:
        dicom_film = begins_dicom(path, file.read(132))
        file.seek(0)
        if dicom_film:
            from napari_wsseg.io import dicom

            return dicom.read_open(file)
        if path.suffix.lower() == _jsrt.ENDING:
            return Read(_jsrt.read(file))
        return _picture(file)

    return read_film(path, by_content)


def is_dicom(path: Path) -> bool:
    """Whether a file is to be read as DICOM: by its mark, else by its ending.

    A file without either is one if it begins as a data set does that was saved without
    its meta group. A file that cannot be read is none.
    """
    try:
        with _source.opened(path) as file:
            return begins_dicom(path, file.read(132))
    except DataError:
        return False


def begins_dicom(path: Path, head: bytes) -> bool:
    """Whether a file with these first 132 bytes is to be read as DICOM."""
    if head[128:132] == b"DICM":
        return True
    if head.startswith(_MARKS):
        return False
    return path.suffix.lower() in DICOM_ENDINGS or _begins_bare(head)


def _begins_bare(head: bytes) -> bool:
    """Whether the first element is of group 2 or 8, as without preamble and mark."""
    little = head[:2] in (b"\x08\x00", b"\x02\x00") and head[3:4] == b"\x00"
    return little or head[:3] == b"\x00\x08\x00"


class _Picture(NamedTuple):
    """(H, W) greys in [0, 1], the bits they had, and colours if it is a photograph."""

    pixels: NDArray[np.float32]
    bits: int
    colour: NDArray[np.uint8] | None = None


def _picture(file: BinaryIO) -> Read:
    try:
        with warnings.catch_warnings():
            # The cap below is ours, and lower.
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(file, formats=["PNG", "JPEG", "TIFF"]) as image:
                check_shape(image.height, image.width)
                pages = getattr(image, "n_frames", 1)
                if pages > 1:
                    raise DataError(f"{pages} pages; a radiograph has one")
                values = deep.channels(file, image)
                orientation = deep.orientation(image)
                turned = _orientation.load(image)
                if values is None:
                    seen = _greys(image)
                else:
                    seen = _of_deep_channels(image, deep.upright(values, orientation))
    except DataError:
        raise
    except UnidentifiedImageError as error:
        raise DataError("not a PNG, JPEG, TIFF or DICOM image") from error
    except Exception as error:  # damaged files make decoders raise nearly anything
        raise DataError(f"damaged image ({one_line(error)})") from error
    remarks = [LUMINANCE] if seen.colour is not None else []
    remarks += [_orientation.TURNED] if turned else []
    radiograph = Radiograph(
        uid=uid_of(seen.pixels),
        pixels=seen.pixels,
        bits=seen.bits,
        colour=seen.colour,
    )
    return Read(radiograph, tuple(remarks))


def _greys(image: Image.Image) -> _Picture:
    mode = image.mode
    if mode == "1":
        return _Picture(np.asarray(image, np.float32), 8)
    if mode in ("L", "LA", "La"):
        return _Picture(_scaled(np.asarray(image.getchannel(0)), 8), 8)
    if mode.startswith("I"):
        return _deep(image)
    if mode == "F":
        return _Picture(_real(np.asarray(image)), 16)
    if mode in ("P", "PA", "RGB", "RGBA", "RGBX", "YCbCr"):
        colours = np.asarray(image.convert("RGB"))
        greys, coloured = _luminance.luminance(colours)
        return _Picture(greys, 8, colours if coloured else None)
    raise DataError(f"pixels of kind {mode}, not greys; export 8-bit grey")


def _of_deep_channels(image: Image.Image, values: NDArray[np.uint16]) -> _Picture:
    """Return greys of 16-bit channels, the last of 2 or 4 being opacity."""
    if values.shape[2] == 2:
        values = values[:, :, :1]
    bits = max(8, int(values[:, :, :3].max()).bit_length())
    greys, coloured = _luminance.deep_luminance(values, bits)
    return _Picture(greys, bits, np.asarray(image.convert("RGB")) if coloured else None)


def _deep(image: Image.Image) -> _Picture:
    values = np.asarray(image)
    low, high = int(values.min()), int(values.max())
    if low < 0 or high > 65535:
        raise DataError(f"values from {low} to {high}; 0 to 65535 are read")
    bits = max(8, high.bit_length())
    greys = _scaled(values, bits)
    return _Picture(
        windowing.invert(greys) if deep.white_is_zero(image) else greys, bits
    )


def _real(values: NDArray[np.float32]) -> NDArray[np.float32]:
    if not np.isfinite(values).all() or values.min() < 0 or values.max() > 1:
        raise DataError(
            "real values outside 0 to 1 have no agreed grey; scale them first"
        )
    return values.astype(np.float32)


def _scaled(values: NDArray[Any], bits: int) -> NDArray[np.float32]:
    return values.astype(np.float32) / np.float32(2**bits - 1)

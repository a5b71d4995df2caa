"""Pictures of 16 bits a channel, which Pillow reads as 8, and what TIFF calls white."""

from __future__ import annotations

from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image

_PHOTOMETRIC, _BITS, _SAMPLES = 262, 258, 277
_WHITE_IS_ZERO = 0
_PNG_HEAD = 26
_DEPTH, _KIND = 24, 25
_PNG_CHANNELS = {2: 3, 4: 2, 6: 4}
"""Channels by colour type of PNG, of those that Pillow cuts to 8 bits."""


def white_is_zero(image: Image.Image) -> bool:
    """Whether the lowest value of a TIFF is shown white."""
    return _tag(image, _PHOTOMETRIC) == _WHITE_IS_ZERO


def channels(file: BinaryIO, image: Image.Image) -> NDArray[np.uint16] | None:
    """Return (H, W, 2 to 4) values of 16 bits as they are stored, or ``None``.

    Parameters
    ----------
    file
        Of `image`; is read from its start, and left anywhere.
    image
        Its size was checked.
    """
    file.seek(0)
    head = file.read(_PNG_HEAD)
    file.seek(0)
    values: Any = None
    if image.format == "PNG" and head[_DEPTH] == 16 and head[_KIND] in _PNG_CHANNELS:
        import imagecodecs

        values = imagecodecs.png_decode(file.read())
    elif image.format == "TIFF" and _is_deep_tiff(image):
        import tifffile

        with tifffile.TiffFile(file) as tiff:
            page = tiff.pages[0]
            values = page.asarray()
            if page.planarconfig == tifffile.PLANARCONFIG.SEPARATE:
                values = np.moveaxis(values, 0, -1)
    if values is None or values.ndim != 3 or values.dtype != np.uint16:
        return None
    return np.ascontiguousarray(values)


def upright(values: NDArray[Any], orientation: int) -> NDArray[Any]:
    """Return stored rows and columns as an EXIF orientation has them seen."""
    if orientation >= 5:
        values = values.swapaxes(0, 1)
    mirrored = orientation in (2, 3, 6, 7)
    flipped = orientation in (3, 4, 7, 8)
    return np.ascontiguousarray(
        values[:: -1 if flipped else 1, :: -1 if mirrored else 1]
    )


def orientation(image: Image.Image) -> int:
    """Return the EXIF orientation of a picture, 1 where it has none."""
    try:
        value = image.getexif().get(ExifTags.Base.Orientation, 1)
    except Exception:  # a damaged tag costs no film
        return 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def _is_deep_tiff(image: Image.Image) -> bool:
    bits = _tag(image, _BITS)
    return isinstance(bits, tuple) and len(bits) > 1 and set(bits) == {16}


def _tag(image: Image.Image, number: int) -> object:
    tags = getattr(image, "tag_v2", None)
    return None if tags is None else tags.get(number)

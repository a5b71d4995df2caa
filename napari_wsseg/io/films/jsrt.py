"""Films of the JSRT database: 2048 rows and columns of 12 bits, no header.

Each value is two bytes, the higher first, and the lowest is shown white, as the
database describes its files (Shiraishi et al., AJR 2000; 174: 71-74).
"""

from __future__ import annotations

from typing import BinaryIO

import numpy as np

from napari_wsseg.io.films.limits import uid_of
from napari_wsseg.jobs import DataError
from napari_wsseg.schema import Radiograph

ENDING = ".img"
SIDE = 2048
SPACING = 0.175
"""Millimetres between pixels of the scanned film."""

_BITS = 12
_BYTES = SIDE * SIDE * 2


def read(file: BinaryIO) -> Radiograph:
    """Read a film from a file that is open.

    Raises
    ------
    DataError
        Of another size, or with more than 12 bits.
    """
    data = file.read(_BYTES + 1)
    if len(data) != _BYTES:
        raise DataError(
            f"not a film of the JSRT database, which has {_BYTES} bytes; "
            "export it as PNG, TIFF or DICOM"
        )
    values = np.frombuffer(data, ">u2").reshape(SIDE, SIDE)
    if int(values.max()) >= 2**_BITS:
        raise DataError(
            f"values up to {values.max()}; films of the JSRT database have {_BITS} bits"
        )
    pixels = 1 - values.astype(np.float32) / np.float32(2**_BITS - 1)
    return Radiograph(
        uid=uid_of(pixels),
        pixels=pixels,
        spacing_mm=(SPACING, SPACING),
        spacing_kind="detector",
        bits=_BITS,
    )

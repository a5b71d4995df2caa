"""What a compressed image says of itself, read without decompressing it.

A file may claim 64 × 64 pixels in its header and hold a stream of 60 000 × 60 000: the
stream's own words are checked before any decoder sees it.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

_JP2_SIGNATURE = b"\x00\x00\x00\x0cjP  "
_J2K_START = b"\xff\x4f\xff\x51"
#: Start-of-frame markers of JPEG (ITU-T T.81 table B.1) and of JPEG-LS (T.87, F7).
_FRAMES = {*range(0xC0, 0xD0), 0xF7} - {0xC4, 0xC8, 0xCC}
_WITHOUT_LENGTH = {0x01, 0xD8, *range(0xD0, 0xD8)}


class Stream(NamedTuple):
    """Size of a compressed image in its own words, and bits of a sample."""

    rows: int
    columns: int
    samples: int
    bits: int


def describe(data: bytes) -> Stream:
    """Read the size in the header of a JPEG, JPEG-LS or JPEG 2000 stream.

    Raises
    ------
    ValueError
        It is none of them, or ends before it says its size.
    """
    try:
        if data.startswith(_JP2_SIGNATURE):
            start = data.find(_J2K_START)
            if start < 0:
                raise ValueError("a JP2 file without a JPEG 2000 stream")
            data = data[start:]
        if data.startswith(_J2K_START):
            return _jpeg_2000(data)
        if data.startswith(b"\xff\xd8"):
            return _jpeg(data)
    except (struct.error, IndexError) as error:
        raise ValueError("the compressed image ends in its header") from error
    raise ValueError("neither JPEG, JPEG-LS nor JPEG 2000")


def _jpeg_2000(data: bytes) -> Stream:
    # SIZ segment: length, capabilities, then the grid (ITU-T T.800 table A.9).
    right, bottom, left, top = struct.unpack_from(">4I", data, 8)
    (samples,) = struct.unpack_from(">H", data, 40)
    # Ssiz of the first component: its sign, then its bits less one.
    return Stream(bottom - top, right - left, samples, (data[42] & 0x7F) + 1)


def _jpeg(data: bytes) -> Stream:
    place = 2
    while True:
        if data[place] != 0xFF:
            raise ValueError(f"no JPEG marker at byte {place}")
        marker = data[place + 1]
        if marker == 0xFF:  # fill byte
            place += 1
        elif marker in _WITHOUT_LENGTH:
            place += 2
        elif marker in _FRAMES:
            bits, rows, columns, samples = struct.unpack_from(">BHHB", data, place + 4)
            return Stream(rows, columns, samples, bits)
        elif marker in (0xD9, 0xDA):
            raise ValueError("image data before the JPEG frame header")
        else:
            place += 2 + struct.unpack_from(">H", data, place + 2)[0]

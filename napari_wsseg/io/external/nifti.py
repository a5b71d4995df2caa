"""The bytes of a NIfTI file of one slice, unpacked no further than a slice goes."""

from __future__ import annotations

import math
import struct
import zlib
from pathlib import Path
from typing import BinaryIO

from napari_wsseg.io.films import limits as _limits
from napari_wsseg.jobs import DataError

MAX_HEADER = 2**20
"""Header and extensions: where the values begin; without extensions it is 352."""

MAX_BYTES = _limits.MAX_PIXELS * 8

_SIP = 2**20
_BITS = {2: 8, 4: 16, 8: 32, 16: 32, 32: 64, 64: 64, 128: 24, 256: 8, 512: 16}
_BITS |= {768: 32, 1024: 64, 1280: 64, 1536: 128, 1792: 128, 2304: 32}


def bounded(path: Path) -> bytes:
    """Return the file's bytes, unpacked if they are packed.

    Raises
    ------
    DataError
        No NIfTI-1 or -2 header, or values that begin later or are more than those of
        one slice.
    """
    _limits.check_file(path)
    with path.open("rb") as file:
        packed = file.read(2) == b"\x1f\x8b"
        file.seek(0)
        source: _Sips | BinaryIO = _Sips(file) if packed else file
        try:
            head = source.read(MAX_HEADER)
            begin, size = _extent(head)
            _check(path, begin, size)
            return head + source.read(max(0, begin + size - len(head)))
        except (struct.error, OverflowError, zlib.error, ValueError) as error:
            raise DataError(f"{path}: not NIfTI ({error})") from error


def _check(path: Path, begin: float, size: int) -> None:
    if not 0 <= begin <= MAX_HEADER:
        raise DataError(f"{path}: its values begin at byte {begin:.0f}; damaged")
    if not 0 < size <= MAX_BYTES:
        raise DataError(f"{path}: {size / 2**20:.0f} MiB of values; not a single slice")


def _extent(head: bytes) -> tuple[int, int]:
    """Return where the values begin, and how many bytes they are."""
    for order in "<>":
        (length,) = struct.unpack_from(f"{order}i", head)
        if length == 348:
            dims = struct.unpack_from(f"{order}8h", head, 40)
            kind, _ = struct.unpack_from(f"{order}2h", head, 70)
            (begin,) = struct.unpack_from(f"{order}f", head, 108)
        elif length == 540:
            dims = struct.unpack_from(f"{order}8q", head, 16)
            kind, _ = struct.unpack_from(f"{order}2h", head, 12)
            (begin,) = struct.unpack_from(f"{order}q", head, 168)
        else:
            continue
        if not 1 <= dims[0] <= 7 or kind not in _BITS:
            raise ValueError(f"{dims[0]} axes of values of kind {kind}")
        return int(begin), math.prod(dims[1 : 1 + dims[0]]) * _BITS[kind] // 8
    raise ValueError("no header")


class _Sips:
    """A gzip stream that is unpacked as far as it is asked for."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._stream = zlib.decompressobj(16 + zlib.MAX_WBITS)

    def read(self, count: int) -> bytes:
        """Return the next `count` bytes, or fewer at the end."""
        parts, missing = [], count
        while missing > 0 and not self._stream.eof:
            data = self._stream.unconsumed_tail or self._file.read(_SIP)
            if not data:
                break
            parts.append(self._stream.decompress(data, missing))
            missing -= len(parts[-1])
        return b"".join(parts)

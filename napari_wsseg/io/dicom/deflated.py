"""Deflated DICOM files, guarded: what they inflate to is known before it is."""

from __future__ import annotations

import zlib
from itertools import islice
from typing import BinaryIO

from pydicom.filereader import data_element_generator
from pydicom.tag import Tag
from pydicom.uid import DeflatedExplicitVRLittleEndian

from napari_wsseg.io.films import limits as _limits
from napari_wsseg.jobs import DataError

MAX_BYTES = 160 * 2**20
"""A film of the largest size at 16 bits takes 100 MB; pydicom keeps it twice."""

MAX_META = 1000
"""Elements of the meta group; the standard has some twenty."""

_SYNTAX = Tag("TransferSyntaxUID")


def check(file: BinaryIO) -> None:
    """Refuse a deflated file that would fill the memory, by inflating it in sips.

    Raises
    ------
    DataError
    """
    file.seek(128)
    if file.read(4) != b"DICM":
        return
    # The meta group, always Explicit VR Little Endian (PS3.10 7.1), to its end.
    elements = data_element_generator(
        file, False, True, lambda tag, vr, length: tag >> 16 != 2
    )
    meta = {raw.tag: raw.value for raw in islice(elements, MAX_META)}
    syntax = bytes(meta.get(_SYNTAX) or b"").decode("latin-1").strip("\0 ")
    if syntax != DeflatedExplicitVRLittleEndian:
        return
    sips, total, data = zlib.decompressobj(-zlib.MAX_WBITS), 0, file.read()
    while data and not sips.eof:
        total += len(sips.decompress(data, 2**20))
        data = sips.unconsumed_tail
        if total > min(MAX_BYTES, _limits.MAX_FILE_BYTES):
            raise DataError(f"inflates to over {total // 2**20} MiB")

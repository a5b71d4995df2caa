"""What is asked of a DICOM file before it is parsed: its order, and how much is in it.

pydicom reads any bytes as elements, one Python object each: half a gigabyte of zeros
would be sixty million of them.
"""

from __future__ import annotations

from itertools import islice
from typing import BinaryIO

from pydicom.filereader import data_element_generator, read_partial
from pydicom.tag import BaseTag

from napari_wsseg.io.dicom import deflated
from napari_wsseg.jobs import DataError

MAX_ELEMENTS = 20_000
"""Top-level elements before the pixels; films have some hundred."""

MAX_ITEMS = 100_000
"""Items of sequences, as of a DICOMDIR's records; a full disc has a tenth."""

_PIXELS = 0x7FE00010
_MISPLACED = 64
"""Elements that may stand before one of a lower tag, as careless writers have them."""

_ITEM = b"\xfe\xff\x00\xe0"
_SIP = 2**20


def check(file: BinaryIO) -> None:
    """Refuse a file that would take memory or time without end; leave it at its start.

    Raises
    ------
    DataError
        It inflates to too much, has too many elements, or they are in no order.
    """
    deflated.check(file)
    _check_begin(file)
    count = misplaced = 0
    last = BaseTag(0)

    def stop(tag: BaseTag, vr: str | None, length: int) -> bool:
        nonlocal count, misplaced, last
        count, misplaced, last = count + 1, misplaced + (tag <= last), tag
        if count > MAX_ELEMENTS or misplaced > _MISPLACED:
            raise DataError("no DICOM film: its elements are in no order")
        return bool(tag >= _PIXELS)

    file.seek(0)
    try:
        read_partial(file, stop, force=True, specific_tags=[BaseTag(0x00100020)])
    except DataError:
        raise
    except Exception:  # damaged elements: the reader itself says which
        pass
    finally:
        file.seek(0)


def _check_begin(file: BinaryIO) -> None:
    """Refuse endless meta elements, and commands, of which a film has none."""
    file.seek(128)
    count = 0
    if file.read(4) == b"DICM":
        elements = data_element_generator(
            file, False, True, lambda tag, vr, length: tag >> 16 != 2
        )
        count = sum(1 for _ in islice(elements, deflated.MAX_META))
    else:
        file.seek(0)
    if count == deflated.MAX_META or file.read(2) == b"\0\0":
        raise DataError("no DICOM film: its elements are in no order")


def check_items(file: BinaryIO) -> None:
    """Refuse a file with too many items of sequences; leave it at its start.

    Raises
    ------
    DataError
    """
    file.seek(0)
    count, tail = 0, b""
    while sip := file.read(_SIP):
        count += (tail + sip).count(_ITEM)
        tail = sip[-len(_ITEM) + 1 :]
        if count > MAX_ITEMS:
            raise DataError(f"over {MAX_ITEMS:,} items, more than a disc has")
    file.seek(0)

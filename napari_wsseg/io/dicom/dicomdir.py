"""DICOMDIR: the table of contents of a disc (PS3.3 annex F, PS3.10 clause 8)."""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import BinaryIO

import pydicom
from pydicom.dataset import Dataset

from napari_wsseg.io.dicom import guard
from napari_wsseg.io.dicom.header import header_element, header_text, plain_value
from napari_wsseg.io.films import source as _source
from napari_wsseg.jobs import DataError, naming

NAME = "DICOMDIR"


def images(path: Path) -> list[str]:
    """Return the files that a DICOMDIR lists as images, relative to its folder.

    Parameters
    ----------
    path
        May lead through a zip archive.

    Raises
    ------
    DataError
        It cannot be read, lists nothing, or leads out of its folder.
    """
    with _source.opened(path) as file, naming(path):
        return _listed(file)


def _listed(file: BinaryIO) -> list[str]:
    try:
        guard.check(file)
        guard.check_items(file)
        dataset = pydicom.dcmread(file)
        records = list(dataset.get("DirectoryRecordSequence") or ())
        listed = [_file(record) for record in records if _is_image(record)]
    except DataError:
        raise
    except Exception as error:  # damaged elements make pydicom raise nearly anything
        raise DataError(f"damaged DICOMDIR ({plain_value(str(error))})") from error
    names = list(dict.fromkeys(name for name in listed if name))
    for name in names:
        if ".." in PurePosixPath(name).parts or PurePosixPath(name).is_absolute():
            raise DataError(f"lists {plain_value(name)!r}, outside its folder")
    if not names:
        raise DataError("lists no image")
    return names


def _is_image(record: Dataset) -> bool:
    return header_text(record, "DirectoryRecordType") == "IMAGE"


def _file(record: Dataset) -> str:
    """Return a record's Referenced File ID, whose parts are values (PS3.10 8.2)."""
    parts = header_element(record, "ReferencedFileID")
    if parts is None:
        return ""
    if isinstance(parts, str):
        parts = [parts]
    return "/".join(str(part).strip() for part in parts).replace("\\", "/")

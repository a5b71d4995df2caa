"""An archive by its address, whichever language it speaks: DICOMweb or DIMSE."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from napari_wsseg.io.archives.archive_client import Archive
from napari_wsseg.io.dicomweb import access
from napari_wsseg.io.dicomweb.dicomweb_archive import DicomWebArchive
from napari_wsseg.io.dimse import place
from napari_wsseg.io.dimse.dimse_archive import DimseArchive
from napari_wsseg.jobs import UsageError


def at(
    url: str, *, ca: Path | None = None, wait: Callable[[float], object] = time.sleep
) -> Archive:
    """Return the archive at an address.

    Parameters
    ----------
    url
        ``https://HOST/dicom-web`` or ``dimse://AET@HOST:PORT``.
    ca
        File with the certificates that sign the archive's; of DICOMweb alone.
    wait
        Sleeps for seconds between two tries.

    Raises
    ------
    UsageError
        It is no address, or its line is not safe.
    JobFailed
        The packages that speak its language are not installed.
    """
    if not url.startswith(f"{place.SCHEME}:"):
        return DicomWebArchive(access.to(url, ca=ca), wait=wait)
    if ca:
        raise UsageError("--ca: DIMSE has no certificates here; take DICOMweb for TLS")
    return DimseArchive(place.place(url), wait=wait)

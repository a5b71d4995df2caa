"""An archive by its address, whichever language it speaks: DICOMweb or DIMSE."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

from napari_wsseg.io import dimse
from napari_wsseg.io.dicomweb import access, client
from napari_wsseg.io.dicomweb.client import Answer, Film, Instance
from napari_wsseg.io.dicomweb.query import Query
from napari_wsseg.jobs import UsageError


class Archive(Protocol):
    """What is asked of an archive; each call may raise `Unreachable` or `Refused`."""

    host: str
    """Host and port, for people."""

    def find(self, query: Query, /) -> Iterator[Instance]:
        """Yield the films that a query asks for, each once."""

    def holds(self, one: Instance, /) -> bool:
        """Whether it has an instance."""

    def series(self, study: str, series: str, /) -> list[tuple[str, int]]:
        """Return UID and number of the instances of a series, lowest number first."""

    def header(self, one: Instance, /) -> Any | None:
        """Return its own header of an instance; ``None`` if it has none."""

    def fetch(self, one: Instance, /) -> Film:
        """Return a film, of the UID that was asked for and whole."""

    def store(self, dataset: Any, /) -> Answer:
        """Store a data set, unless it has its UID; return what was said."""


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
    if not url.startswith(f"{dimse.SCHEME}:"):
        return client.Archive(access.to(url, ca=ca), wait=wait)
    if ca:
        raise UsageError("--ca: DIMSE has no certificates here; take DICOMweb for TLS")
    return dimse.DimseArchive(dimse.place(url), wait=wait)

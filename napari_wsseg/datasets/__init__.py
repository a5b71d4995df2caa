"""Data sets that become projects, one file each; a project is built by `_build`."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path
from typing import Protocol

from napari_wsseg._registry import Registry
from napari_wsseg.datasets.importing.report import ImportReport
from napari_wsseg.jobs import Progress


class Importer(Protocol):
    """Make a project of a data set, yielding progress, returning the report.

    More keyword arguments, each a bool with a default, are choices of the data set:
    ``wsseg init --set NAME=yes``, see `napari_wsseg.datasets._options`.

    Raises
    ------
    DataError
        Nothing could be imported; no half project is left behind.
    """

    def __call__(
        self,
        folder: Path,
        *,
        images: Path,
        labels: Path | None = None,
        masks: Path | None = None,
    ) -> Generator[Progress, None, ImportReport]:
        """Build the project in `folder`."""
        ...


datasets: Registry[Importer] = Registry(
    "data set", "napari_wsseg.datasets", "napari_wsseg.datasets"
)

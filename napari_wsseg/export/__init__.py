"""What a project's expert masks can be written as, one format a file."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from napari_wsseg._registry import Registry
from napari_wsseg.io.project import Project


class Exporter(Protocol):
    """Write the expert masks of a project into the folder `out`.

    Returns
    -------
    list of Path
        Every file that was written.

    Raises
    ------
    DataError
        Nothing to export, or `out` cannot be written to.
    """

    def __call__(self, project: Project, out: Path) -> list[Path]:
        """Write and return the files."""
        ...


formats: Registry[Exporter] = Registry("export format", "napari_wsseg.export")

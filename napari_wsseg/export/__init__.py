"""What a project's expert masks and networks can be written as, one format a file.

To write, for a command or a panel::

    from napari_wsseg.export import Scope, formats, writing

    formats.names()             # what there is to choose from; summary(name) in words
    steps = writing.steps(project, "coco", out, Scope(split="val"), dry_run=True)
    # a generator: yields Progress a film, may be closed at any moment (files that were
    # written stay whole), and returns a Summary: `files` (with dry_run: what would be
    # written), `cases`, `masks`, `lost` (what the format cannot hold of this project),
    # `skipped` (film and why), `warnings` (writing burned into the films).

`writing.export` does it in one go. To take masks back: `reading_back.steps`.

A newcomer adds a format as one file: a generator under ``@formats.register(NAME)`` that
yields, for each film of its `Selection`, the case itself and the `File` s and `Note` s
that come of it; a `Reader` under ``@importers.register(NAME)`` if masks come back from
it. It opens no file to write, so that a dry run, progress, a stop and whole-or-nothing
files are the same for all.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from napari_wsseg._registry import Registry
from napari_wsseg.export.exporting.items import (
    IDENTITIES,
    File,
    Found,
    Identity,
    Item,
    Note,
    Scope,
    Shape,
    Summary,
)
from napari_wsseg.io.project import Project

if TYPE_CHECKING:
    from napari_wsseg.export.exporting.selection import Selection


class Exporter(Protocol):
    """Yield what a choice of expert masks becomes in a format.

    Raises
    ------
    DataError
        The choice cannot be written in this format, e.g. masks overlap.
    """

    def __call__(self, chosen: Selection) -> Iterator[Item]:
        """Yield films, files and words."""
        ...


class Reader(Protocol):
    """Yield the masks in a file or folder; a `Note` says what is left out.

    Raises
    ------
    DataError
        Not of this format, or damaged.
    """

    def __call__(self, path: Path) -> Iterator[Found | Note]:
        """Yield masks and words."""
        ...


class ModelExporter(Protocol):
    """Yield what the weights of a run become.

    Raises
    ------
    DataError
        The run has no finished weights, or not of a kind that the format holds.
    """

    def __call__(self, project: Project, run: str) -> Iterator[File | Note]:
        """Yield files and words."""
        ...


__all__ = [
    "IDENTITIES",
    "Exporter",
    "File",
    "Found",
    "Identity",
    "Item",
    "ModelExporter",
    "Note",
    "Reader",
    "Scope",
    "Shape",
    "Summary",
    "formats",
    "holds_masks",
    "importers",
    "models",
    "names_patients",
    "summary",
    "with_identity",
    "without_masks",
]

formats: Registry[Exporter] = Registry(
    "export format", "napari_wsseg.export", "napari_wsseg.exports"
)
"""Formats of expert masks."""

importers: Registry[Reader] = Registry(
    "import format", "napari_wsseg.export", "napari_wsseg.exports"
)
"""Formats that masks come back from."""

models: Registry[ModelExporter] = Registry(
    "model format", "napari_wsseg.export", "napari_wsseg.exports"
)
"""Formats of a run's network."""

_MARK = "names_patients"
_NO_MASKS = "without_masks"


def with_identity(exporter: Exporter) -> Exporter:
    """Mark an exporter that can name patients: it heeds `Selection.identity`."""
    setattr(exporter, _MARK, True)
    return exporter


def names_patients(name: str) -> bool:
    """Whether a format can name patients, so that there is an `Identity` to choose."""
    return name in formats and hasattr(formats[name], _MARK)


def without_masks(exporter: Exporter) -> Exporter:
    """Mark an exporter of a table: what is written into a film does not go with it."""
    setattr(exporter, _NO_MASKS, True)
    return exporter


def holds_masks(name: str) -> bool:
    """Whether a format holds masks, which are drawn on films, or figures alone."""
    return not hasattr(formats[name], _NO_MASKS)


def summary(name: str) -> str:
    """Return in one line what a format is: the first of its module's documentation."""
    registry = formats if name in formats else models
    module = __import__(registry[name].__module__, fromlist=["__doc__"])
    return str(module.__doc__).splitlines()[0]

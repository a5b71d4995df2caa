"""What a project's expert masks and networks can be written as, one format a file.

To write, for a command or a panel::

    from napari_wsseg.export import Scope, formats, writing

    formats.names()             # what there is to choose from; summary(name) in words
    steps = writing.steps(project, "coco", out, Scope(split="val"), dry_run=True)
    # a generator: yields Progress a film, may be closed at any moment (files that were
    # written stay whole), and returns a Summary: `files` (with dry_run: what would be
    # written), `cases`, `masks`, `lost` (what the format cannot hold of this project),
    # `skipped` (film and why), `warnings` (writing burned into the films).

`writing.export` does it in one go. To take masks back: `taking.steps`.

A newcomer adds a format as one file: a generator under ``@formats.register(NAME)`` that
yields, for each film of its `Selection`, the case itself and the `File` s and `Note` s
that come of it; a `Reader` under ``@importers.register(NAME)`` if masks come back from
it. It opens no file to write, so that a dry run, progress, a stop and whole-or-nothing
files are the same for all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol, TypeAlias

from napari_wsseg._registry import Registry
from napari_wsseg.io.project import Project
from napari_wsseg.schema import Case, Mask, Split

if TYPE_CHECKING:
    from napari_wsseg.export.exporting.selection import Selection

Shape: TypeAlias = tuple[int, int]

Identity: TypeAlias = Literal["de-identified", "same-patient"]
"""Nothing leads back to the patient; or all that says whose the film is, as it says it.

There is nothing between the two: a file with one patient's study and another's name
damages that study in the archive that it reaches.
"""

IDENTITIES: tuple[Identity, ...] = ("de-identified", "same-patient")


@dataclass(frozen=True, slots=True)
class Scope:
    """Which expert masks are written.

    Parameters
    ----------
    split
        Films of this split alone.
    reader
        The newest masks of this reader, rather than those that count for training.
    accepted
        Films alone whose decision is to accept, with or without edits.
    """

    split: Split | None = None
    reader: str | None = None
    accepted: bool = False


@dataclass(frozen=True, slots=True)
class File:
    """A file to write.

    Parameters
    ----------
    path
        POSIX path inside the folder that is exported to.
    data
        Returns the bytes; not called in a dry run.
    """

    path: str
    data: Callable[[], bytes]


@dataclass(frozen=True, slots=True)
class Note:
    """A word for the person who exports.

    Parameters
    ----------
    kind
        ``"lost"``: the format does not hold it; ``"skipped"``: a film is left out;
        ``"warning"``: to look at before the files go anywhere.
    """

    kind: Literal["lost", "skipped", "warning"]
    text: str


Item: TypeAlias = Case | File | Note
"""What an exporter yields: a film it comes to, a file, or a word."""


@dataclass(frozen=True, slots=True)
class Summary:
    """What an export wrote, or would write.

    Parameters
    ----------
    format
        The format's name.
    files
        Full paths.
    cases, masks
        Films with an expert mask in scope, and those masks.
    lost, skipped, warnings
        Words for a person, see `Note`.
    dry_run
        Nothing was written.
    """

    format: str
    files: tuple[Path, ...]
    cases: int
    masks: int
    lost: tuple[str, ...] = ()
    skipped: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    dry_run: bool = False


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


@dataclass(frozen=True, slots=True)
class Found:
    """A mask in a file that comes from elsewhere.

    Parameters
    ----------
    film
        What the file calls the film: a path or a name, without its ending.
    finding
        What the file calls the finding; empty where it does not say.
    mask
        Draws the mask of a film of a (H, W) shape; with ``None``, of the size that the
        file says. Raises `DataError` if it does not fit.
    sop_uid
        SOP Instance UID of the DICOM film that it was drawn on, which then counts.
    guess
        The finding that the file's name suggests, taken where nothing else says it.
    """

    film: str
    finding: str
    mask: Callable[[Shape | None], Mask]
    sop_uid: str | None = None
    guess: str = ""


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


formats: Registry[Exporter] = Registry("export format", "napari_wsseg.export")
"""Formats of expert masks."""

importers: Registry[Reader] = Registry("import format", "napari_wsseg.export")
"""Formats that masks come back from."""

models: Registry[ModelExporter] = Registry("model format", "napari_wsseg.export")
"""Formats of a run's network."""

_MARK = "names_patients"


def with_identity(exporter: Exporter) -> Exporter:
    """Mark an exporter that can name patients: it heeds `Selection.identity`."""
    setattr(exporter, _MARK, True)
    return exporter


def names_patients(name: str) -> bool:
    """Whether a format can name patients, so that there is an `Identity` to choose."""
    return name in formats and hasattr(formats[name], _MARK)


def summary(name: str) -> str:
    """Return in one line what a format is: the first of its module's documentation."""
    registry = formats if name in formats else models
    module = __import__(registry[name].__module__, fromlist=["__doc__"])
    return str(module.__doc__).splitlines()[0]

"""What an exporter is asked for and yields, and what comes back from a file."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypeAlias

from napari_wsseg.schema import Case, Mask, Split

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


@dataclass(frozen=True, slots=True)
class Found:
    """A mask in a file that comes from elsewhere.

    Parameters
    ----------
    film
        What the file calls the film: a path or a name, as it is written; of a file of
        its own, without that file's ending.
    finding
        What the file calls the finding; empty where it does not say.
    mask
        Draws the mask of a film of a (H, W) shape; with ``None``, of the size that the
        file says. Raises `DataError` if it does not fit.
    sop_uid
        SOP Instance UID of the DICOM film that it was drawn on, which then counts.
    guess
        The finding that the file's name suggests, taken where nothing else says it.
    remarks
        Gets a line, while the mask is drawn, for what deserves a look.
    """

    film: str
    finding: str
    mask: Callable[[Shape | None], Mask]
    sop_uid: str | None = None
    guess: str = ""
    remarks: list[str] = field(default_factory=list)

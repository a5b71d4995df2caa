"""What an import did, file by file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Rejected:
    """One file that was left out.

    Parameters
    ----------
    path
        Relative to the folder it was looked for in.
    reason
        One sentence for a person.
    """

    path: str
    reason: str


@dataclass(frozen=True, slots=True)
class ImportReport:
    """The outcome of an import.

    Parameters
    ----------
    project
        Folder of the new project.
    imported
        Number of cases.
    rejected
        Every file that was left out, with its reason.
    warnings
        What was imported but deserves a look.
    key_file
        Where the films' own names are, if the project does not have them.
    """

    project: Path
    imported: int
    rejected: tuple[Rejected, ...] = ()
    warnings: tuple[str, ...] = ()
    key_file: Path | None = None

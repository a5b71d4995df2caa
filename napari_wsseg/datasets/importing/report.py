"""What an import did, file by file."""

from __future__ import annotations

from collections.abc import Mapping
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
class Summary:
    """How many films, labels and masks there are, and how they are split.

    Parameters
    ----------
    labels
        By finding, how many films it is ``"present"``, ``"absent"``, ``"uncertain"``
        or ``"unknown"`` on; only those that occur.
    masks
        By finding, how many films have a mask file, drawn by somebody.
    splits
        How many films each split has.
    how_split
        Who says which film is in which split.
    """

    films: int
    labels: Mapping[str, Mapping[str, int]]
    masks: Mapping[str, int]
    splits: Mapping[str, int]
    how_split: str

    def lines(self) -> list[str]:
        """Return it for a person, a line each finding, and one for the splits."""
        per_finding = []
        for finding, counts in self.labels.items():
            text = ", ".join(f"{count} {word}" for word, count in counts.items())
            masks = self.masks.get(finding)
            per_finding.append(
                f"{finding}: {text}" + (f"; {masks} with a mask" if masks else "")
            )
        shares = ", ".join(f"{count} {split}" for split, count in self.splits.items())
        return [*per_finding, f"split: {shares} ({self.how_split})"]


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
    summary
        What was imported, counted.
    """

    project: Path
    imported: int
    rejected: tuple[Rejected, ...] = ()
    warnings: tuple[str, ...] = ()
    key_file: Path | None = None
    summary: Summary | None = None

"""What the window asks ``wsseg init`` for."""

from __future__ import annotations

import shlex
import sys
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class ImportRequest:
    """A project to be made.

    Parameters
    ----------
    names
        ``"auto"``, ``"keep"`` or ``"hide"``, as ``--names`` has it.
    """

    project: Path
    images: Path
    labels: Path | None = None
    masks: Path | None = None
    dataset: str = "folder"
    names: str = "auto"

    def words(self) -> list[str]:
        """Return it as ``wsseg`` reads it; what is the default is left out."""
        words = ["init", str(self.project), "--images", str(self.images)]
        for option, path in (("--labels", self.labels), ("--masks", self.masks)):
            if path is not None:
                words += [option, str(path)]
        if self.dataset != "folder":
            words += ["--dataset", self.dataset]
        elif self.names != "auto":
            words += ["--names", self.names]
        return words

    def shown(self) -> str:
        """Return the command for a person, to be typed in a terminal."""
        return f"wsseg {shlex.join(self.words())}"

    def command(self, *, dry_run: bool) -> list[str]:
        """Return the words that start it as a process of its own."""
        words = [*self.words(), "--json", *(["--dry-run"] if dry_run else [])]
        return [sys.executable, "-m", "napari_wsseg.cli", *words]

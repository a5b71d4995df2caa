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
    archive
        DICOMweb address that films come from; they land in `images`.
    query
        Which films of the archive.
    """

    project: Path
    images: Path
    labels: Path | None = None
    masks: Path | None = None
    dataset: str = "folder"
    names: str = "auto"
    archive: str = ""
    query: str = ""

    def arguments(self) -> list[str]:
        """Return it as ``wsseg`` reads it; what is the default is left out."""
        arguments = ["init", str(self.project), *self._source()]
        for option, path in (("--labels", self.labels), ("--masks", self.masks)):
            if path is not None:
                arguments += [option, str(path)]
        if self.dataset != "folder":
            arguments += ["--dataset", self.dataset]
        elif self.names != "auto":
            arguments += ["--names", self.names]
        return arguments

    def _source(self) -> list[str]:
        if not self.archive:
            return ["--images", str(self.images)]
        arguments = ["--from-pacs", self.archive, "--query", self.query]
        return [*arguments, "--films", str(self.images)]

    def shown(self) -> str:
        """Return the command for a person, to be typed in a terminal."""
        return f"wsseg {shlex.join(self.arguments())}"

    def command(self, *, dry_run: bool) -> list[str]:
        """Return the words that start it as a process of its own."""
        arguments = [*self.arguments(), "--json", *(["--dry-run"] if dry_run else [])]
        return [sys.executable, "-m", "napari_wsseg.cli", *arguments]

"""What is done while a step of it fails, and what was told of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from napari_wsseg.io.project import Project

Say = Callable[..., None]


@dataclass
class Told:
    """What was told as done, from the lines of a process that may have been killed."""

    masks: dict[str, str] = field(default_factory=dict)
    verdicts: dict[str, str] = field(default_factory=dict)
    begun: dict[str, str] = field(default_factory=dict)
    deciding: dict[str, str] = field(default_factory=dict)
    done: bool = False
    tripped: bool = False
    troubles: list[str] = field(default_factory=list)

    def hear(self, what: str, *rest: str) -> None:
        match what:
            case "begin":
                self.begun[rest[0]] = rest[1]
            case "done":
                self.masks[rest[0]] = rest[1]
                self.begun.pop(rest[0], None)
            case "deciding":
                self.deciding[rest[0]] = rest[1]
            case "decided":
                self.verdicts[rest[0]] = rest[1]
                self.deciding.pop(rest[0], None)
            case "undecided":
                self.deciding.pop(rest[0], None)
            case "end":
                self.done, self.tripped = True, rest[0] == "tripped"
            case _:
                self.troubles.append(" ".join((what, *rest)))


@dataclass(frozen=True)
class Operation:
    """One thing that is done while a step of it fails.

    Parameters
    ----------
    make
        Makes what there is before, in an empty folder.
    act
        Does it, in the folder; tells what is done.
    go_on
        Goes on in the same process, when there is room again.
    look
        Returns what is wrong afterwards, in a process of its own.
    """

    make: Callable[[Path], None]
    act: Callable[[Path, Say], Any]
    go_on: Callable[[Path, Say, Any], None]
    look: Callable[[Path, Told], list[str]]


def damage(project: Project) -> list[str]:
    """Return what fsck finds, but for masks whose row was never told as saved."""
    project.verify_audit()
    return [line for line in project.fsck() if "no row knows" not in line]

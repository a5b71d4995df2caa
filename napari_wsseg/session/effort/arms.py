"""The arms of a study: what a reader is offered on each film, and which runs show it.

``"blank"`` offers nothing and loads nothing, ``"draft"`` offers the drafts of the runs
that were used first, ``"loop"`` those of the runs in use, which learn from what was
read. ``"random"`` gives each film one of the three.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self

from napari_wsseg.io.project import Project
from napari_wsseg.session.open_case import Shown
from napari_wsseg.session.reading_mode import ARMS, Reading


@dataclass(frozen=True, eq=False)
class Arms:
    """Which arm each film of one reading is in.

    Parameters
    ----------
    one
        The arm of every film; empty where each has its own, or there is no study.
    by_film
        Case id to arm, of a random assignment.
    first, latest
        The runs that were used first, and those in use.
    """

    one: str = ""
    by_film: Mapping[str, str] = field(default_factory=dict)
    first: Shown = field(default_factory=Shown)
    latest: Shown = field(default_factory=Shown)

    @classmethod
    def for_reader(cls, project: Project, reading: Reading) -> Self:
        """Assign the films of a project, the same for a reader at all times."""
        latest = Shown(project.runs_in_use())
        first = Shown(project.runs_used_first())
        if reading.arm != "random":
            return cls(reading.arm, {}, first, latest)
        ids = project.case_ids()
        return cls("", assigned(ids, project.secret, reading.reader), first, latest)

    def arm(self, case_id: str) -> str:
        """Return the arm of a film; empty where there is no study."""
        return self.one or self.by_film.get(case_id, "")

    def shown(self, case_id: str) -> Shown:
        """Return the runs whose maps may be read for a film."""
        return {"blank": Shown(), "draft": self.first}.get(
            self.arm(case_id), self.latest
        )


def assigned(case_ids: list[str], seed: str, reader: str) -> dict[str, str]:
    """Return an arm for each film, as many films in each as can be.

    Films are shuffled by `seed`, which nobody at the window knows; readers begin at
    different arms, so that two who read the same film see it in different ones.

    Parameters
    ----------
    case_ids
        In any order, each once.
    seed, reader
        `Project.secret` and the reader's name: the same two give the same arms.

    Returns
    -------
    dict
        Case id to one of `ARMS`.
    """
    order = sorted(case_ids, key=lambda one: _digest(seed, one))
    shift = int(_digest(seed, reader)[:8], 16)
    return {one: ARMS[(n + shift) % len(ARMS)] for n, one in enumerate(order)}


def _digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()

"""What other installed packages offer: their entry points, and the broken ones."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from importlib.metadata import EntryPoint

logger = logging.getLogger(__name__)

GROUPS = (
    "napari_wsseg.cam",
    "napari_wsseg.recipes",
    "napari_wsseg.datasets",
    "napari_wsseg.exports",
)
"""Entry-point groups in which a package names the modules that register its plugs."""


@dataclass(frozen=True, slots=True)
class Problem:
    """Something of another package that cannot be used.

    Parameters
    ----------
    group
        One of `GROUPS`.
    distribution
        Name and version of the package it comes from.
    reason
        What is wrong, and what to do.
    """

    group: str
    distribution: str
    reason: str

    def __str__(self) -> str:
        return f"{self.distribution}: {self.reason}"


_problems: list[Problem] = []


def complain(group: str, distribution: str, reason: str) -> None:
    """Keep a problem for `problems`, and say it once."""
    problem = Problem(group, distribution, reason)
    if problem not in _problems:
        _problems.append(problem)
        logger.warning("%s", problem)


def problems(group: str = "") -> tuple[Problem, ...]:
    """Return what was found broken so far, of one group or of all."""
    return tuple(each for each in _problems if group in ("", each.group))


def entries(group: str) -> list[EntryPoint]:
    """Return the entry points of a group, by distribution and name."""
    try:
        found = list(metadata.entry_points(group=group))
    except Exception:
        # One distribution with a mangled file would hide all others.
        found = list(_one_by_one(group))
    return sorted(found, key=lambda each: (owner(each), each.name))


def owner(entry: EntryPoint) -> str:
    """Return name and version of the distribution that an entry point is of."""
    if entry.dist is None:
        return entry.value.partition(":")[0]
    try:
        return f"{entry.dist.name} {entry.dist.version}"
    except Exception:
        # Metadata without a name or version; the module still says whose it is.
        return entry.value.partition(":")[0]


def _one_by_one(group: str) -> Iterator[EntryPoint]:
    seen = set()
    for distribution in metadata.distributions():
        try:
            name = distribution.name
            if name not in seen:
                seen.add(name)
                yield from distribution.entry_points.select(group=group)
        except Exception as error:
            complain(
                group,
                str(getattr(distribution, "_path", "an installed package")),
                f"its entry_points.txt cannot be read ({error}); reinstall it",
            )

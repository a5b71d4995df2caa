"""Where in ``wsseg run`` a training stands, and how long all that is left takes."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from napari_wsseg import protocol

if TYPE_CHECKING:
    from trainers import Recipe

_SHARES: Mapping[str, float] = {"classifier": 1.0, "irnet": 0.35, "segmentation": 1.2}
"""What recipes take of each other where no earlier run tells; on the sample project."""


class WholeRun:
    """Adds to a job's lines which stage of how many it is, and the time for all.

    Parameters
    ----------
    order
        Recipes, in the order in which they are trained.
    took
        Seconds of the last finished run by recipe, where there is one.
    """

    def __init__(
        self,
        order: Sequence[Recipe],
        took: Mapping[str, float],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._order, self._took, self._clock = list(order), took, clock
        self._stages = [len(recipe.stages) for recipe in order]
        self._now = 0
        self._began = clock()
        self._trains = False

    def begin(self, recipe: str) -> None:
        """Note that a recipe begins."""
        names = [one.name for one in self._order]
        self._now, self._began = names.index(recipe), self._clock()
        self._trains = False

    @property
    def place(self) -> str:
        """Which stages of how many are made now, e.g. ``stage 3 of 4``."""
        first = sum(self._stages[: self._now]) + 1
        last = first + self._stages[self._now] - 1
        total = sum(self._stages)
        if last > first:
            return f"stages {first} and {last} of {total}"
        return f"stage {first} of {total}"

    def __call__(self, line: dict[str, Any]) -> dict[str, Any]:
        """Return a line with what is known of the whole."""
        if not (protocol.is_a("progress", line) or protocol.is_a("started", line)):
            return line
        more: dict[str, Any] = {"place": self.place}
        # Films that are read or made before say nothing of how long training takes.
        self._trains = self._trains or line.get("message") == "training"
        left = self._left(line.get("eta_s") if self._trains else self._as_before())
        if left is not None:
            more["whole_eta_s"] = round(left, 1)
        return {**line, **more}

    def _as_before(self) -> float | None:
        """Return seconds left of this recipe if it takes what it took last time."""
        took = self._took.get(self._order[self._now].name)
        left = took - (self._clock() - self._began) if took else 0.0
        return left if left > 0 else None

    def _left(self, eta: float | None) -> float | None:
        """Return seconds for what is left of this recipe and for all after it."""
        if eta is None:
            return None
        here = self._clock() - self._began + eta
        name = self._order[self._now].name
        scale = here / self._took.get(name, 0) if self._took.get(name) else 0.0
        share = here / _SHARES.get(name, 1.0)
        return eta + sum(
            scale * self._took[one.name]
            if scale and one.name in self._took
            else share * _SHARES.get(one.name, 1.0)
            for one in self._order[self._now + 1 :]
        )

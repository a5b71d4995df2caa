"""Masks of a foreign file, listed and drawn by a process of their own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from numpy.typing import NDArray

from napari_wsseg.io.guarded.answers import Shape
from napari_wsseg.io.guarded.reader import GuardedReader, Lost
from napari_wsseg.jobs import DataError

_MOST_LOST = 3
"""Masks of one file that may end their process before the rest is given up."""


class GuardedMasks:
    """What a function yields as drawings, listed here and drawn when asked for.

    Parameters
    ----------
    reader
        Asked for nothing else meanwhile.
    function
        See `GuardedReader.each`; yields values, and `Drawing` s.
    """

    def __init__(self, reader: GuardedReader, function: str, *arguments: Any) -> None:
        self._reader = reader
        self._question = (function, *arguments)
        self._listed_by = -1
        self._lost = 0

    def listed(self) -> Iterator[Any]:
        """Yield each value; raises as `GuardedReader.each`."""
        yield from self._reader.each(*self._question)
        self._listed_by = self._reader.generation

    def drawing(
        self, number: int, remarks: list[str]
    ) -> Callable[[Shape | None], NDArray[Any]]:
        """Return what draws the `number`-th drawing, adding to remarks."""
        return partial(self._draw, number, remarks)

    def _draw(
        self, number: int, remarks: list[str], shape: Shape | None
    ) -> NDArray[Any]:
        if self._lost >= _MOST_LOST:
            raise DataError("not read, for others of the same file crashed its decoder")
        if self._listed_by != self._reader.generation:
            for _ in self.listed():  # opened anew, for a mask before ended the process
                pass
        try:
            mask, own_remarks = self._reader.draw(number, shape)
        except Lost:
            self._lost += 1
            raise
        remarks += own_remarks
        return mask

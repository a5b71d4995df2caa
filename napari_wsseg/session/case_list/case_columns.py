"""Values by case that are also a column of numbers, one for each film of a list.

A chip of the worklist asks 224,000 films at once, of which some few changed since it
last did. Going through dictionaries of ids waits for memory at each; a column is read
from end to end.
"""

from __future__ import annotations

from collections import UserDict
from collections.abc import Callable, Iterable, Iterator, Mapping, MutableSet, Sequence
from typing import Any, TypeVar

import numpy as np
from numpy.typing import DTypeLike, NDArray

V = TypeVar("V")


class CaseValues(UserDict[str, V]):
    """A dictionary by case id with a column of what it holds.

    Parameters
    ----------
    values
        To begin with, by case id.
    number
        What the column says of a value; of a case without one it says 0.
    dtype
        Of the column, structured where `number` returns a tuple.
    """

    def __init__(
        self,
        values: Mapping[str, V] | None = None,
        number: Callable[[V], object] = lambda _: True,
        dtype: DTypeLike = bool,
    ) -> None:
        self.data = dict(values or {})
        self._number, self._dtype = number, dtype
        self._places: Mapping[str, int] | None = None
        self._column: NDArray[Any] = np.zeros(0, dtype)
        self._changed: set[str] = set()

    def __setitem__(self, case_id: str, value: V) -> None:
        """Set a case's value."""
        self.data[case_id] = value
        self._changed.add(case_id)

    def __delitem__(self, case_id: str) -> None:
        """Let go of a case's value."""
        del self.data[case_id]
        self._changed.add(case_id)

    def column(self, places: Mapping[str, int]) -> NDArray[Any]:
        """Return the column, not to be written to.

        Parameters
        ----------
        places
            Case id to its place in the column, 0 to N - 1; cases that it does not know
            are left out. The same object each time, or all is looked at anew.
        """
        changed: Iterable[str] = self._changed
        if self._places is not places:
            self._places, changed = places, self.data
            self._column = np.zeros(len(places), self._dtype)
        known = [case_id for case_id in changed if case_id in places]
        held = [case_id for case_id in known if case_id in self.data]
        self._column[_at(places, known)] = 0
        self._column[_at(places, held)] = np.fromiter(
            (self._number(self.data[case_id]) for case_id in held),
            self._dtype,
            len(held),
        )
        self._changed = set()
        return self._column


def _at(places: Mapping[str, int], case_ids: Sequence[str]) -> NDArray[np.intp]:
    return np.fromiter(map(places.__getitem__, case_ids), np.intp, len(case_ids))


class CaseSet(MutableSet[str]):
    """A set of case ids with a column of whether a case is in it."""

    def __init__(self, case_ids: Iterable[str] = ()) -> None:
        self._values = CaseValues(dict.fromkeys(case_ids, True))
        self.column = self._values.column

    def __contains__(self, case_id: object) -> bool:
        """Whether a case is in it."""
        return case_id in self._values

    def __iter__(self) -> Iterator[str]:
        """Iterate over the ids."""
        return iter(self._values)

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._values)

    def add(self, case_id: str) -> None:
        """Take a case in."""
        self._values[case_id] = True

    def discard(self, case_id: str) -> None:
        """Let a case go."""
        self._values.pop(case_id, None)

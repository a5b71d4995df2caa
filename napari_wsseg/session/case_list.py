"""The cases of a reading list: ids alone in memory, a film's row when it is shown."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from napari_wsseg.jobs import DataError
from napari_wsseg.schema import Case

_KEPT = 4096
"""Rows in memory; a screen shows some fifty."""

_PAGE = 500
"""Rows that are read at once."""


class CaseList(Mapping[str, Case]):
    """Cases by id, in the order of their files.

    Parameters
    ----------
    ids
        Of all of them.
    read
        Returns the cases of some hundred ids, with the labels that may be shown.
    damaged
        Takes, by id, why a row could not be read; its case then has neither name nor
        labels.
    """

    def __init__(
        self,
        ids: Sequence[str] = (),
        read: Callable[[Sequence[str]], Mapping[str, Case]] = lambda ids: {},
        damaged: dict[str, str] | None = None,
    ) -> None:
        self._ids = dict.fromkeys(ids)
        self._read = read
        self._damaged = {} if damaged is None else damaged
        self._kept: dict[str, Case] = {}
        self._changed: dict[str, Case] = {}

    def __getitem__(self, case_id: str) -> Case:
        """Return a case, from memory or from the project."""
        case = self._changed.get(case_id) or self._kept.get(case_id)
        if case is None:
            if case_id not in self._ids:
                raise KeyError(case_id)
            case = self._row(case_id)
            while len(self._kept) >= _KEPT:
                del self._kept[next(iter(self._kept))]
            self._kept[case_id] = case
        return case

    def __contains__(self, case_id: object) -> bool:
        """Whether a case is in the list; nothing is read for that."""
        return case_id in self._ids

    def __iter__(self) -> Iterator[str]:
        """Iterate over the ids."""
        return iter(self._ids)

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._ids)

    def put(self, case: Case) -> None:
        """Take over what has changed of a case that is in the list."""
        self._changed[case.id] = case

    def many(self, case_ids: Sequence[str]) -> Iterator[Case]:
        """Yield the cases of ids, in their order, a page of them at a time."""
        for start in range(0, len(case_ids), _PAGE):
            page = case_ids[start : start + _PAGE]
            try:
                found = {**self._read(page), **self._changed}
            except DataError:  # which of them it is, each alone will tell
                found = {}
            yield from (found.get(one) or self[one] for one in page)

    def _row(self, case_id: str) -> Case:
        try:
            return self._read([case_id])[case_id]
        except DataError as error:
            why = str(error)
        except KeyError:
            why = "this film is no longer in the project"
        self._damaged.setdefault(case_id, why)
        return Case(case_id, case_id, (1, 1), None, "train", {})

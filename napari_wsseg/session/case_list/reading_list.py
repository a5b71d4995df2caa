"""Which cases there are, in which order they are read, and how far reading is."""

from __future__ import annotations

import random
from collections.abc import (
    Callable,
    Iterable,
    Iterator,
    Mapping,
    MutableMapping,
    Sequence,
)
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import cached_property
from typing import get_args, overload

import numpy as np
from numpy.typing import NDArray

from napari_wsseg.io.project import Project
from napari_wsseg.jobs import DataError
from napari_wsseg.pipeline import agreement
from napari_wsseg.pipeline.agreement import FINISHED
from napari_wsseg.schema import Case, Decision, Verdict
from napari_wsseg.session.case_list.case_columns import CaseSet, CaseValues
from napari_wsseg.session.reading_mode import Reading

SEEN_HOURS = 24
"""A film seen less long ago waits behind those that were not."""

_KEPT = 4096
"""Rows in memory; a screen shows some fifty."""

_PAGE = 500
"""Rows that are read at once."""

_VERDICT_NAMES: dict[Verdict, str] = {
    "accept": "accepted",
    "accept with edits": "edited",
    "reject": "rejected",
    "flag": "flagged",
}

STATUSES = ("", *_VERDICT_NAMES.values(), "adjudicated", "unreadable")
"""What `ReadingList.statuses` says of a case; nothing of one that is to be read."""

_VERDICTS: tuple[Verdict | None, ...] = (None, *get_args(Verdict))

_ENDS = np.array([verdict in FINISHED for verdict in _VERDICTS])

_WORD_OF = np.array(
    [STATUSES.index(_VERDICT_NAMES.get(v, "") if v else "") for v in _VERDICTS], np.int8
)


def _verdicts(decisions: Mapping[str, Decision]) -> CaseValues[Decision]:
    """Return decisions with columns of verdicts, by number, of seconds and of ids."""

    def numbers(decision: Decision) -> tuple[int, float, int]:
        verdict = decision.verdict if decision.verdict in _VERDICTS else None
        return _VERDICTS.index(verdict), decision.seconds or 0.0, decision.id

    dtype = [("verdict", np.int8), ("seconds", np.float32), ("id", np.int64)]
    return CaseValues(decisions, numbers, dtype)


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

    Attributes
    ----------
    places
        Case id to its place in the order of files, 0 to N - 1.
    """

    def __init__(
        self,
        ids: Sequence[str] = (),
        read: Callable[[Sequence[str]], Mapping[str, Case]] = lambda ids: {},
        damaged: MutableMapping[str, str] | None = None,
    ) -> None:
        self.places = dict(zip(ids, range(len(ids)), strict=True))
        self._all = np.array(ids, object)
        self._read = read
        self._damaged = {} if damaged is None else damaged
        self._scores: Mapping[str, float] = {}
        self._column: NDArray[np.float64] = np.zeros(0)
        self._kept: dict[str, Case] = {}
        self._changed: dict[str, Case] = {}

    def __getitem__(self, case_id: str) -> Case:
        """Return a case, from memory or from the project."""
        case = self._changed.get(case_id) or self._kept.get(case_id)
        if case is None:
            if case_id not in self.places:
                raise KeyError(case_id)
            case = self._row(case_id)
            while len(self._kept) >= _KEPT:
                del self._kept[next(iter(self._kept))]
            self._kept[case_id] = case
        return case

    def __contains__(self, case_id: object) -> bool:
        """Whether a case is in the list; nothing is read for that."""
        return case_id in self.places

    def __iter__(self) -> Iterator[str]:
        """Iterate over the ids."""
        return iter(self.places)

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self.places)

    def at(self, places: NDArray[np.intp]) -> list[str]:
        """Return the ids at places in the order of files."""
        found: list[str] = self._all[places].tolist()
        return found

    def places_of(self, case_ids: Sequence[str]) -> NDArray[np.intp]:
        """Return where cases of the list are in the order of files."""
        found = map(self.places.__getitem__, case_ids)
        return np.fromiter(found, np.intp, len(case_ids))

    def among(self, case_ids: Iterable[str]) -> NDArray[np.bool_]:
        """Return of each case whether it is one of these, in the order of files."""
        found = np.zeros(len(self), bool)
        found[self.places_of([one for one in case_ids if one in self.places])] = True
        return found

    def among_numbers(self, numbers: NDArray[np.uint64]) -> NDArray[np.bool_]:
        """Return `among` of ids that are numbers, rising."""
        rising, places = self._numbers
        found = np.zeros(len(self), bool)
        if len(rising):
            at = np.searchsorted(rising, numbers).clip(max=len(rising) - 1)
            found[places[at[rising[at] == numbers]]] = True
        return found

    @cached_property
    def _numbers(self) -> tuple[NDArray[np.uint64], NDArray[np.intp]]:
        """The ids as numbers, rising, and the place of each."""
        digits = bytes.fromhex("".join(self.places))
        numbers = np.frombuffer(digits, ">u8").astype(np.uint64)
        places = np.argsort(numbers)
        return numbers[places], places

    def column(self, scores: Mapping[str, float]) -> NDArray[np.float64]:
        """Return scores in the order of files, -1 where there is none.

        Those that were asked for last are at hand; scores are replaced, not changed.
        """
        if self._scores is not scores or len(self._column) != len(self):
            each = (scores.get(case_id, -1.0) for case_id in self.places)
            self._scores = scores
            self._column = np.fromiter(each, float, len(self))
        return self._column

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


class CaseOrder(Sequence[str]):
    """Ids of a list in an order, each made when it is asked for.

    Parameters
    ----------
    cases
        The list.
    places : (M,) int
        Places in the order of files.
    """

    def __init__(self, cases: CaseList, places: NDArray[np.intp]) -> None:
        self._cases, self.places = cases, places

    @overload
    def __getitem__(self, index: int) -> str: ...

    @overload
    def __getitem__(self, index: slice) -> list[str]: ...

    def __getitem__(self, index: int | slice) -> str | list[str]:
        """Return one id, or some."""
        if isinstance(index, slice):
            return self._cases.at(self.places[index])
        return self._cases.at(self.places[[index]])[0]

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self.places)

    def __iter__(self) -> Iterator[str]:
        """Iterate over the ids."""
        return iter(self[:])

    def __eq__(self, other: object) -> bool:
        """Whether these are the same ids in the same order."""
        return isinstance(other, Sequence) and self[:] == list(other)

    __hash__ = None  # type: ignore[assignment]


@dataclass(eq=False)
class ReadingList:
    """The cases of one project and what has been decided about them.

    Parameters
    ----------
    order
        Case ids as the worklist shows them: what next and previous follow.
    unreadable
        Case id to the reason why its film could not be shown.
    mine
        Cases that this reader drew on or decided.
    settled
        Cases with a mask that an adjudicator made final.
    pairs
        For an adjudicator: case id to the readers whose masks are compared.
    seen
        When this reader was last shown each case, UTC.
    """

    cases: CaseList = field(default_factory=CaseList)
    decisions: CaseValues[Decision] = field(default_factory=lambda: _verdicts({}))
    annotated: CaseValues[tuple[str, ...]] = field(default_factory=CaseValues)
    order: Sequence[str] = ()
    unreadable: CaseValues[str] = field(default_factory=CaseValues)
    mine: CaseSet = field(default_factory=CaseSet)
    settled: CaseSet = field(default_factory=CaseSet)
    pairs: dict[str, tuple[str, ...]] = field(default_factory=dict)
    seen: dict[str, str] = field(default_factory=dict)
    _shown: NDArray[np.intp] = field(default_factory=lambda: np.zeros(0, np.intp))
    _rows: NDArray[np.intp] = field(default_factory=lambda: np.zeros(0, np.intp))
    _shuffles: dict[str, NDArray[np.intp]] = field(default_factory=dict)

    @classmethod
    def from_project(
        cls, project: Project, reading: Reading | None = None
    ) -> ReadingList:
        """Read what a reading may show of a project, in the order of its files."""
        reading = reading or Reading()
        found = cls(
            decisions=_verdicts(project.decisions(reader=reading.scope)),
            seen=project.readers.seen(reading.reader),
        )
        ids = project.case_ids()
        if reading.mode == "adjudicate":
            found.pairs = _pairs(project, reading.reader)
            ids = [case_id for case_id in ids if case_id in found.pairs]
        found.cases = CaseList(ids, _reader_of(project, reading), found.unreadable)
        found.set_order(ids)
        own = project.annotated(reader=reading.reader)
        found.mine = CaseSet((*own, *project.decided(reading.reader)))
        drawn = project.annotated() if reading.mode == "open" else own
        found.annotated = CaseValues(drawn)
        if reading.mode != "blind":
            found.settled = CaseSet(project.readers.settled())
        return found

    def refresh(self, project: Project, reading: Reading, case_id: str) -> None:
        """Read again who drew on a case, and whether it is settled.

        Parameters
        ----------
        project, reading
            As in `from_project`.
        case_id
            The one that something was done to; nothing of the others is read.
        """
        reader = reading.reader
        own = project.annotated_findings(case_id, reader=reader)
        decision = project.decision(case_id, reader=reader)
        decided = decision is not None and decision.verdict != "reopen"
        drawn = project.annotated_findings(case_id) if reading.mode == "open" else own
        (self.mine.add if own or decided else self.mine.discard)(case_id)
        if drawn:
            self.annotated[case_id] = drawn
        else:
            self.annotated.pop(case_id, None)
        settled = reading.mode != "blind" and bool(project.readers.settled(case_id))
        (self.settled.add if settled else self.settled.discard)(case_id)

    def set_order(self, case_ids: Sequence[str]) -> None:
        """Take over the order, and perhaps the filter, of the worklist on screen."""
        self.show(self.cases.places_of(case_ids))

    def show(self, places: NDArray[np.intp]) -> None:
        """Take over an order as places in the order of files, each once at most."""
        self._shown, self.order = places, CaseOrder(self.cases, places)
        self._rows = np.full(len(self.cases), -1)
        self._rows[places] = np.arange(len(places))

    def place(self, case_id: str | None) -> int:
        """Return where a case comes in the order, or -1 where the filter hides it."""
        place = self.cases.places.get(case_id or "")
        return -1 if place is None else int(self._rows[place])

    def statuses(self) -> NDArray[np.int8]:
        """Return by place in the order of files 0, or what a case's `status` is.

        See `STATUSES`; a case that is at most drawn on has 0.
        """
        verdict = self.decisions.column(self.cases.places)["verdict"]
        found: NDArray[np.int8] = _WORD_OF[verdict]
        found[self.settled.column(self.cases.places)] = STATUSES.index("adjudicated")
        found[self.unreadable.column(self.cases.places)] = STATUSES.index("unreadable")
        return found

    def shuffled(self, reader: str) -> NDArray[np.intp]:
        """Return all cases in a reader's own order by chance, the same at all times.

        They are places in the order of files.
        """
        if reader not in self._shuffles:
            chance = random.Random(reader)
            ids = chance.sample(sorted(self.cases), len(self.cases))
            self._shuffles[reader] = self.cases.places_of(ids)
        return self._shuffles[reader]

    def status(self, case_id: str) -> str:
        """Return the verdict in a word, or how far the case is."""
        if case_id in self.unreadable:
            return "unreadable"
        decision = self.decisions.get(case_id)
        if case_id in self.settled:
            return "adjudicated"
        if decision is not None and decision.verdict in _VERDICT_NAMES:
            return _VERDICT_NAMES[decision.verdict]
        return "has mask" if case_id in self.annotated else "to review"

    def is_finished(self, case_id: str) -> bool:
        """Whether a case needs no more reading by this reader."""
        decision = self.decisions.get(case_id)
        return (
            case_id in self.unreadable
            or case_id in self.settled
            or (decision is not None and decision.verdict in FINISHED)
        )

    def stepped(self, case_id: str | None, by: int) -> str | None:
        """Return the case `by` places on from `case_id`, stopping at the ends."""
        if not self.order:
            return None
        place = self.place(case_id)
        if place < 0:
            return self.order[0]
        return self.order[min(max(place + by, 0), len(self.order) - 1)]

    def unread_after(self, case_id: str | None) -> str | None:
        """Return the next case to read after `case_id`, round the end, or ``None``."""
        finished = self._is_decided()
        finished |= self.settled.column(self.cases.places)
        finished |= self.unreadable.column(self.cases.places)
        if (here := self.cases.places.get(case_id or "")) is not None:
            finished[here] = True
        waiting = np.flatnonzero(~finished[self._shown])
        if not len(waiting):
            return None
        after = int(np.searchsorted(waiting, self.place(case_id) + 1))
        return self.order[int(waiting[after % len(waiting)])]

    def _is_decided(self) -> NDArray[np.bool_]:
        """Return by place whether a case has a verdict that ends its reading."""
        ends: NDArray[np.bool_] = _ENDS[
            self.decisions.column(self.cases.places)["verdict"]
        ]
        return ends

    def last_decided_first(self, places: NDArray[np.intp]) -> NDArray[np.intp]:
        """Return places, in the order of files, by their last decision; others last."""
        decided = self.decisions.column(self.cases.places)["id"][places]
        return places[np.argsort(-decided, kind="stable")]

    def n_finished(self) -> int:
        """Count the cases that need no more reading."""
        return int(self._is_decided().sum())

    def recently_seen(self, now: datetime) -> set[str]:
        """Return cases that this reader was shown less than `SEEN_HOURS` before."""
        since = (now - timedelta(hours=SEEN_HOURS)).isoformat()
        return {case_id for case_id, at in self.seen.items() if at > since}

    def minutes_left(self) -> float | None:
        """Return the time left at the median pace so far; ``None`` before two cases."""
        seconds = self.decisions.column(self.cases.places)["seconds"]
        timed = seconds[seconds > 0]
        if len(timed) < 2:
            return None
        left = len(self.cases) - self.n_finished()
        return left * float(np.median(timed)) / 60


def _reader_of(
    project: Project, reading: Reading
) -> Callable[[Sequence[str]], Mapping[str, Case]]:
    """Return what reads cases, of a blind reading with this reader's labels alone."""
    if reading.mode != "blind" or project.settings.blind_labels:
        return project.some_cases
    own = project.labels.own(reading.reader)

    def read(case_ids: Sequence[str]) -> Mapping[str, Case]:
        found = project.some_cases(case_ids)
        return {c: without_labels(case, own.get(c, {})) for c, case in found.items()}

    return read


def without_labels(case: Case, own: Mapping[str, int | None]) -> Case:
    """Return a case without labels, but for those that the reader gave."""
    return replace(case, labels={name: own.get(name) for name in case.labels})


def _pairs(project: Project, judge: str) -> dict[str, tuple[str, ...]]:
    """Return two others who are done, by case id, of the cases that have them."""
    settled, drawn = project.readers.settled(), project.annotated()
    found: dict[str, tuple[str, ...]] = {}
    for case_id, readings in project.readings().items():
        names = agreement.done_readers(readings, settled.get(case_id, {}))
        others = tuple(name for name in names if name != judge)[:2]
        if len(others) == 2 and case_id in drawn:
            found[case_id] = others
    # Where nobody drew anything there is nothing to make final.
    return found

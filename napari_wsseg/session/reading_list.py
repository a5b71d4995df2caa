"""Which cases there are, in which order they are read, and how far reading is."""

from __future__ import annotations

import random
import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from napari_wsseg.io.project import Project
from napari_wsseg.jobs import DataError
from napari_wsseg.pipeline import agreement
from napari_wsseg.pipeline.agreement import FINISHED
from napari_wsseg.schema import Case, Decision, Verdict
from napari_wsseg.session.reading_mode import Reading

SEEN_HOURS = 24
"""A film seen less long ago waits behind those that were not."""

_KEPT = 4096
"""Rows in memory; a screen shows some fifty."""

_PAGE = 500
"""Rows that are read at once."""

_WORDS: dict[Verdict, str] = {
    "accept": "accepted",
    "accept with edits": "edited",
    "reject": "rejected",
    "flag": "flagged",
}


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
    decisions: dict[str, Decision] = field(default_factory=dict)
    annotated: dict[str, tuple[str, ...]] = field(default_factory=dict)
    order: list[str] = field(default_factory=list)
    unreadable: dict[str, str] = field(default_factory=dict)
    mine: set[str] = field(default_factory=set)
    settled: set[str] = field(default_factory=set)
    pairs: dict[str, tuple[str, ...]] = field(default_factory=dict)
    seen: dict[str, str] = field(default_factory=dict)
    _places: dict[str, int] = field(default_factory=dict)
    _shuffles: dict[str, list[str]] = field(default_factory=dict)

    @classmethod
    def from_project(
        cls, project: Project, reading: Reading | None = None
    ) -> ReadingList:
        """Read what a reading may show of a project, in the order of its files."""
        reading = reading or Reading()
        found = cls(
            decisions=project.decisions(reader=reading.scope),
            seen=project.readers.seen(reading.reader),
        )
        ids = project.case_ids()
        if reading.mode == "adjudicate":
            found.pairs = _pairs(project, reading.reader)
            ids = [case_id for case_id in ids if case_id in found.pairs]
        found.cases = CaseList(ids, _reader_of(project, reading), found.unreadable)
        found.set_order(ids)
        own = project.annotated(reader=reading.reader)
        decided = project.decisions(reader=reading.reader)
        found.mine = {*own, *(c for c, d in decided.items() if d.verdict != "reopen")}
        found.annotated = project.annotated() if reading.mode == "open" else own
        found.settled = (
            set() if reading.mode == "blind" else set(project.readers.settled())
        )
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
        self.order = list(case_ids)
        self._places = dict(zip(self.order, range(len(self.order)), strict=True))

    def place(self, case_id: str | None) -> int:
        """Return where a case comes in the order, or -1 where the filter hides it."""
        return self._places.get(case_id or "", -1)

    def statuses(self) -> dict[str, str]:
        """Return `status` of every case that is more than drawn on."""
        return {
            **{c: w for c, d in self.decisions.items() if (w := _WORDS.get(d.verdict))},
            **dict.fromkeys(self.settled, "adjudicated"),
            **dict.fromkeys(self.unreadable, "unreadable"),
        }

    def shuffled(self, reader: str) -> list[str]:
        """Return all cases in a reader's own order by chance, the same at all times."""
        if reader not in self._shuffles:
            chance = random.Random(reader)
            self._shuffles[reader] = chance.sample(sorted(self.cases), len(self.cases))
        return self._shuffles[reader]

    def status(self, case_id: str) -> str:
        """Return the verdict in a word, or how far the case is."""
        if case_id in self.unreadable:
            return "unreadable"
        decision = self.decisions.get(case_id)
        if case_id in self.settled:
            return "adjudicated"
        if decision is not None and decision.verdict in _WORDS:
            return _WORDS[decision.verdict]
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
        start, count = self.place(case_id) + 1, len(self.order)
        for step in range(start, start + count):
            other = self.order[step % count]
            if other != case_id and not self.is_finished(other):
                return other
        return None

    def n_finished(self) -> int:
        """Count the cases that need no more reading."""
        return sum(
            d.verdict in FINISHED for c, d in self.decisions.items() if c in self.cases
        )

    def recently_seen(self, now: datetime) -> set[str]:
        """Return cases that this reader was shown less than `SEEN_HOURS` before."""
        since = (now - timedelta(hours=SEEN_HOURS)).isoformat()
        return {case_id for case_id, at in self.seen.items() if at > since}

    def minutes_left(self) -> float | None:
        """Return the time left at the median pace so far; ``None`` before two cases."""
        seconds = [d.seconds for d in self.decisions.values() if d.seconds]
        if len(seconds) < 2:
            return None
        left = len(self.cases) - self.n_finished()
        return left * statistics.median(seconds) / 60


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

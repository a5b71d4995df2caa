"""Which cases there are, in which order they are read, and how far reading is."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field

from napari_wsseg.io.project import Project
from napari_wsseg.schema import Case, Decision, Verdict

FINISHED: tuple[Verdict, ...] = ("accept", "accept with edits", "reject")
"""Verdicts after which a case needs no more reading."""

_WORDS: dict[Verdict, str] = {
    "accept": "accepted",
    "accept with edits": "edited",
    "reject": "rejected",
    "flag": "flagged",
}

STATUSES = ("to review", "has mask", *_WORDS.values(), "unreadable")
"""Every word that `ReadingList.status` can say."""


@dataclass(eq=False)
class ReadingList:
    """The cases of one project and what has been decided about them.

    Parameters
    ----------
    order
        Case ids as the worklist shows them: what next and previous follow.
    unreadable
        Case id to the reason why its film could not be shown.
    """

    cases: dict[str, Case] = field(default_factory=dict)
    decisions: dict[str, Decision] = field(default_factory=dict)
    annotated: dict[str, tuple[str, ...]] = field(default_factory=dict)
    order: list[str] = field(default_factory=list)
    unreadable: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, project: Project) -> ReadingList:
        """Read the list of a project, in the order of its files."""
        cases = {case.id: case for case in project.cases()}
        return cls(cases, project.decisions(), project.annotated(), list(cases))

    def set_order(self, case_ids: Sequence[str]) -> None:
        """Take over the order, and perhaps the filter, of the worklist on screen."""
        self.order = list(case_ids)

    def status(self, case_id: str) -> str:
        """Return one of `STATUSES`: the verdict, or how far the case is."""
        if case_id in self.unreadable:
            return "unreadable"
        decision = self.decisions.get(case_id)
        if decision is not None and decision.verdict in _WORDS:
            return _WORDS[decision.verdict]
        return "has mask" if case_id in self.annotated else "to review"

    def is_finished(self, case_id: str) -> bool:
        """Whether a case needs no more reading by this reader."""
        decision = self.decisions.get(case_id)
        return case_id in self.unreadable or (
            decision is not None and decision.verdict in FINISHED
        )

    def stepped(self, case_id: str | None, by: int) -> str | None:
        """Return the case `by` places on from `case_id`, stopping at the ends."""
        if not self.order:
            return None
        if case_id not in self.order:
            return self.order[0]
        index = self.order.index(case_id) + by
        return self.order[min(max(index, 0), len(self.order) - 1)]

    def unread_after(self, case_id: str | None) -> str | None:
        """Return the next case to read after `case_id`, round the end, or ``None``."""
        start = self.order.index(case_id) + 1 if case_id in self.order else 0
        for other in self.order[start:] + self.order[:start]:
            if other != case_id and not self.is_finished(other):
                return other
        return None

    def n_finished(self) -> int:
        """Count the cases that need no more reading."""
        return sum(d.verdict in FINISHED for d in self.decisions.values())

    def minutes_left(self) -> float | None:
        """Return the time left at the median pace so far; ``None`` before two cases."""
        seconds = [d.seconds for d in self.decisions.values() if d.seconds]
        if len(seconds) < 2:
            return None
        left = len(self.cases) - self.n_finished()
        return left * statistics.median(seconds) / 60

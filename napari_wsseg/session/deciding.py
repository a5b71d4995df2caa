"""Decisions: a verdict, the drafts it approves, and taking both back."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

from napari_wsseg.io.project import Project
from napari_wsseg.schema import Annotation, Decision, Mask, Verdict
from napari_wsseg.session.looking import Looking
from napari_wsseg.session.opened import OpenedCase
from napari_wsseg.session.reading_list import ReadingList

UNDO_SECONDS = 10.0
"""How long a decision can be taken back with one click."""


@dataclass(frozen=True, slots=True, eq=False)
class Asked:
    """A decision that a reader asked for.

    Parameters
    ----------
    drafts : each (H, W) bool
        Findings without an expert mask, with the draft that the verdict approves.
    stage, run
        Where the drafts came from; another map than the run's own is named as
        ``"cam~layer-cam@4"``.
    seconds
        Time that the reader spent on the case.
    """

    case_id: str
    verdict: Verdict
    drafts: Mapping[str, Mask]
    stage: str
    run: str | None
    confidence: int | None
    comment: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Taken:
    """A decision that was entered, and what held before it."""

    decision: Decision
    before: Verdict
    approved: tuple[Annotation, ...]
    at: float


def offer(
    opened: OpenedCase,
    looking: Looking,
    verdict: Verdict,
    *,
    drawn: Collection[str],
    confidence: int | None,
    comment: str,
    seconds: float,
) -> Callable[[], Asked]:
    """Return the work, for any thread, that makes the drafts a verdict approves.

    An accepting verdict takes the drafts of the stage that is looked at for every
    finding that is not `drawn`; where the film or expert masks are looked at, none.
    """
    stage, case, drafts = looking.view, opened.case, looking.drafts.copy()
    run, snap = opened.shown.runs.get(stage), looking.snap
    accepting = verdict in ("accept", "accept with edits")
    wanted = [f for f in looking.names if f not in drawn] if accepting else []

    def work() -> Asked:
        maps = opened.stage_maps(stage, snap=snap)
        found = {
            finding: drafts.draft(maps, stage, finding, case.shape)
            for finding in wanted
            if maps is not None
        }
        kept = opened.shown.kept(stage) + (" snapped" if snap else "")
        return Asked(case.id, verdict, found, kept, run, confidence, comment, seconds)

    return work


@dataclass(eq=False)
class Deciding:
    """Enters decisions in a project and remembers the last one for a while."""

    project: Project
    cases: ReadingList
    reader: str
    clock: Callable[[], float] = time.monotonic
    last: Taken | None = None

    def enter(self, asked: Asked) -> Taken:
        """Save the approved drafts, then the verdict.

        Raises
        ------
        DataError
            The disk refuses; the verdict was not entered.
        """
        before = self.cases.decisions.get(asked.case_id)
        # One transaction: a verdict never stands without the masks it approved.
        with self.project.transaction():
            approved = tuple(
                self.project.put_mask(
                    asked.case_id,
                    finding,
                    mask,
                    reader=self.reader,
                    tool=f"accepted {asked.stage}",
                    source_run=asked.run,
                )
                for finding, mask in asked.drafts.items()
            )
            decision = self.project.decide(
                asked.case_id,
                asked.verdict,
                reader=self.reader,
                confidence=asked.confidence,
                comment=asked.comment,
                seconds=round(asked.seconds, 1),
            )
        self.cases.decisions[asked.case_id] = decision
        verdict: Verdict = before.verdict if before else "reopen"
        self.last = Taken(decision, verdict, approved, self.clock())
        return self.last

    def can_undo(self) -> bool:
        """Whether the last decision is young enough to be taken back."""
        return self.last is not None and self.clock() - self.last.at < UNDO_SECONDS

    def undo(self) -> Taken | None:
        """Take the last decision back, with the drafts that it approved.

        Raises
        ------
        DataError
            The disk refuses; the decision stands.
        """
        taken = self.last
        if taken is None:
            return None
        with self.project.transaction():
            for annotation in taken.approved:
                self.project.withdraw(
                    annotation, actor=self.reader, reason="decision undone"
                )
            back = self.project.decide(
                taken.decision.case, taken.before, reader=self.reader
            )
        self.cases.decisions[back.case] = back
        self.last = None
        return taken

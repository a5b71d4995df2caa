"""Decisions: a verdict, the drafts it approves, and taking both back."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace

import numpy as np

from napari_wsseg.io.project import Project
from napari_wsseg.schema import ACCEPTING, Annotation, Decision, Mask, Verdict
from napari_wsseg.session.case_list.reading_list import ReadingList
from napari_wsseg.session.effort.starts import BLANK, Changed, Start
from napari_wsseg.session.open_case import OpenedCase
from napari_wsseg.session.reading_mode import Reading
from napari_wsseg.session.view import Looking

UNDO_SECONDS = 10.0
"""How long a decision can be taken back with one click."""


@dataclass(frozen=True, slots=True, eq=False)
class Asked:
    """A decision that a reader asked for.

    Parameters
    ----------
    drafts : each (H, W) bool
        Masks that the verdict approves.
    tool, run
        Where the drafts came from: ``"accepted irnet"``; another map than the run's
        own is named as ``"accepted cam~layer-cam@4"``.
    finding
        The one finding that is decided on; ``None``: the film.
    seconds
        Time since the case was shown.
    changed
        Masks that the verdict leaves, beside the drafts that were offered.
    """

    case_id: str
    verdict: Verdict
    drafts: Mapping[str, Mask]
    tool: str = ""
    run: str | None = None
    confidence: int | None = None
    comment: str = ""
    seconds: float = 0.0
    finding: str | None = None
    changed: tuple[Changed, ...] = ()


@dataclass(frozen=True, slots=True)
class EnteredDecision:
    """A decision that was entered, the masks it made and those it made final."""

    decision: Decision
    approved: tuple[Annotation, ...]
    settled: tuple[str, ...]
    at: float


def offer(
    opened: OpenedCase,
    looking: Looking,
    verdict: Verdict,
    *,
    drawn: Mapping[str, Mask],
    starts: Mapping[str, Start],
    confidence: int | None,
    comment: str,
    seconds: float,
    finding: str | None = None,
) -> Callable[[], Asked]:
    """Return the work, for any thread, that makes the drafts a verdict approves.

    An accepting verdict takes the drafts of the stage that is looked at for every
    finding that is not `drawn`; where the film or expert masks are looked at, none.

    A draft was offered for a finding if one was laid in (`starts`), else if the stage
    that is looked at has one; of findings that are `drawn` it is compared with that.

    Parameters
    ----------
    opened, looking
        The film, and stage and thresholds as they are now: moving them later changes
        nothing.
    verdict
        One of `napari_wsseg.schema.Verdict`.
    drawn : each (H, W) bool
        Expert masks by finding, as the reader sees them.
    starts
        What masks began with, by finding; ``"blank"`` where that is not known.
    confidence
        1 (low) to 3 (high), or ``None``.
    comment
        Empty for none.
    seconds
        Since the film was shown.
    finding
        The one finding that it is about, whose mask is empty if it is rejected;
        ``None``: the film as a whole.
    """
    stage, case, drafts = looking.view, opened.case, looking.drafts.copy()
    run, snap = opened.shown.runs.get(stage), looking.snap
    drawn, starts = dict(drawn), dict(starts)
    accepting = verdict in ACCEPTING
    asked = looking.names if finding is None else (finding,)
    wanted = [name for name in asked if name not in drawn] if accepting else []
    absent = (finding,) if finding and verdict == "reject" else ()

    def work() -> Asked:
        maps = opened.stage_maps(stage, snap=snap)
        offered = {
            name: drafts.draft(maps, stage, name, case.shape, case.labels)
            for name in (asked if accepting or absent else ())
            if maps is not None
        }
        found = {name: offered[name] for name in wanted if name in offered}
        found |= {name: np.zeros(case.shape, bool) for name in absent}
        kept = opened.shown.maps_name(stage) + (" snapped" if snap else "")
        tool = "rejected" if absent else f"accepted {kept}"
        changed = (
            _changed(
                *(name, found.get(name), drawn.get(name), offered.get(name)),
                starts.get(name, Start(BLANK)),
                *(kept, run),
            )
            for name in (asked if accepting or absent else ())
            if name in found or name in drawn
        )
        return Asked(
            *(case.id, verdict, found, tool, run, confidence, comment, seconds),
            *(finding, tuple(changed)),
        )

    return work


def _changed(
    finding: str,
    taken: Mask | None,
    drawn: Mask | None,
    offered: Mask | None,
    start: Start,
    stage: str,
    run: str | None,
) -> Changed:
    """Return a mask beside its draft: `taken` as it was offered, or `drawn`."""
    if drawn is None and taken is not None:
        return Changed(finding, Start(stage, offered, run), taken)
    mask = taken if taken is not None else drawn
    assert mask is not None
    if start.offered is None:
        start = replace(start, offered=offered)
    return Changed(finding, start, mask)


@dataclass(eq=False)
class Deciding:
    """Enters decisions in a project and remembers the last one for a while."""

    project: Project
    cases: ReadingList
    reading: Reading
    clock: Callable[[], float] = time.monotonic
    last: EnteredDecision | None = None

    def enter(self, asked: Asked, settling: Collection[str] = ()) -> EnteredDecision:
        """Save the approved drafts, then the verdict.

        Parameters
        ----------
        settling
            Findings whose newest mask of this reader is final from now on.

        Raises
        ------
        DataError
            The disk refuses; the verdict was not entered.
        """
        # One transaction: a verdict never stands without the masks it approved.
        with self.project.transaction():
            approved = tuple(
                version
                for finding, mask in asked.drafts.items()
                if (version := self._approve(asked, finding, mask)) is not None
            )
            for finding in settling:
                self._settle(asked.case_id, finding)
            decision = self.project.decide(
                asked.case_id,
                asked.verdict,
                reader=self.reading.reader,
                confidence=asked.confidence,
                comment=asked.comment,
                seconds=round(asked.seconds, 1),
                finding=asked.finding,
            )
            for changed in asked.changed:
                outcome = changed.outcome(decision.id)
                if outcome is not None:
                    self.project.work_log.enter_outcome(
                        outcome, actor=self.reading.reader
                    )
        if asked.finding is None:
            self.cases.decisions[asked.case_id] = decision
        self.last = EnteredDecision(decision, approved, tuple(settling), self.clock())
        return self.last

    def can_undo(self) -> bool:
        """Whether the last decision is young enough to be taken back."""
        return self.last is not None and self.clock() - self.last.at < UNDO_SECONDS

    def undo(self) -> EnteredDecision | None:
        """Take the last decision back, with the drafts that it approved.

        Raises
        ------
        DataError
            The disk refuses; the decision stands.
        """
        taken, reader = self.last, self.reading.reader
        if taken is None:
            return None
        case_id = taken.decision.case
        with self.project.transaction():
            for finding in taken.settled:
                self.project.readers.settle(case_id, finding, None, actor=reader)
            for annotation in taken.approved:
                self.project.withdraw(
                    annotation, actor=reader, reason="decision undone"
                )
            self.project.undo_decision(taken.decision, actor=reader)
        self.take_over(case_id)
        self.last = None
        return taken

    def reopen(self, case_id: str) -> Decision:
        """Let a case be read again; what was drawn and decided is kept.

        Raises
        ------
        DataError
            The disk refuses.
        """
        reader = self.reading.reader
        with self.project.transaction():
            if self.reading.mode != "blind":
                for finding in self.project.readers.settled(case_id).get(case_id, {}):
                    self.project.readers.settle(case_id, finding, None, actor=reader)
            decision = self.project.decide(case_id, "reopen", reader=reader)
        self.take_over(case_id)
        self.last = None
        return decision

    def take_over(self, case_id: str) -> None:
        """Read again which decision on a case holds."""
        held = self.project.decision(case_id, reader=self.reading.scope)
        if held is None:
            self.cases.decisions.pop(case_id, None)
        else:
            self.cases.decisions[case_id] = held

    def _approve(self, asked: Asked, finding: str, mask: Mask) -> Annotation | None:
        """Save a mask; ``None`` if the reader's newest has these pixels already."""
        reader = self.reading.reader
        before = self.project.latest(asked.case_id, finding, reader=reader)
        version = self.project.put_mask(
            asked.case_id,
            finding,
            mask,
            reader=reader,
            tool=asked.tool,
            parent=before.id if before else None,
            source_run=asked.run,
        )
        return None if version == before else version

    def _settle(self, case_id: str, finding: str) -> None:
        reader = self.reading.reader
        final = self.project.latest(case_id, finding, reader=reader)
        if final is not None:
            self.project.readers.settle(case_id, finding, final, actor=reader)


def finding_state(
    version: Annotation | None,
    own: Decision | None,
    film: Decision | None,
    *,
    drawn: bool,
) -> str:
    """Return "—", "drawn", "accepted", "edited" or "rejected" for one finding.

    Parameters
    ----------
    version
        The finding's newest saved mask, if it has one.
    own, film
        The decisions that hold on the finding and on the film; the later one counts.
    drawn
        Whether the finding has a mask, be it not saved as a version yet.
    """
    held = max((one for one in (own, film) if one), key=lambda d: d.id, default=None)
    if held is None or _is_later(version, held) or held.verdict in ("reopen", "flag"):
        return "drawn" if drawn else "—"
    if held.verdict == "reject":
        return "rejected"
    if not drawn:
        return "—"
    if held.finding is not None:
        return "accepted" if held.verdict == "accept" else "edited"
    machine = version is not None and version.tool.startswith("accepted ")
    return "accepted" if machine else "edited"


def _is_later(version: Annotation | None, held: Decision) -> bool:
    """Whether a mask was saved after a decision; by row, as clocks are set back."""
    if version is None:
        return False
    if held.after is None:
        return version.created > held.created
    return version.id > held.after

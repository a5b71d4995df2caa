"""What a mask cost its reader: active seconds, strokes, and how far from the draft.

The rule is `napari_wsseg.session.effort.active_time`'s: from one sign of hand or eye
to the next while the window has the focus; a pause of more than 20 s is left out.
"""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from napari_wsseg.schema import ACCEPTING, Decision, Outcome, Work

STROKES = frozenset(
    {"paint", "erase", "polygon", "fill", "outline", "lasso", "grow stroke", "brush"}
)
"""Gestures that are strokes; undo, clearing and laying in a draft are none."""


@dataclass(frozen=True, slots=True)
class Effort:
    """One reader's work on one film up to the decision that ended it.

    Parameters
    ----------
    seconds
        Active seconds on the film.
    by_finding
        The same by the finding in hand.
    gestures
        Counts by tool, by the finding in hand.
    outcomes
        What became of drafts, by finding.
    arm
        What was offered, empty outside of a study.
    round
        How many runs had taken the place of the first one of the stage
        ``"segmentation"`` when the decision was made.
    """

    case: str
    reader: str
    decision: Decision
    seconds: float
    by_finding: Mapping[str, float]
    gestures: Mapping[str, Mapping[str, int]]
    outcomes: Mapping[str, Outcome] = field(default_factory=dict)
    arm: str = ""
    round: int = 0

    def strokes(self, finding: str | None = None) -> int:
        """Count strokes on a finding, or on all."""
        chosen = self.gestures if finding is None else {finding: {}}
        return sum(
            number
            for name in chosen
            for tool, number in self.gestures.get(name, {}).items()
            if tool in STROKES
        )

    def drafted(self) -> list[Outcome]:
        """Return outcomes of findings that a draft was offered for.

        A mask that was there before, as an imported one, was no draft's.
        """
        return [
            outcome
            for outcome in self.outcomes.values()
            if outcome.offered_px is not None and outcome.start != "mask"
        ]

    def changed_px(self) -> int:
        """Count pixels changed against drafts, or drawn where none was offered."""
        return sum(
            outcome.added_px + outcome.removed_px
            for outcome in self.outcomes.values()
            if outcome.start != "mask"
        )

    def tools(self, finding: str) -> str:
        """Name the tools of a finding and how often each was used."""
        used = sorted(self.gestures.get(finding, {}).items())
        return " ".join(f"{tool.replace(' ', '-')}:{number}" for tool, number in used)


def efforts(
    decisions: Iterable[Decision],
    work: Iterable[Work],
    outcomes: Iterable[Outcome],
    adoptions: Iterable[tuple[str, str, str]],
) -> list[Effort]:
    """Return the work behind every decision on a film, oldest first.

    Work belongs to its reader's next decision on the film that was not taken back.
    Verdicts on single findings, flags and reopenings end nothing: their work goes to
    the verdict on the film. Decisions without any work, of earlier versions or
    imported, are left out.

    Parameters
    ----------
    decisions
        Those that hold, oldest first.
    work, outcomes
        All there is, oldest first.
    adoptions
        Stage, run and time of each, oldest first.
    """
    left, outcome_rows = _by_reading(work), _by_decision(outcomes)
    rounds = _rounds(adoptions)
    found: list[Effort] = []
    waiting: dict[tuple[str, str], dict[str, Outcome]] = {}
    for decision in decisions:
        key = decision.case, decision.reader
        before = waiting.setdefault(key, {})
        before.update(outcome_rows.get(decision.id, {}))
        if decision.finding is not None or decision.verdict in ("flag", "reopen"):
            continue
        spells = [spell for spell in left.get(key, ()) if spell.earlier < decision.id]
        if spells:
            left[key] = [s for s in left[key] if s.earlier >= decision.id]
            number = _round(rounds, decision)
            found.append(_effort(decision, spells, waiting.pop(key), number))
    return found


def newest(found: Iterable[Effort]) -> dict[tuple[str, str], Effort]:
    """Return the last effort of each reader on each film, by film and reader."""
    return {(one.case, one.reader): one for one in found}


@dataclass(frozen=True, slots=True)
class Day:
    """How reading went on one day, for a quiet line."""

    films: int
    median_seconds: float
    as_offered: float | None

    def line(self) -> str:
        """Say it in words."""
        text = f"median {self.median_seconds:.0f} s a film today"
        if self.as_offered is not None:
            text += f"; {self.as_offered:.0%} as offered"
        return text


def day(found: Sequence[Effort], date: str) -> Day | None:
    """Return how the films decided on a UTC date (``2026-11-30``) went.

    ``None`` before the first. Of findings that had a draft or have a mask, `as_offered`
    is the share whose mask is the draft that was offered.
    """
    today = [one for one in found if one.decision.created.startswith(date)]
    if not today:
        return None
    return Day(
        len(today),
        statistics.median(one.seconds for one in today),
        share_unedited(today),
    )


def share_unedited(found: Iterable[Effort]) -> float | None:
    """Return the share of masks taken as offered, ``None`` where no draft was."""
    kept = [
        outcome.unedited
        for one in found
        if one.decision.verdict in ACCEPTING
        for outcome in one.drafted()
    ]
    return sum(kept) / len(kept) if kept else None


def _by_reading(spells: Iterable[Work]) -> dict[tuple[str, str], list[Work]]:
    found: dict[tuple[str, str], list[Work]] = {}
    for work in spells:
        found.setdefault((work.case, work.reader), []).append(work)
    return found


def _by_decision(outcomes: Iterable[Outcome]) -> dict[int, dict[str, Outcome]]:
    found: dict[int, dict[str, Outcome]] = {}
    for outcome in outcomes:
        found.setdefault(outcome.decision, {})[outcome.finding] = outcome
    return found


def _effort(
    decision: Decision,
    spells: Sequence[Work],
    outcomes: Mapping[str, Outcome],
    number: int,
) -> Effort:
    seconds: dict[str, float] = {}
    gestures: dict[str, Counter[str]] = {}
    for spell in spells:
        name = spell.finding or ""
        seconds[name] = seconds.get(name, 0.0) + spell.seconds
        gestures.setdefault(name, Counter()).update(spell.gestures)
    return Effort(
        case=decision.case,
        reader=decision.reader,
        decision=decision,
        seconds=sum(seconds.values()),
        by_finding=seconds,
        gestures=gestures,
        outcomes=outcomes,
        arm=spells[-1].arm,
        round=number,
    )


def _rounds(adoptions: Iterable[tuple[str, str, str]]) -> list[str]:
    """Return when each run was first adopted for the stage ``"segmentation"``."""
    first: dict[str, str] = {}
    for stage, run, created in adoptions:
        if stage == "segmentation":
            first.setdefault(run, created)
    return list(first.values())


def _round(rounds: Sequence[str], decision: Decision) -> int:
    return max(0, sum(created <= decision.created for created in rounds) - 1)

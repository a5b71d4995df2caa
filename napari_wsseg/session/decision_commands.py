"""The part of a session that takes verdicts, and takes them back."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

from napari_wsseg.schema import ACCEPTING, Verdict
from napari_wsseg.session import adjudication
from napari_wsseg.session.decisions import Asked, finding_state, offer
from napari_wsseg.session.effort.starts import Start, start_before
from napari_wsseg.session.expert_masks import ExpertMasks
from napari_wsseg.session.open_case import OpenedCase
from napari_wsseg.session.state import State


@dataclass(frozen=True)
class DecisionCommands:
    """Decisions on the open film and on single findings."""

    state: State

    def decide(
        self,
        verdict: Verdict,
        *,
        confidence: int | None = None,
        comment: str = "",
        finding: str | None = None,
    ) -> bool:
        """Enter a verdict on the open case; return whether it could be.

        With an accepting verdict, findings without an expert mask take the draft of
        the stage that is shown; where only the film or expert masks are shown,
        nothing is taken. An adjudicator's accepting verdict makes masks final.

        Parameters
        ----------
        verdict
            One of `napari_wsseg.schema.Verdict`.
        confidence
            1 (low) to 3 (high), or ``None``.
        comment
            Empty for none.
        finding
            The one finding that it is about, whose mask becomes empty if it is
            rejected; ``None``: the film as a whole.

        Returns
        -------
        bool
            False: nothing was decided, and `message` or `save_failed` says why. True:
            it is under way, and `decided` tells when it is on disk.
        """
        state = self.state
        if state.readonly or state.opened is None or state.experts is None:
            state.message.emit("Read-only: decisions cannot be kept")
            return False
        if state.turning:
            state.message.emit("Another film is on its way: nothing was decided")
            return False
        if state.locked:
            state.message.emit("An adjudicator's masks are final here: reopen the film")
            return False
        if not state.tried(state.experts.fold):
            return False
        unclear = [f for f in state.experts.unclear if finding in (None, f)]
        if unclear and (finding or verdict not in ("flag", "reopen")):
            state.message.emit(
                f"Not decided: the mask of {', '.join(unclear)} cannot be read; "
                "restore an earlier version, or run `wsseg fsck --repair`"
            )
            return False
        drawn = state.experts.annotated
        if why := self._not_yet(state.opened, verdict, finding, drawn):
            state.message.emit(why)
            return False
        state.work.signal()
        state.keep_work()
        if finding is None:
            state.work.rest()
        work = offer(
            state.opened,
            state.looking,
            verdict,
            drawn=state.experts.drawn(),
            starts=self._starts(state.experts),
            confidence=confidence,
            comment=comment,
            seconds=state.clock() - state.shown_at,
            finding=finding,
        )
        if state.reading.mode == "adjudicate" and finding is None:
            work = adjudication.offer(state.opened, drawn, work)
        state.background.submit(work, self._enter, state.fail)
        return True

    def can_undo_decision(self) -> bool:
        """Whether the last decision is young enough to be taken back."""
        return self.state.deciding is not None and self.state.deciding.can_undo()

    def undo_decision(self) -> None:
        """Take the last decision and the drafts it approved back; show the case."""
        state = self.state
        taken = state.deciding.last if state.deciding else None
        if state.deciding is None or taken is None or state.experts is None:
            return
        state.work.signal()
        # What was drawn since becomes a version of its own before masks go back.
        experts, case = state.experts, taken.decision.case
        folded = state.tried(experts.fold) and state.tried(
            lambda: experts.fold_waiting(case)
        )
        if not folded or not state.tried(state.deciding.undo):
            return
        case_id = taken.decision.case
        scope, project = state.reading.scope, state.deciding.project
        for finding in (annotation.finding for annotation in taken.approved):
            before = project.latest(case_id, finding, reader=scope)
            mask = project.read_mask(before) if before else None
            state.replace_mask(case_id, finding, mask)
        state.refresh_status(case_id)
        state.decided.emit(None)
        state.go_to(case_id)

    def reopen(self) -> None:
        """Let the open case be read again, whatever was decided, final masks too."""
        state = self.state
        deciding, opened = state.deciding, state.opened
        if deciding is None or opened is None or deciding.project.readonly:
            return
        case_id = opened.case.id
        if state.tried(lambda: deciding.reopen(case_id)):
            state.refresh_status(case_id)
            state.succeed()
            state.read_again()

    def finding_states(self) -> Mapping[str, str]:
        """Return "—", "drawn", "accepted", "edited" or "rejected" by finding."""
        state = self.state
        project, experts = state.project, state.experts
        if project is None or experts is None or state.opened is None:
            return {}
        case_id, scope = state.opened.case.id, state.reading.scope
        versions = project.expert_annotations(case_id, reader=scope)
        verdicts = project.finding_decisions(case_id, reader=scope)
        film_decision = state.list.decisions.get(case_id)
        return {
            name: finding_state(
                versions.get(name),
                verdicts.get(name),
                film_decision,
                drawn=name in drawn,
            )
            for drawn in [experts.annotated]
            for name in state.looking.names
        }

    def _starts(self, experts: ExpertMasks) -> dict[str, Start]:
        """Return what the masks that are drawn began with, earlier sittings included.

        Of what was recovered from the journal that is not known.
        """
        state, case_id = self.state, experts.case_id
        history = experts.project.history
        return {
            name: state.starts.get(name)
            or start_before(history(case_id, name, reader=state.reader), drawn=True)
            for name in experts.annotated
        }

    def _not_yet(
        self, opened: OpenedCase, verdict: Verdict, finding: str | None, drawn: set[str]
    ) -> str:
        if verdict not in ACCEPTING:
            return ""
        if finding is None:
            return _still_open(opened, drawn, self.state.looking.title)
        staged = self.state.looking.view in opened.maps and verdict == "accept"
        if finding in drawn or staged:
            return ""
        title = self.state.looking.title(finding)
        return f"{title} has no mask yet: draw it, or turn to a stage that shows it"

    def _enter(self, asked: Asked) -> None:
        state, final = self.state, tuple[str, ...]()
        # A session waits for what it has begun before it ends.
        deciding, experts = state.deciding, state.experts
        assert deciding is not None
        assert experts is not None
        accepted = asked.verdict in ACCEPTING
        if state.reading.mode == "adjudicate" and accepted and asked.finding is None:
            final = state.looking.names
        if not state.tried(lambda: deciding.enter(asked, final)):
            return
        replaced = asked.verdict == "reject"
        for finding, mask in asked.drafts.items():
            if replaced or finding not in experts.annotated:
                state.replace_mask(asked.case_id, finding, mask)
        state.succeed()
        state.refresh_status(asked.case_id)
        state.decided.emit(deciding.last.decision if deciding.last else None)


def _still_open(
    opened: OpenedCase, drawn: Collection[str], title: Callable[[str], str]
) -> str:
    """Return why a disagreement is not ended yet; empty when it is."""
    names = adjudication.undecided(opened, drawn)
    if not names:
        return ""
    first, second = list(opened.others)[:2]
    differing = ", ".join(map(title, names))
    return (
        f"{first} and {second} differ on {differing}: take one of the "
        "two (Alt A, Alt B) or draw the final mask"
    )

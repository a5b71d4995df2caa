"""The part of a session that takes verdicts, and takes them back."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from napari_wsseg.schema import Mask, Verdict
from napari_wsseg.session import adjudication as adjudicating
from napari_wsseg.session.decisions import Asked, finding_state, offer
from napari_wsseg.session.open_case import OpenedCase
from napari_wsseg.session.state import Whole


class Verdicts(Whole):
    """Decisions on the open film and on single findings."""

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
        nothing is taken. With `finding`, the verdict is about that one alone; rejected,
        its mask becomes empty. An adjudicator's accepting verdict makes masks final.
        """
        if self.readonly or self.opened is None or self.experts is None:
            self.message.emit("Read-only: decisions cannot be kept")
            return False
        if self.turning:
            self.message.emit("Another film is on its way: nothing was decided")
            return False
        if self.locked:
            self.message.emit("An adjudicator's masks are final here: reopen the film")
            return False
        if not self._tried(self.experts.fold):
            return False
        unclear = [f for f in self.experts.unclear if finding in (None, f)]
        if unclear and (finding or verdict not in ("flag", "reopen")):
            self.message.emit(
                f"Not decided: the mask of {', '.join(unclear)} cannot be read; "
                "restore an earlier version, or run `wsseg fsck --repair`"
            )
            return False
        drawn = self.experts.annotated
        if why := self._not_yet(verdict, finding, drawn):
            self.message.emit(why)
            return False
        work = offer(
            self.opened,
            self.looking,
            verdict,
            drawn=drawn,
            confidence=confidence,
            comment=comment,
            seconds=self._clock() - self._shown_at,
            finding=finding,
        )
        if self.reading.mode == "adjudicate" and finding is None:
            work = adjudicating.offer(self.opened, drawn, work)
        self._background.submit(work, self._enter, self._fail)
        return True

    def can_undo_decision(self) -> bool:
        """Whether the last decision is young enough to be taken back."""
        return self._deciding is not None and self._deciding.can_undo()

    def undo_decision(self) -> None:
        """Take the last decision and the drafts it approved back; show the case."""
        taken = self._deciding.last if self._deciding else None
        if self._deciding is None or taken is None or self.experts is None:
            return
        # What was drawn since becomes a version of its own before masks go back.
        experts, case = self.experts, taken.decision.case
        folded = self._tried(experts.fold) and self._tried(
            lambda: experts.fold_waiting(case)
        )
        if not folded or not self._tried(self._deciding.undo):
            return
        case_id = taken.decision.case
        scope, project = self.reading.scope, self._deciding.project
        for finding in (annotation.finding for annotation in taken.approved):
            before = project.latest(case_id, finding, reader=scope)
            mask = project.read_mask(before) if before else None
            self._replace_mask(case_id, finding, mask)
        self._changed(case_id)
        self.decided.emit(None)
        self.go_to(case_id)

    def reopen(self) -> None:
        """Let the open case be read again, whatever was decided, final masks too."""
        deciding, opened = self._deciding, self.opened
        if deciding is None or opened is None or deciding.project.readonly:
            return
        case_id = opened.case.id
        if self._tried(lambda: deciding.reopen(case_id)):
            self._changed(case_id)
            self._succeed()
            self._read_again()

    def finding_states(self) -> Mapping[str, str]:
        """Return "—", "drawn", "accepted", "edited" or "rejected" by finding."""
        project, experts = self.project, self.experts
        if project is None or experts is None or self.opened is None:
            return {}
        case_id, scope = self.opened.case.id, self.reading.scope
        versions = project.expert_annotations(case_id, reader=scope)
        verdicts = project.finding_decisions(case_id, reader=scope)
        whole = self.list.decisions.get(case_id)
        return {
            name: finding_state(
                versions.get(name), verdicts.get(name), whole, drawn=name in drawn
            )
            for drawn in [experts.annotated]
            for name in self.looking.names
        }

    def _not_yet(self, verdict: Verdict, finding: str | None, drawn: set[str]) -> str:
        accepting = verdict in ("accept", "accept with edits")
        if not accepting or self.opened is None:
            return ""
        if finding is None:
            return still_open(self.opened, drawn)
        staged = self.looking.view in self.opened.maps and verdict == "accept"
        if finding in drawn or staged:
            return ""
        return f"{finding} has no mask yet: draw it, or turn to a stage that shows it"

    def _enter(self, asked: Asked) -> None:
        if self._deciding is None:
            return
        deciding, final = self._deciding, tuple[str, ...]()
        accepted = asked.verdict in ("accept", "accept with edits")
        if self.reading.mode == "adjudicate" and accepted and asked.finding is None:
            final = self.looking.names
        if not self._tried(lambda: deciding.enter(asked, final)):
            return
        replaced = asked.verdict == "reject"
        for finding, mask in asked.drafts.items():
            known = self.experts.annotated if self.experts else set()
            if replaced or finding not in known:
                self._replace_mask(asked.case_id, finding, mask)
        self._succeed()
        self._changed(asked.case_id)
        self.decided.emit(deciding.last.decision if deciding.last else None)

    def _replace_mask(self, case_id: str, finding: str, mask: Mask | None) -> None:
        if self._loader is not None:
            self._loader.forget(case_id)
        if self.experts is not None and self.experts.case_id == case_id:
            self.experts.replace(finding, mask)
            self.mask_replaced.emit(finding)


def still_open(opened: OpenedCase, drawn: Collection[str]) -> str:
    """Return why a disagreement is not ended yet; empty when it is."""
    names = adjudicating.undecided(opened, drawn)
    if not names:
        return ""
    first, second = list(opened.others)[:2]
    return (
        f"{first} and {second} differ on {', '.join(names)}: take one of the two "
        "(Alt A, Alt B) or draw the final mask"
    )

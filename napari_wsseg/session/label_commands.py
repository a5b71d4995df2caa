"""The part of a session that shows and changes image-level labels.

A mask and a label can contradict each other: something is drawn of a finding that the
film is labelled without, or nothing is left of one that it is labelled with. The reader
is asked then; labels are never changed unasked.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from napari_wsseg.schema import Case, LabelVersion
from napari_wsseg.session.case_list.reading_list import without_labels
from napari_wsseg.session.state import Contradiction, State


@dataclass(frozen=True)
class LabelCommands:
    """Image-level labels of the open film, their versions and their contradictions."""

    state: State

    def set_label(
        self, finding: str, value: int | None, *, case_id: str | None = None
    ) -> bool:
        """Say that a finding is present, absent, uncertain or unknown on a film.

        Parameters
        ----------
        finding
            Its name.
        value
            1, 0, -1 or ``None``.
        case_id
            By default the open case.

        Returns
        -------
        bool
            Whether it was put down: not if this reader said the same before, nothing
            can be written, or the disk refuses.
        """
        state, case = self.state, self._case(case_id)
        if state.project is None or case is None or state.readonly:
            state.message.emit("Read-only: labels cannot be changed")
            return False
        project, made = state.project, list[LabelVersion]()
        own = project.labels.own(state.reader).get(case.id, {})
        if finding in own and own[finding] == value == case.labels.get(finding):
            return False

        def put() -> None:
            made.extend(
                project.labels.put(
                    case.id, {finding: value}, reader=state.reader, source="window"
                )
            )

        if not state.tried(put):
            return False
        state.last_label = made[-1]
        self._take_over(case.id)
        state.succeed()
        return True

    def can_undo_label(self) -> bool:
        """Whether this reader changed a label since the last decision."""
        return self.state.last_label is not None

    def undo_label(self) -> None:
        """Take the last label that was changed back; what was said before counts."""
        state, version = self.state, self.state.last_label
        if state.project is None or version is None:
            return
        project = state.project
        if state.tried(lambda: project.labels.undo(version, actor=state.reader)):
            state.last_label = None
            self._take_over(version.case)
            state.succeed()

    def label_versions(self, finding: str) -> tuple[LabelVersion, ...]:
        """Return what was said of a finding of the open case, newest first.

        Of a blind reading, what this reader said alone.
        """
        state = self.state
        if state.project is None or state.case is None:
            return ()
        found = state.project.labels.history(state.case.id, finding)[::-1]
        if state.labels_hidden:
            found = [version for version in found if version.reader == state.reader]
        return tuple(found)

    def check_label(self, finding: str) -> None:
        """Ask about a finding of the open case whose mask contradicts its label."""
        state, case = self.state, self.state.case
        if case is None or state.experts is None or state.readonly:
            return
        drawn = finding in state.experts.annotated
        mask = state.experts.masks.get(finding)
        self._ask(case, finding, bool(np.any(mask)) if drawn else None)

    def check_open(self) -> None:
        """Look again at what was asked about of the case that is open now."""
        case = self.state.case
        for of_case, finding in [*self.state.contradictions]:
            if case is not None and of_case == case.id:
                self.check_label(finding)

    def check_area(self, case_id: str, finding: str, area_px: int) -> None:
        """Ask about a saved mask of any case that contradicts its label.

        Parameters
        ----------
        case_id, finding
            Which mask; nothing is asked of a case that is not in the reading list.
        area_px
            Pixels of the mask; 0: it is empty.
        """
        case = self.state.list.cases.get(case_id)
        if case is not None:
            self._ask(case, finding, area_px > 0)

    def leave_label(self, case_id: str, finding: str) -> None:
        """Leave a contradiction as it is; it is not asked about again."""
        found = self.state.contradictions.pop((case_id, finding), None)
        if found is not None:
            self.state.left_contradictions.add(found)
            self.state.contradictions_changed.emit()

    def _ask(self, case: Case, finding: str, filled: bool | None) -> None:
        state, key = self.state, (case.id, finding)
        label = case.labels.get(finding)
        against = (filled is True and label == 0) or (filled is False and label == 1)
        found = Contradiction(case.id, finding, label, int(bool(filled)))
        before = state.contradictions.get(key)
        if against and found not in state.left_contradictions:
            state.contradictions[key] = found
        else:
            state.contradictions.pop(key, None)
        if state.contradictions.get(key) != before:
            state.contradictions_changed.emit()

    def _case(self, case_id: str | None) -> Case | None:
        return self.state.list.cases.get(case_id) if case_id else self.state.case

    def _take_over(self, case_id: str) -> None:
        """Show the labels of a case as the project has them now."""
        state = self.state
        if state.project is None:
            return
        case = shown_case(state.project.case(case_id), state)
        state.list.cases.put(case)
        if state.loader is not None:
            state.loader.forget(case_id)
        if state.opened is not None and state.opened.case.id == case_id:
            state.opened = replace(state.opened, case=case)
        for finding in [f for c, f in state.contradictions if c == case_id]:
            held = state.contradictions[case_id, finding]
            self._ask(case, finding, bool(held.wanted))
        state.label_changed.emit(case_id)
        state.status_changed.emit(case_id)


def shown_case(case: Case, state: State) -> Case:
    """Return a case with the labels that this reading may show."""
    if not state.labels_hidden or state.project is None:
        return case
    own = state.project.labels.own(state.reader).get(case.id, {})
    return without_labels(case, own)

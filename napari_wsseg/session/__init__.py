"""What is open and what the reader did: evented, free of Qt, main thread only.

Panels listen to the signals and call the methods; nobody else keeps state. Slow
reading goes through a `Background`, whose results come back on the main thread.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from napari_wsseg.io.project import Project
from napari_wsseg.jobs import DataError
from napari_wsseg.schema import STAGES, Decision, Mask
from napari_wsseg.session import adjudication, open_case
from napari_wsseg.session.background import Background, Inline
from napari_wsseg.session.case_list.reading_list import ReadingList
from napari_wsseg.session.case_loader import Loader
from napari_wsseg.session.decision_commands import DecisionCommands
from napari_wsseg.session.decisions import Deciding
from napari_wsseg.session.drafts import Drafts
from napari_wsseg.session.effort import starts
from napari_wsseg.session.effort.active_time import ActiveTime
from napari_wsseg.session.effort.arms import Arms
from napari_wsseg.session.expert_masks import ExpertMasks, Recovered
from napari_wsseg.session.label_commands import LabelCommands
from napari_wsseg.session.open_case import OpenedCase, Shown
from napari_wsseg.session.reader_commands import ReaderCommands
from napari_wsseg.session.reading_mode import Reading
from napari_wsseg.session.shown_runs import LiveDrafts, Showing
from napari_wsseg.session.stage_commands import StageCommands
from napari_wsseg.session.state import State


class Session(State):
    """One window's project, case, finding and view, and every step of the reader.

    Parameters
    ----------
    reader
        Who reads; kept with every mask and decision.
    background
        Where slow work goes; by default it is done at once.
    clock
        Seconds, monotonic; replaced in tests.
    """

    def __init__(
        self,
        *,
        reader: str = "reader",
        background: Background | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(Reading(reader), background or Inline(), clock)
        self.work = ActiveTime(clock)
        self.looking.finding_changed.connect(self._turn_finding)
        # Panels ask the session; which of the three groups answers is its own matter.
        stages = StageCommands(self)
        self.adopt = stages.adopt
        self.reload_stages = stages.reload_stages
        self.choose_map = stages.choose_map
        self.refresh_maps = stages.refresh_maps
        self.maps_came = stages.maps_came
        self.stages = stages.stages
        self.draft = stages.draft
        decisions = DecisionCommands(self)
        self.decide = decisions.decide
        self.can_undo_decision = decisions.can_undo_decision
        self.undo_decision = decisions.undo_decision
        self.reopen = decisions.reopen
        self.finding_states = decisions.finding_states
        labels = LabelCommands(self)
        self.set_label = labels.set_label
        self.can_undo_label = labels.can_undo_label
        self.undo_label = labels.undo_label
        self.label_versions = labels.label_versions
        self.leave_label = labels.leave_label
        self._check_label, self._check_area = labels.check_label, labels.check_area
        self.decided.connect(self._on_decided)
        self.mask_replaced.connect(labels.check_label)
        self.case_changed.connect(labels.check_open)
        readers = ReaderCommands(self, self._change_reader)
        self.read_as = readers.read_as
        self.readers = readers.readers
        self.versions = readers.versions
        self.compare_version = readers.compare_version
        self.restore = readers.restore
        self.take_reader_mask = readers.take_reader_mask

    # Project ------------------------------------------------------------------------

    def open_project(self, folder: Path) -> None:
        """Open a project to read and write, read-only if it cannot be written.

        Raises
        ------
        DataError
            Not a project, damaged, or of a newer version; what was open stays open. Or
            what it shows is damaged; nothing is open then.
        """
        if self.project is not None and self.project.folder == folder:
            return
        project, note = open_case.open_folder(folder)
        try:
            self.close()
        except DataError:
            project.close()
            raise
        self.project = project
        try:
            experts = self._begin(project)
        except DataError:
            self.close()
            raise
        found: list[Recovered] = []
        if not project.readonly:
            self.tried(lambda: found.extend(experts.recover()))
        left = list(experts.unrecovered.values())
        if self.reading.mode != "open":
            found = [row for row in found if row.reader == self.reader]
        self.project_changed.emit()
        if note:
            self.message.emit(note)
        if found:
            self.recovered.emit(found)
        if left:
            self.message.emit(
                f"Strokes of an earlier sitting on {len(left)} masks wait in the "
                f"journal, nothing of them is lost: {left[0]}"
            )
        first = self.list.unread_after(None) or self.list.stepped(None, 0)
        self.go_to(found[0].case if found else first or "")

    def _begin(self, project: Project) -> ExpertMasks:
        """Read what this reader may see of a project, and nothing else."""
        reading, folder = self.reading, project.folder
        self.opened = self.last_label = None
        self.contradictions.clear()
        self.left_contradictions.clear()
        self.work.turn(None, None)
        self.experts = ExpertMasks(project, self.reader, self.clock, reading.scope)
        self.list = ReadingList.from_project(project, reading)
        self.deciding = Deciding(project, self.list, reading, self.clock)
        self.arms = Arms.for_reader(project, reading) if reading.arm else None
        # In a study, which maps may be read is a matter of each film.
        free = reading.stages and self.arms is None
        shown = Shown(project.runs_in_use()) if free else Shown()
        self.showing.start(folder, shown)
        self.live = LiveDrafts()
        self.loader = Loader(
            folder,
            self.background,
            self._fold_waiting,
            self._show,
            self._unreadable,
            self.shown_on,
            lambda case_id: self.list.cases[case_id],
            reading.scope,
            self.list.pairs,
            self.reader,
        )
        self.looking.start(project.findings, Drafts.from_project(project, shown))
        return self.experts

    def _change_reader(self, reading: Reading) -> None:
        project, experts, loader = self.project, self.experts, self.loader
        if project is None or experts is None or loader is None:
            self.reading = reading
            return
        self.background.drain()
        if not project.readonly:
            experts.retry()
            experts.fold_all()
            self._note_seen(project)
            self.keep_work()
            for name in (self.reader, reading.reader):
                project.add_reader(name)
        # Whatever is still being read is of what the reader before may see.
        loader.close()
        self.comparing.show(None)
        self.reading = reading
        self._begin(project)
        self.project_changed.emit()
        self.go_to(self.list.unread_after(None) or self.list.stepped(None, 0) or "")

    def _note_seen(self, project: Project) -> None:
        seen, self.newly_seen = self.newly_seen, {}
        with project.transaction():
            for case_id in seen:
                project.readers.see(case_id, self.reader)

    def close(self) -> None:
        """Fold every stroke, close the project and tell the panels.

        Raises
        ------
        DataError
            The disk refuses strokes that are only in memory; nothing was closed.
        """
        project = self.project
        if project is None:
            return
        self.background.drain()
        if self.experts is not None and not self.readonly:
            self.experts.retry()
            try:
                self.experts.fold_all()
            except DataError as error:
                # Every stroke is in the journal, so the next opening folds it.
                self.message.emit(str(error))
            self.tried(lambda: self._note_seen(project))
            self.keep_work()
        self.work.turn(None, None)
        self.closing.emit()
        if self.loader is not None:
            self.loader.close()
        project.close()
        self.project = self.opened = self.experts = self.deciding = None
        self.list, self.loader = ReadingList(), None
        self.looking.start((), Drafts())
        self.showing = Showing()
        self.problem = ""
        self.project_changed.emit()

    # Cases --------------------------------------------------------------------------

    def step(self, by: int) -> None:
        """Go `by` cases on in the order of the worklist; say so at its ends."""
        here = self._wanted()
        there = self.list.stepped(here, by)
        if there == here and here is not None:
            end = "last" if by > 0 else "first"
            self.message.emit(f"This is the {end} film of the list as it is ordered")
        self.go_to(there or "")

    def go_to_unread(self) -> None:
        """Go to the next case without a final decision, or say that there is none."""
        other = self.list.unread_after(self.case.id if self.case else None)
        if other:
            self.go_to(other)
        else:
            self.message.emit("Every film in this list has been read")

    # Expert masks -------------------------------------------------------------------

    def edit(
        self,
        finding: str,
        after: Mask,
        *,
        tool: str = "brush",
        source_run: str | None = None,
        gesture: str = "",
    ) -> None:
        """Keep what the reader has made of a finding; on disk when this returns.

        A disk that refuses is told by `save_failed`; the change then waits in memory
        and `tick` tries again. Where masks of the open case cannot be changed, nothing
        is kept.

        Parameters
        ----------
        finding
            One of the project's.
        after : (H, W) bool
            The mask as it is now, in the film's own pixels.
        tool
            ``"brush"`` for a stroke, ``"clear"``, or ``"from irnet"`` for a draft.
        source_run
            Run whose draft was laid in, or ``None``.
        gesture
            What the hand did it with, for the count of strokes: ``"paint"``,
            ``"undo"``; by default the tool.
        """
        if self.locked or self.experts is None:
            return
        experts, after = self.experts, np.asarray(after, bool)
        if why := experts.unclear.get(finding):
            self.message.emit(
                f"{self.looking.title(finding)} cannot be drawn on: {why}"
            )
            return
        changed: list[bool] = []
        if self.tried(
            lambda: changed.append(
                experts.edit(finding, after, tool=tool, source_run=source_run)
            )
        ):
            if not changed[0]:
                return
            self.succeed()
        self._note_edit(finding, after, tool, source_run, gesture)
        self.edited.emit(finding)
        self._check_label(finding)

    def _note_edit(
        self, finding: str, after: Mask, tool: str, run: str | None, gesture: str
    ) -> None:
        start = starts.start_of(tool, after, run)
        if start is not None:
            self.starts[finding] = start
        self.work.gesture(gesture or tool)

    def _turn_finding(self) -> None:
        finding = self.looking.finding
        self.work.turn_finding(finding.name if finding else None)

    def tick(self) -> None:
        """Be called about twice a second: retries saving, folds strokes when idle."""
        experts = self.experts
        if experts is None or self.readonly:
            return
        if experts.unsaved and self.tried(experts.retry):
            self.succeed()
        folded: list[bool] = []
        if self.tried(lambda: folded.append(experts.fold_if_idle())) and folded[0]:
            self.keep_work()
        if self.newly_seen:
            self.tried(lambda: self._note_seen(experts.project))

    def prefetch(self) -> None:
        """Read the next and the previous case ahead, so that turning is instant."""
        here = self._wanted()
        for other in (self.list.stepped(here, 1), self.list.stepped(here, -1)):
            known = other in (None, here) or other in self.list.unreadable
            if self.loader and other and not known:
                self.loader.read(other)

    def _wanted(self) -> str | None:
        coming = self.loader.wanted if self.loader else None
        return coming or (self.case.id if self.case else None)

    def _unreadable(self, case_id: str, error: Exception) -> None:
        self.list.unreadable[case_id] = str(error)
        self.status_changed.emit(case_id)
        if self.loader is not None and case_id == self.loader.wanted:
            self.loader.wanted = None
            self.case_failed.emit(case_id, str(error))
            following = self.list.unread_after(case_id)
            if self.opened is None and following:
                self.go_to(following)

    def _show(self, ready: OpenedCase) -> None:
        assert self.experts is not None
        assert self.loader is not None
        self.loader.wanted = None
        last, drawn = self.opened, self.experts.drawn()
        try:
            self.experts.show(
                ready.case,
                self.looking.names,
                ready.masks,
                ready.versions,
                open_strokes=ready.open_strokes,
                unclear=ready.unclear,
            )
        except DataError as error:
            # The strokes of the case on screen are only in memory: stay with it.
            self.loader.keep(ready)
            self.fail(error)
            return
        if last is not None:
            self.loader.leave(replace(last, masks=drawn))
        if last is None or last.case.id != ready.case.id:
            self._turn_work(ready.case.id)
            self._turn_arm(ready)
        self.opened, self.shown_at = ready, self.clock()
        if self.list.unreadable.pop(ready.case.id, None):
            self.status_changed.emit(ready.case.id)
        self.newly_seen[ready.case.id] = None
        self.list.seen[ready.case.id] = datetime.now(UTC).isoformat()
        self.comparing.show(adjudication.comparison(ready))
        self.case_changed.emit()
        for finding, why in self.experts.unclear.items():
            self.message.emit(
                f"{self.looking.title(finding)} is shown as it was last readable and "
                f"cannot be drawn on until that is settled: {why}"
            )

    def _on_decided(self, decision: Decision | None) -> None:
        """Ask about labels that masks approved just now contradict."""
        taken = self.deciding.last if self.deciding else None
        if decision is not None and taken is not None:
            self.last_label = None
            for version in taken.approved:
                self._check_area(version.case, version.finding, version.area_px)

    def _turn_arm(self, ready: OpenedCase) -> None:
        """Offer what the film's arm allows, from its last stage on."""
        if self.arms is None or self.project is None:
            return
        self.looking.drafts = Drafts.from_project(self.project, ready.shown)
        if not ready.maps and self.arms.arm(ready.case.id) != "blank":
            self.message.emit("No draft has been computed for this film yet")
        last = next((stage for stage in reversed(STAGES) if stage in ready.maps), None)
        self.looking.view, self.looking.compared = last or "expert", None

    def _turn_work(self, case_id: str) -> None:
        self.keep_work()
        self.starts = {}
        finding = self.looking.finding
        self.work.turn(case_id, finding.name if finding else None)

    def _fold_waiting(self, case_id: str) -> None:
        experts = self.experts
        if experts is not None and not self.readonly:
            self.tried(lambda: experts.fold_waiting(case_id))

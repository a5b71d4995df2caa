"""What is open and what the reader did: evented, free of Qt, main thread only.

Panels listen to the signals and call the methods; nobody else keeps state. Slow
reading goes through a `Background`, whose results come back on the main thread.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from psygnal import Signal

from napari_wsseg.io.project import Project
from napari_wsseg.jobs import DataError, UsageError
from napari_wsseg.schema import Case, Mask, StageMaps, Verdict
from napari_wsseg.session import adjudicating, opened
from napari_wsseg.session._several import SeveralReaders, still_open
from napari_wsseg.session.deciding import Asked, Deciding, offer
from napari_wsseg.session.drafts import Drafts
from napari_wsseg.session.keeping import ExpertMasks, Recovered
from napari_wsseg.session.loading import Loader
from napari_wsseg.session.looking import Looking
from napari_wsseg.session.opened import Background, OpenedCase, Shown
from napari_wsseg.session.readers import Reading
from napari_wsseg.session.reading_list import ReadingList
from napari_wsseg.session.showing import Showing
from napari_wsseg.session.toning import Toning
from napari_wsseg.session.versions import Comparing


class Session(SeveralReaders):
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

    project_changed = Signal()  #: a project was opened or closed, or who reads it
    closing = Signal()  #: the project is about to close: stop jobs
    loading = Signal(str)  #: a case is being read; the old one is still shown
    case_changed = Signal()  #: another case is open
    case_failed = Signal(str, str)  #: case id and why it could not be read
    stages_changed = Signal()  #: a run was adopted, or maps of the open case came
    mask_replaced = Signal(str)  #: the session, not the reader's brush, changed a mask
    edited = Signal(str)  #: the reader changed the mask of this finding
    saved = Signal()  #: everything the reader did is on disk
    save_failed = Signal(str)  #: it is not, and why; tried again by itself
    status_changed = Signal(str)  #: case id whose place in the worklist changed
    decided = Signal(object)  #: the `Decision`, or ``None`` when it was taken back
    recovered = Signal(object)  #: list of `Recovered` strokes, already applied
    message = Signal(str)

    def __init__(
        self,
        *,
        reader: str = "reader",
        background: Background | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.reading = Reading(reader)
        self.project: Project | None = None
        self.opened: OpenedCase | None = None
        self.experts: ExpertMasks | None = None
        self.list = ReadingList()
        self.looking = Looking()
        self.showing = Showing()
        self.tone = Toning()
        self.comparing = Comparing()
        self.problem = ""
        self._seen: list[str] = []
        self._background: Background = background or opened.Inline()
        self._clock = clock
        self._loader: Loader | None = None
        self._shown_at = 0.0
        self._deciding: Deciding | None = None

    # Project ------------------------------------------------------------------------

    @property
    def case(self) -> Case | None:
        """The open case."""
        return self.opened.case if self.opened else None

    @property
    def reader(self) -> str:
        """In whose name masks and decisions are kept."""
        return self.reading.reader

    @property
    def settled(self) -> bool:
        """Whether an adjudicator's masks of the open case are final."""
        return self.case is not None and self.case.id in self.list.settled

    @property
    def locked(self) -> bool:
        """Whether masks of the open case cannot be changed: read-only, or final."""
        return self.readonly or (self.settled and self.reading.mode == "open")

    @property
    def readonly(self) -> bool:
        """Whether nothing can be written: no project, or another window has it."""
        return self.project is None or self.project.readonly

    @property
    def synthetic(self) -> bool:
        """Whether the films were generated and must be marked as such."""
        return self.project is not None and opened.is_synthetic(self.project)

    def open_project(self, folder: Path) -> None:
        """Open a project to read and write, read-only if it cannot be written.

        Raises
        ------
        DataError
            Not a project, damaged, or of a newer version; what was open stays open.
        """
        if self.project is not None and self.project.folder == folder:
            return
        project, note = opened.open_folder(folder)
        try:
            self.close()
        except DataError:
            project.close()
            raise
        self.project = project
        experts = self._begin(project)
        found: list[Recovered] = []
        if not project.readonly:
            self._tried(lambda: found.extend(experts.recover()))
        if self.reading.mode != "open":
            found = [row for row in found if row.reader == self.reader]
        self.project_changed.emit()
        if note:
            self.message.emit(note)
        if found:
            self.recovered.emit(found)
        first = self.list.unread_after(None) or self.list.stepped(None, 0)
        self.go_to(found[0].case if found else first or "")

    def _begin(self, project: Project) -> ExpertMasks:
        """Read what this reader may see of a project, and nothing else."""
        reading, folder = self.reading, project.folder
        self.opened = None
        self.experts = ExpertMasks(project, self.reader, self._clock, reading.scope)
        self.list = ReadingList.of(project, reading)
        self._deciding = Deciding(project, self.list, reading, self._clock)
        shown = Shown(opened.adopted(project)) if reading.stages else Shown()
        self.showing.start(folder, shown)
        self._loader = Loader(
            folder,
            self._background,
            self._fold_waiting,
            self._show,
            self._unreadable,
            shown,
            reading.scope,
            self.list.pairs,
        )
        self.looking.start(project.findings, Drafts.of(project, shown))
        return self.experts

    def _change_reader(self, reading: Reading) -> None:
        project, experts, loader = self.project, self.experts, self._loader
        if project is None or experts is None or loader is None:
            self.reading = reading
            return
        self._background.drain()
        if not project.readonly:
            experts.retry()
            experts.fold_all()
            self._note_seen()
            for name in (self.reader, reading.reader):
                project.add_reader(name)
        # Whatever is still being read is of what the reader before may see.
        loader.close()
        self.comparing.show(None)
        self.reading = reading
        self._begin(project)
        self.project_changed.emit()
        self.go_to(self.list.unread_after(None) or self.list.stepped(None, 0) or "")

    def _note_seen(self) -> None:
        seen, self._seen = self._seen, []
        if self.project is not None and not self.readonly:
            with self.project.transaction():
                for case_id in dict.fromkeys(seen):
                    self.project.see(case_id, self.reader)

    def _read_again(self) -> None:
        """Read the open case from disk anew."""
        if self._loader is not None and self.opened is not None:
            self._loader.forget()
            self._loader.want(self.opened.case.id)

    def close(self) -> None:
        """Fold every stroke, close the project and tell the panels.

        Raises
        ------
        DataError
            The disk refuses strokes that are only in memory; nothing was closed.
        """
        if self.project is None:
            return
        self._background.drain()
        if self.experts is not None and not self.readonly:
            self.experts.retry()
            try:
                self.experts.fold_all()
            except DataError as error:
                # Every stroke is in the journal, so the next opening folds it.
                self.message.emit(str(error))
            self._tried(self._note_seen)
        self.closing.emit()
        if self._loader is not None:
            self._loader.close()
        self.project.close()
        self.project = self.opened = self.experts = self._deciding = None
        self.list, self._loader = ReadingList(), None
        self.looking.start((), Drafts())
        self.showing = Showing()
        self.problem = ""
        self.project_changed.emit()

    def adopt(self, stage: str, run_id: str) -> None:
        """Let a stage show a run; the reader's masks of the open case stay as they are.

        Raises
        ------
        DataError
            The project is read-only or the disk refuses.
        """
        if self.project is None:
            raise UsageError("open a project first")
        self.project.adopt(stage, run_id, actor=self.reader)
        self.reload_stages()

    def reload_stages(self, preview: Mapping[str, str] | None = None) -> None:
        """Read the stages again, of the open case too, after maps have changed.

        With `preview`, stage to run id, every case shows runs that are not in use.
        """
        if self.project is None:
            return
        if not self.reading.stages:
            return
        runs = opened.adopted(self.project) | dict(preview or {})
        self._show_maps(self.showing.with_runs(runs))

    def choose_map(self, variant: str) -> None:
        """Let the stage "cam" show another of `showing.maps`, in every case.

        Raises
        ------
        UsageError
            The run has no such map.
        """
        self._show_maps(self.showing.with_map(variant))

    def refresh_maps(self) -> None:
        """Read again what is shown, after more of its maps have been computed."""
        self._show_maps(self.showing.shown)

    def maps_came(self) -> None:
        """Let the worklist follow maps that were computed in the background.

        What is drawn on the open case stays as it is, unless a stage had no map of it.
        """
        if self.project is None or self._loader is None:
            return
        shown = self.showing.shown
        if self.opened is not None and set(shown.runs) - set(self.opened.maps):
            self._show_maps(shown)
            return
        self._loader.forget()
        self.looking.drafts.take_new(Drafts.of(self.project, shown))
        self.stages_changed.emit()

    def _show_maps(self, shown: Shown) -> None:
        if self.project is None:
            return
        self.showing.start(self.project.folder, shown)
        self.looking.drafts = Drafts.of(self.project, shown)
        if self._loader is not None:
            self._loader.shown = shown
            self._loader.forget()
        if self.opened is None:
            self.stages_changed.emit()
            return
        folder, case_id = self.project.folder, self.opened.case.id
        self._background.submit(
            lambda: opened.read_maps(folder, case_id, shown),
            lambda maps: self._take_maps(case_id, maps, shown),
            lambda error: self.message.emit(str(error)),
        )

    # Cases --------------------------------------------------------------------------

    def go_to(self, case_id: str) -> None:
        """Show a case; the one on screen stays until the new one is ready."""
        if self._loader is None or case_id not in self.list.cases:
            return
        if self.case and self.case.id == case_id:
            self._loader.wanted = None
        elif case_id != self._loader.wanted and not self._loader.want(case_id):
            self.loading.emit(case_id)

    def step(self, by: int) -> None:
        """Go `by` cases on in the order of the worklist, stopping at its ends."""
        self.go_to(self.list.stepped(self._wanted(), by) or "")

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
        after: NDArray[np.uint8],
        *,
        tool: str = "brush",
        source_run: str | None = None,
    ) -> None:
        """Keep what the reader has made of a finding; on disk when this returns.

        A disk that refuses is told by `save_failed`; the change then waits in memory
        and `tick` tries again.
        """
        if self.locked or self.experts is None:
            return
        experts = self.experts
        if np.array_equal(experts.masks[finding], after):
            return
        if self._tried(
            lambda: experts.edit(finding, after, tool=tool, source_run=source_run)
        ):
            self._succeed()
        self.edited.emit(finding)

    def tick(self) -> None:
        """Be called about twice a second: retries saving, folds strokes when idle."""
        if self.experts is None or self.readonly:
            return
        if self.experts.unsaved and self._tried(self.experts.retry):
            self._succeed()
        self._tried(self.experts.fold_if_idle)
        if self._seen:
            self._tried(self._note_seen)

    def prefetch(self) -> None:
        """Read the next and the previous case ahead, so that turning is instant."""
        here = self._wanted()
        for other in (self.list.stepped(here, 1), self.list.stepped(here, -1)):
            known = other in (None, here) or other in self.list.unreadable
            if self._loader and other and not known:
                self._loader.read(other)

    def stages(self) -> tuple[str, ...]:
        """Return the stages that have maps of the open case."""
        return tuple(self.opened.maps) if self.opened else ()

    def draft(self, stage: str, finding: str, shape: tuple[int, int]) -> Mask | None:
        """Return the (H, W) mask that a stage offers; ``None`` if it has none."""
        if self.opened is None:
            return None
        maps = self.opened.stage_maps(stage, snap=self.looking.snap)
        if maps is None:
            return None
        return self.looking.drafts.draft(maps, stage, finding, shape)

    # Decisions ----------------------------------------------------------------------

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
        if self.locked:
            self.message.emit("An adjudicator's masks are final here: reopen the film")
            return False
        if not self._tried(self.experts.fold):
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

    def can_undo_decision(self) -> bool:
        """Whether the last decision is young enough to be taken back."""
        return self._deciding is not None and self._deciding.can_undo()

    def undo_decision(self) -> None:
        """Take the last decision and the drafts it approved back; show the case."""
        taken = self._deciding.last if self._deciding else None
        if (
            self._deciding is None
            or taken is None
            or not self._tried(self._deciding.undo)
        ):
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

    def _tried(self, action: Callable[[], object]) -> bool:
        try:
            action()
        except DataError as error:
            self._fail(error)
            return False
        return True

    def _wanted(self) -> str | None:
        coming = self._loader.wanted if self._loader else None
        return coming or (self.case.id if self.case else None)

    def _unreadable(self, case_id: str, error: Exception) -> None:
        self.list.unreadable[case_id] = str(error)
        self.status_changed.emit(case_id)
        if self._loader is not None and case_id == self._loader.wanted:
            self._loader.wanted = None
            self.case_failed.emit(case_id, str(error))
            following = self.list.unread_after(case_id)
            if self.opened is None and following:
                self.go_to(following)

    def _show(self, ready: OpenedCase) -> None:
        if self.experts is None or self._loader is None:
            return
        self._loader.wanted = None
        last, drawn = self.opened, self.experts.drawn()
        try:
            self.experts.show(
                ready.case, self.looking.names, ready.masks, ready.versions
            )
        except DataError as error:
            # The strokes of the case on screen are only in memory: stay with it.
            self._loader.keep(ready)
            self._fail(error)
            return
        if last is not None:
            self._loader.keep(replace(last, masks=drawn))
        self.opened, self._shown_at = ready, self._clock()
        if self.list.unreadable.pop(ready.case.id, None):
            self.status_changed.emit(ready.case.id)
        self._seen.append(ready.case.id)
        self.list.seen[ready.case.id] = datetime.now(UTC).isoformat()
        self.comparing.show(adjudicating.comparison(ready))
        self.case_changed.emit()

    def _fold_waiting(self, case_id: str) -> None:
        experts = self.experts
        if experts is not None and not self.readonly:
            self._tried(lambda: experts.fold_waiting(case_id))

    def _take_maps(
        self, case_id: str, maps: dict[str, StageMaps], shown: Shown
    ) -> None:
        if shown is not self.showing.shown:
            return  # something else was chosen meanwhile
        if self.opened is not None and self.opened.case.id == case_id:
            self.opened = replace(self.opened, maps=maps, shown=shown)
        self.stages_changed.emit()

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

    def _changed(self, case_id: str) -> None:
        if self.project is not None:
            self.list.refresh(self.project, self.reading)
        self.status_changed.emit(case_id)

    def _fail(self, error: Exception) -> None:
        self.problem = str(error)
        self.save_failed.emit(self.problem)

    def _succeed(self) -> None:
        self.problem = ""
        self.saved.emit()

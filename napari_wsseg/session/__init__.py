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
from numpy.typing import NDArray
from psygnal import Signal

from napari_wsseg.io.project import Project
from napari_wsseg.jobs import DataError
from napari_wsseg.schema import Case
from napari_wsseg.session import adjudication as adjudicating
from napari_wsseg.session import open_case as opened
from napari_wsseg.session.background import Background, Inline
from napari_wsseg.session.case_loader import Loader
from napari_wsseg.session.decision_commands import Verdicts
from napari_wsseg.session.decisions import Deciding
from napari_wsseg.session.drafts import Drafts
from napari_wsseg.session.expert_masks import ExpertMasks, Recovered
from napari_wsseg.session.grey_window import Toning
from napari_wsseg.session.open_case import OpenedCase, Shown
from napari_wsseg.session.reader_commands import SeveralReaders
from napari_wsseg.session.reading_list import ReadingList
from napari_wsseg.session.reading_mode import Reading
from napari_wsseg.session.shown_runs import Showing
from napari_wsseg.session.stage_commands import MapsShown
from napari_wsseg.session.versions import Comparing
from napari_wsseg.session.view import Looking


class Session(MapsShown, Verdicts, SeveralReaders):
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
        self._background: Background = background or Inline()
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

    def may_draw(self, finding: str) -> bool:
        """Whether the open case's mask of a finding can be changed."""
        unclear = self.experts.unclear if self.experts else {}
        return not self.locked and finding not in unclear

    @property
    def readonly(self) -> bool:
        """Whether nothing can be written: no project, or another window has it."""
        return self.project is None or self.project.readonly

    @property
    def seen_seconds(self) -> float:
        """How long a film must have been shown for a verdict to count; 0: no matter."""
        return self.project.settings.seen_seconds if self.project else 0.0

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
            self.reader,
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

    # Cases --------------------------------------------------------------------------

    def go_to(self, case_id: str) -> None:
        """Show a case; the one on screen stays until the new one is ready."""
        if self._loader is None or case_id not in self.list.cases:
            return
        if self.case and self.case.id == case_id:
            self._loader.wanted = None
        elif case_id != self._loader.wanted and not self._loader.want(case_id):
            self.loading.emit(case_id)

    @property
    def turning(self) -> bool:
        """Whether another case was asked for and is not on screen yet."""
        return self._loader is not None and self._loader.wanted is not None

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
        if why := experts.unclear.get(finding):
            self.message.emit(f"{finding} cannot be drawn on: {why}")
            return
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
                ready.case,
                self.looking.names,
                ready.masks,
                ready.versions,
                open_strokes=ready.open_strokes,
                unclear=ready.unclear,
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
        for finding, why in self.experts.unclear.items():
            self.message.emit(
                f"{finding} is shown as it was last readable and cannot be drawn on "
                f"until that is settled: {why}"
            )

    def _fold_waiting(self, case_id: str) -> None:
        experts = self.experts
        if experts is not None and not self.readonly:
            self._tried(lambda: experts.fold_waiting(case_id))

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

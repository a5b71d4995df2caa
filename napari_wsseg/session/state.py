"""What a session knows, the signals that tell of it, and the steps that all share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from psygnal import Signal

from napari_wsseg.io.index import effort
from napari_wsseg.io.project import Project
from napari_wsseg.jobs import DataError
from napari_wsseg.schema import Case, LabelVersion, Mask
from napari_wsseg.session.background import Background
from napari_wsseg.session.case_list.reading_list import ReadingList
from napari_wsseg.session.case_loader import Loader
from napari_wsseg.session.decisions import Deciding
from napari_wsseg.session.effort import candidates
from napari_wsseg.session.effort.active_time import ActiveTime
from napari_wsseg.session.effort.arms import Arms
from napari_wsseg.session.effort.candidates import Candidate
from napari_wsseg.session.effort.starts import Start
from napari_wsseg.session.expert_masks import ExpertMasks
from napari_wsseg.session.grey_window import Toning
from napari_wsseg.session.open_case import OpenedCase, Shown
from napari_wsseg.session.reading_mode import Reading
from napari_wsseg.session.shown_runs import LiveDrafts, Showing
from napari_wsseg.session.versions import Comparing
from napari_wsseg.session.view import Looking

ONLY_LOOKS = "This window may only look at the project"
"""Why what would write into the project is off in a window that may not."""


@dataclass(frozen=True, slots=True)
class Contradiction:
    """A film's label and mask of a finding that cannot both be right.

    Parameters
    ----------
    label
        1 (present) with an empty mask, or 0 (absent) with one that is not.
    wanted
        The label that would agree with the mask.
    """

    case: str
    finding: str
    label: int | None
    wanted: int


@dataclass(eq=False)
class State:
    """The project, case, finding and view of one window, and who reads.

    Parameters
    ----------
    reading
        Who reads, in which mode.
    background
        Where slow work goes.
    clock
        Seconds, monotonic.
    problem
        Why the last strokes are not on disk; empty when they are.
    newly_seen
        Cases that were shown and are not yet noted in the project.
    shown_at
        When the open case was shown, by `clock`.
    contradictions
        What the reader is asked about, by case id and finding.
    left_contradictions
        What was asked about and is to stay as it is.
    last_label
        The last label that this reader changed in this sitting.
    work
        Active seconds and gestures on the open case.
    starts
        What masks of the open case began with in this sitting, by finding.
    arms
        What each film offers in a study; ``None`` outside of one.
    live
        Whose drafts are renewed while one reads.
    pace
        How long films took this reader today, in words; empty before the first.
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
    pace_changed = Signal()  #: how long films took today was worked out again
    message = Signal(str)
    label_changed = Signal(str)  #: case id of which an image-level label was changed
    contradictions_changed = Signal()  #: there is more, or less, to ask about

    reading: Reading
    background: Background
    clock: Callable[[], float]
    project: Project | None = None
    opened: OpenedCase | None = None
    experts: ExpertMasks | None = None
    list: ReadingList = field(default_factory=ReadingList)
    looking: Looking = field(default_factory=Looking)
    showing: Showing = field(default_factory=Showing)
    tone: Toning = field(default_factory=Toning)
    comparing: Comparing = field(default_factory=Comparing)
    loader: Loader | None = None
    deciding: Deciding | None = None
    problem: str = ""
    newly_seen: dict[str, None] = field(default_factory=dict)
    shown_at: float = 0.0
    contradictions: dict[tuple[str, str], Contradiction] = field(default_factory=dict)
    left_contradictions: set[Contradiction] = field(default_factory=set)
    last_label: LabelVersion | None = None
    work: ActiveTime = field(default_factory=ActiveTime)
    starts: dict[str, Start] = field(default_factory=dict)
    arms: Arms | None = None
    pace: str = ""
    live: LiveDrafts = field(default_factory=LiveDrafts)

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
    def labels_hidden(self) -> bool:
        """Whether this reader must not see what films are labelled with."""
        shown = self.project is not None and self.project.settings.blind_labels
        return self.reading.mode == "blind" and not shown

    @property
    def seen_seconds(self) -> float:
        """How long a film must have been shown for a verdict to count; 0: no matter."""
        return self.project.settings.seen_seconds if self.project else 0.0

    @property
    def turning(self) -> bool:
        """Whether another case was asked for and is not on screen yet."""
        return self.loader is not None and self.loader.wanted is not None

    @property
    def synthetic(self) -> bool:
        """Whether the films were generated and must be marked as such."""
        return self.project is not None and self.project.synthetic

    def go_to(self, case_id: str) -> None:
        """Show a case; the one on screen stays until the new one is ready."""
        if self.loader is None or case_id not in self.list.cases:
            return
        if self.case and self.case.id == case_id:
            self.loader.wanted = None
        elif case_id != self.loader.wanted and not self.loader.want(case_id):
            self.loading.emit(case_id)

    def read_again(self) -> None:
        """Read the open case from disk anew."""
        if self.loader is not None and self.opened is not None:
            self.loader.forget()
            self.loader.want(self.opened.case.id)

    def replace_mask(self, case_id: str, finding: str, mask: Mask | None) -> None:
        """Show a (H, W) mask that is already saved, or none, in place of another.

        Parameters
        ----------
        case_id, finding
            Which mask; what was read ahead of the case is forgotten.
        mask : (H, W) bool
            Saved already, in the film's own pixels; ``None``: the finding has no mask.
        """
        if self.loader is not None:
            self.loader.forget(case_id)
        if self.experts is not None and self.experts.case_id == case_id:
            self.experts.replace(finding, mask)
            self.mask_replaced.emit(finding)

    def refresh_status(self, case_id: str) -> None:
        """Read from the project what has become of a case, and say that it changed."""
        assert self.project is not None
        self.list.refresh(self.project, self.reading, case_id)
        self.status_changed.emit(case_id)

    def arm_of(self, case_id: str) -> str:
        """Return what a film is offered in: an arm, ``"blind"``, or nothing said."""
        if self.arms is not None:
            return self.arms.arm(case_id)
        return "blind" if self.reading.mode == "blind" else ""

    def shown_on(self, case_id: str) -> Shown:
        """Return the runs whose maps a film may show.

        In a study no arm but ``"loop"`` shows what is learnt meanwhile.
        """
        arms, project = self.arms, self.project
        if project is None or not self.reading.stages:
            return Shown()
        shown = arms.shown(case_id) if arms else self.showing.shown
        if arms is not None and arms.arm(case_id) != "loop":
            return shown
        return self.live.over(project.folder, case_id, shown)

    def renew_drafts(self, live: LiveDrafts | None = None) -> None:
        """Offer the drafts of a run that learns on the films to come.

        The film on screen keeps what it shows.

        Parameters
        ----------
        live
            Whose they are from now on; ``None``: those of the same run are new ones.
        """
        if live is not None:
            self.live = live
        if self.loader is not None:
            self.loader.forget()

    def candidates(self) -> Sequence[Candidate]:
        """Return what the current finding's mask could begin with, best guess first.

        Where the reader is to see nothing of the machine, its drafts are not among
        them; in a study nothing but what the film's arm offers is.
        """
        opened, project, finding = self.opened, self.project, self.looking.finding
        if opened is None or project is None or finding is None:
            return []
        if self.arms is not None or not self.reading.stages:
            return candidates.every(opened, self.looking)
        history = project.history(opened.case.id, finding.name, reader=self.reader)
        return candidates.every(
            opened, self.looking, earlier=project, versions=history[::-1]
        )

    def keep_work(self) -> None:
        """Enter what was done on the open case so far; kept for later if refused."""
        case_id, spells = self.work.case, self.work.take()
        project, reading = self.project, self.reading
        if project is None or project.readonly or case_id is None or not spells:
            return

        def enter() -> None:
            with project.transaction():
                for spell in spells:
                    project.work_log.enter(
                        case_id,
                        spell.finding,
                        reader=reading.reader,
                        seconds=spell.seconds,
                        gestures=spell.gestures,
                        arm=self.arm_of(case_id),
                    )

        if not self.tried(enter):
            self.work.give_back(spells)

    def measure_pace(self) -> None:
        """Work out, in the background, how long films took this reader today."""
        if self.project is None:
            return
        folder, reader = self.project.folder, self.reader

        def measure() -> str:
            day = datetime.now(UTC).date().isoformat()
            with Project.open(folder) as project:
                found = project.work_log.efforts(reader=reader, since=day)
            today = effort.day(found, day)
            return today.line() if today else ""

        def done(line: str) -> None:
            self.pace = line
            self.pace_changed.emit()

        self.background.submit(measure, done, lambda error: None)

    def tried(self, action: Callable[[], object]) -> bool:
        """Do something to the disk; return whether it let us, else say why not."""
        try:
            action()
        except DataError as error:
            self.fail(error)
            return False
        return True

    def fail(self, error: Exception) -> None:
        """Say that something is not on disk, and why."""
        self.problem = str(error)
        self.save_failed.emit(self.problem)

    def succeed(self) -> None:
        """Say that everything is on disk."""
        self.problem = ""
        self.saved.emit()

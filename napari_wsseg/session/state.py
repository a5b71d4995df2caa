"""What a session knows, the signals that tell of it, and the steps that all share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from psygnal import Signal

from napari_wsseg.io.project import Project
from napari_wsseg.jobs import DataError
from napari_wsseg.schema import Case, LabelVersion, Mask
from napari_wsseg.session.background import Background
from napari_wsseg.session.case_loader import Loader
from napari_wsseg.session.decisions import Deciding
from napari_wsseg.session.expert_masks import ExpertMasks
from napari_wsseg.session.grey_window import Toning
from napari_wsseg.session.open_case import OpenedCase
from napari_wsseg.session.reading_list import ReadingList
from napari_wsseg.session.reading_mode import Reading
from napari_wsseg.session.shown_runs import Showing
from napari_wsseg.session.versions import Comparing
from napari_wsseg.session.view import Looking


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
        """Show a (H, W) mask that is already saved, or none, in place of another."""
        if self.loader is not None:
            self.loader.forget(case_id)
        if self.experts is not None and self.experts.case_id == case_id:
            self.experts.replace(finding, mask)
            self.mask_replaced.emit(finding)

    def refresh_status(self, case_id: str) -> None:
        """Read from the project what has become of a case, and say that it changed."""
        if self.project is not None:
            self.list.refresh(self.project, self.reading)
        self.status_changed.emit(case_id)

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

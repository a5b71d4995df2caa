"""Keeping what a reader draws: every stroke on disk at once, folded when idle.

Three copies of a mask matter: what the reader sees (`ExpertMasks.masks`), what the
disk could rebuild after a crash (mask file plus journalled strokes) and the mask file
itself. The first two are the same except while the disk refuses; then the difference
waits in memory and is written as one stroke as soon as the disk takes it again.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np

from napari_wsseg.io.project import Project
from napari_wsseg.jobs import DataError
from napari_wsseg.schema import Annotation, Case, Mask

IDLE_SECONDS = 2.0
"""Quiet time after the last stroke before strokes are folded into a mask file."""


@dataclass(frozen=True, slots=True)
class Recovered:
    """Strokes of an earlier sitting that were found in the journal."""

    case: str
    finding: str
    reader: str
    strokes: int


#: Tool, run whose draft it began with, and version it was drawn on.
_Origin: TypeAlias = tuple[str, str | None, int | None]

RETRY_SECONDS = 10.0
"""Time between two attempts to fold what an earlier sitting left."""


@dataclass(slots=True, eq=False)
class _Kept:
    """One finding of one case, in memory and as the disk knows it."""

    shown: Mask
    on_disk: Mask
    tool: str = "brush"
    source_run: str | None = None
    strokes: bool = False
    annotated: bool = False
    parent: int | None = None

    @property
    def origin(self) -> _Origin:
        """Where strokes that are still to be folded come from."""
        return self.tool, self.source_run, self.parent


@dataclass(frozen=True, slots=True, eq=False)
class _Left:
    """Strokes on a case that was left, until they are folded."""

    origin: _Origin
    shown: Mask


@dataclass(eq=False)
class ExpertMasks:
    """The expert masks of the open case, and the strokes still to be folded.

    Parameters
    ----------
    project
        Open for writing, or read-only; used from this thread alone.
    reader
        In whose name masks are kept.
    scope
        Whose masks are shown; ``None``: those that count.
    clock
        Seconds, monotonic; replaced in tests.
    unclear
        Findings of the open case that cannot be drawn on, and why.
    unrecovered
        Case, finding and reader of strokes that an earlier sitting left and that could
        not be folded, and why; they stay in the journal.
    """

    project: Project
    reader: str
    clock: Callable[[], float] = time.monotonic
    scope: str | None = None
    case_id: str = ""
    last_edit: float | None = None
    last_saved: float | None = None
    unclear: dict[str, str] = field(default_factory=dict)
    unrecovered: dict[tuple[str, str, str], str] = field(default_factory=dict)
    _kept: dict[str, _Kept] = field(default_factory=dict)
    _waiting: dict[tuple[str, str], _Left] = field(default_factory=dict)
    _tried_at: float = 0.0

    @property
    def masks(self) -> dict[str, Mask]:
        """Finding name to the (H, W) bool mask that the reader sees."""
        return {finding: kept.shown for finding, kept in self._kept.items()}

    @property
    def annotated(self) -> set[str]:
        """Findings of the open case that have an expert mask."""
        return {finding for finding, kept in self._kept.items() if kept.annotated}

    @property
    def unsaved(self) -> list[str]:
        """Findings whose last strokes the disk has refused so far."""
        return [
            finding
            for finding, kept in self._kept.items()
            if kept.shown is not kept.on_disk
        ]

    @property
    def seconds_since_saved(self) -> float | None:
        """Seconds since a stroke of this case went to disk; ``None`` before any."""
        return None if self.last_saved is None else self.clock() - self.last_saved

    def show(
        self,
        case: Case,
        findings: tuple[str, ...],
        masks: Mapping[str, Mask],
        versions: Mapping[str, Annotation] | None = None,
        *,
        open_strokes: Collection[str] = (),
        unclear: Mapping[str, str] | None = None,
    ) -> None:
        """Take over the masks of another case; strokes of the last one wait.

        Parameters
        ----------
        case, findings
            The case, and the project's findings, in order.
        masks : each (H, W) bool
            By finding; a finding without one is blank and not annotated.
        versions
            Which version each mask is: what is drawn on it comes from it.
        open_strokes
            Findings whose strokes are in the journal alone; folded when the reader
            pauses.
        unclear
            Findings on which nothing is drawn, and why.

        Raises
        ------
        DataError
            Strokes are only in memory and the disk refuses them: nothing changed.
        """
        self._leave()
        self.case_id = case.id
        self.last_edit = self.last_saved = None
        self.unclear = dict(unclear or {})
        for finding in findings:
            mask = masks.get(finding)
            shown = np.zeros(case.shape, bool) if mask is None else mask
            version = (versions or {}).get(finding)
            self._kept[finding] = _Kept(
                shown,
                shown,
                strokes=finding in open_strokes and finding not in self.unclear,
                annotated=mask is not None,
                parent=version.id if version else None,
            )
        if any(kept.strokes for kept in self._kept.values()):
            self.last_edit = self.clock()

    def drawn(self) -> dict[str, Mask]:
        """Return the masks of the annotated findings, as the reader sees them."""
        return {f: kept.shown for f, kept in self._kept.items() if kept.annotated}

    def replace(self, finding: str, mask: Mask | None) -> None:
        """Show a mask that is already saved, or none, instead of what there was."""
        kept = self._kept[finding]
        shown = np.zeros_like(kept.shown) if mask is None else mask
        self._kept[finding] = _Kept(shown, shown, annotated=mask is not None)
        self.unclear.pop(finding, None)

    def edit(
        self,
        finding: str,
        after: Mask,
        *,
        tool: str = "brush",
        source_run: str | None = None,
    ) -> bool:
        """Keep what a finding has become; return whether anything changed.

        Parameters
        ----------
        finding
            One of the open case's.
        after : (H, W) bool
            The mask as it is now; copied.
        tool
            How it was made; ``"brush"`` leaves what an earlier tool said until the
            strokes are folded.
        source_run
            Run whose draft was laid in, or ``None``.

        Raises
        ------
        DataError
            The disk refuses; the change stays in memory (`unsaved`) for `retry`. Or the
            finding is `unclear`: nothing changed.
        """
        kept = self._kept[finding]
        if finding in self.unclear:
            raise DataError(self.unclear[finding])
        if np.array_equal(kept.shown, after):
            return False
        kept.shown = after.copy()
        kept.annotated = True
        if tool != "brush":
            kept.tool, kept.source_run = tool, source_run
        self.last_edit = self.clock()
        self._journal(finding)
        return True

    def retry(self) -> None:
        """Write what the disk refused before.

        Raises
        ------
        DataError
            It still refuses.
        """
        for finding in self.unsaved:
            self._journal(finding)

    def fold_if_idle(self) -> bool:
        """Fold once the reader has paused, one mask a call; return whether it did."""
        if self.unrecovered and self.clock() - self._tried_at >= RETRY_SECONDS:
            self.recover()
            return True
        if self._waiting:
            self._fold_waiting(next(iter(self._waiting)))
            return True
        if self.last_edit is None or self.clock() - self.last_edit < IDLE_SECONDS:
            return False
        for finding, kept in self._kept.items():
            if kept.strokes:
                self._fold_shown(finding)
                return True
        return False

    def fold(self) -> None:
        """Turn every journalled stroke of the open case into mask files.

        Raises
        ------
        DataError
            The disk refuses; the journal still holds every stroke.
        """
        self.retry()
        for finding, kept in self._kept.items():
            if kept.strokes:
                self._fold_shown(finding)

    def fold_waiting(self, case_id: str | None = None) -> None:
        """Fold the strokes left on an earlier case, or on all earlier ones."""
        for key in [key for key in self._waiting if case_id in (None, key[0])]:
            self._fold_waiting(key)

    def fold_all(self) -> None:
        """Fold every stroke there is."""
        self.fold_waiting()
        self.fold()

    def recover(self) -> list[Recovered]:
        """Fold the strokes that an earlier sitting left in the journal.

        Each for itself: what cannot be folded, because the disk is full or a mask is
        lost, stays in the journal and is named by `unrecovered`.
        """
        self._tried_at, self.unrecovered = self.clock(), {}
        found = []
        for row in (Recovered(*row) for row in self.project.journal.pending()):
            mine = row.case == self.case_id or (row.case, row.finding) in self._waiting
            if row.reader == self.reader and mine:
                continue  # of this sitting, and folded in its time
            try:
                self.project.journal.fold(
                    row.case, row.finding, row.reader, tool="recovered"
                )
            except DataError as error:
                self.unrecovered[row.case, row.finding, row.reader] = str(error)
            else:
                found.append(row)
        return found

    def _leave(self) -> None:
        self.retry()
        for finding, kept in self._kept.items():
            if kept.strokes:
                left = _Left(kept.origin, kept.shown)
                self._waiting[self.case_id, finding] = left
        self._kept = {}

    def _journal(self, finding: str) -> None:
        kept = self._kept[finding]
        self.project.journal.record(
            self.case_id,
            finding,
            self.reader,
            kept.on_disk,
            kept.shown,
        )
        kept.on_disk = kept.shown
        kept.strokes = True
        self.last_saved = self.clock()

    def _fold_waiting(self, key: tuple[str, str]) -> None:
        left = self._waiting[key]
        self._fold_one(*key, left.origin, left.shown)
        del self._waiting[key]

    def _fold_one(
        self, case_id: str, finding: str, origin: _Origin, shown: Mask
    ) -> None:
        tool, source_run, parent = origin
        self.project.journal.fold(
            case_id,
            finding,
            self.reader,
            tool=tool,
            source_run=source_run,
            parent=parent,
            shown=shown,
        )

    def _fold_shown(self, finding: str) -> None:
        kept = self._kept[finding]
        self._fold_one(self.case_id, finding, kept.origin, kept.on_disk)
        # Strokes that were all undone leave a finding that never had a mask without.
        newest = self.project.latest(self.case_id, finding, reader=self.scope)
        kept.annotated = newest is not None
        kept.strokes = False
        kept.tool, kept.source_run = "brush", None

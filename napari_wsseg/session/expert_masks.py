"""Keeping what a reader draws: every stroke on disk at once, folded when idle.

Three copies of a mask matter: what the reader sees (`ExpertMasks.masks`), what the
disk could rebuild after a crash (mask file plus journalled strokes) and the mask file
itself. The first two are the same except while the disk refuses; then the difference
waits in memory and is written as one stroke as soon as the disk takes it again.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from napari_wsseg.io.project import Project
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


@dataclass(slots=True, eq=False)
class _Kept:
    """One finding of one case, in memory and as the disk knows it."""

    shown: NDArray[np.uint8]
    on_disk: NDArray[np.uint8]
    tool: str = "brush"
    source_run: str | None = None
    strokes: bool = False
    annotated: bool = False
    parent: int | None = None


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
    """

    project: Project
    reader: str
    clock: Callable[[], float] = time.monotonic
    scope: str | None = None
    case_id: str = ""
    last_edit: float | None = None
    last_saved: float | None = None
    _kept: dict[str, _Kept] = field(default_factory=dict)
    _waiting: dict[tuple[str, str], _Origin] = field(default_factory=dict)

    @property
    def masks(self) -> dict[str, NDArray[np.uint8]]:
        """Finding name to the (H, W) uint8 mask that the reader sees."""
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

    @property
    def unfolded(self) -> bool:
        """Whether strokes wait in the journal, of this case or an earlier one."""
        return bool(self._waiting) or any(kept.strokes for kept in self._kept.values())

    def show(
        self,
        case: Case,
        findings: tuple[str, ...],
        masks: Mapping[str, NDArray[np.uint8]],
        versions: Mapping[str, Annotation] | None = None,
    ) -> None:
        """Take over the masks of another case; strokes of the last one wait.

        `versions` says which version each mask is: what is drawn on it comes from it.

        Raises
        ------
        DataError
            Strokes are only in memory and the disk refuses them: nothing changed.
        """
        self._leave()
        self.case_id = case.id
        self.last_edit = self.last_saved = None
        for finding in findings:
            mask = masks.get(finding)
            shown = np.zeros(case.shape, np.uint8) if mask is None else mask
            version = (versions or {}).get(finding)
            self._kept[finding] = _Kept(
                shown,
                shown,
                annotated=mask is not None,
                parent=version.id if version else None,
            )

    def drawn(self) -> dict[str, NDArray[np.uint8]]:
        """Return the masks of the annotated findings, as the reader sees them."""
        return {f: kept.shown for f, kept in self._kept.items() if kept.annotated}

    def replace(self, finding: str, mask: Mask | None) -> None:
        """Show a mask that is already saved, or none, instead of what there was."""
        kept = self._kept[finding]
        if mask is None:
            shown = np.zeros_like(kept.shown)
        else:
            shown = mask.astype(np.uint8)
        self._kept[finding] = _Kept(shown, shown, annotated=mask is not None)

    def edit(
        self,
        finding: str,
        after: NDArray[np.uint8],
        *,
        tool: str = "brush",
        source_run: str | None = None,
    ) -> bool:
        """Keep what a finding has become; return whether anything changed.

        Raises
        ------
        DataError
            The disk refuses; the change stays in memory (`unsaved`) for `retry`.
        """
        kept = self._kept[finding]
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

        Raises
        ------
        DataError
            The disk refuses, or a mask under the strokes is damaged.
        """
        found = [Recovered(*row) for row in self.project.journalled()]
        for row in found:
            self.project.fold(row.case, row.finding, row.reader, tool="recovered")
        return found

    def _leave(self) -> None:
        self.retry()
        for finding, kept in self._kept.items():
            if kept.strokes:
                origin = kept.tool, kept.source_run, kept.parent
                self._waiting[self.case_id, finding] = origin
        self._kept = {}

    def _journal(self, finding: str) -> None:
        kept = self._kept[finding]
        self.project.journal_stroke(
            self.case_id,
            finding,
            self.reader,
            kept.on_disk.astype(bool),
            kept.shown.astype(bool),
        )
        kept.on_disk = kept.shown
        kept.strokes = True
        self.last_saved = self.clock()

    def _fold_waiting(self, key: tuple[str, str]) -> None:
        tool, source_run, parent = self._waiting[key]
        self.project.fold(
            *key, self.reader, tool=tool, source_run=source_run, parent=parent
        )
        del self._waiting[key]

    def _fold_shown(self, finding: str) -> None:
        kept = self._kept[finding]
        self.project.fold(
            self.case_id,
            finding,
            self.reader,
            tool=kept.tool,
            source_run=kept.source_run,
            parent=kept.parent,
        )
        # Strokes that were all undone leave a finding that never had a mask without.
        newest = self.project.latest(self.case_id, finding, reader=self.scope)
        kept.annotated = newest is not None
        kept.strokes = False
        kept.tool, kept.source_run = "brush", None

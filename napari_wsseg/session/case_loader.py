"""Reading cases ahead of the reader, so that turning to one is instant."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from napari_wsseg.schema import Case
from napari_wsseg.session import open_case
from napari_wsseg.session.background import Background
from napari_wsseg.session.open_case import OpenedCase, Shown

_KEPT = 6
"""Cases kept in memory beside the open one, read ahead or just left."""


@dataclass(eq=False)
class Loader:
    """Reads the cases of one project in the background.

    Parameters
    ----------
    folder
        The project's.
    background
        Where reading is done.
    before_read
        Called on the main thread with a case id before its files are read.
    show
        Called with the case that is `wanted` once it is ready.
    failed
        Called with a case id and the error that stopped its reading.
    shown
        Which maps to read of a case; after a change `forget` what was read before.
    reader
        Whose masks are read; ``None``: those that count.
    pairs
        Case id to the readers whose masks are read beside.
    drawing
        Who draws: her open strokes are on the masks.
    case
        Returns the case of an id with the labels that may be shown.
    wanted
        The case that is to be shown next, until it is.
    """

    folder: Path
    background: Background
    before_read: Callable[[str], None]
    show: Callable[[OpenedCase], None]
    failed: Callable[[str, Exception], None]
    shown: Callable[[str], Shown]
    case: Callable[[str], Case]
    reader: str | None = None
    pairs: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    drawing: str = ""
    wanted: str | None = None
    _ready: dict[str, OpenedCase] = field(default_factory=dict)
    _coming: dict[str, object] = field(default_factory=dict)
    _changed: bool = False
    _closed: bool = False

    def want(self, case_id: str) -> bool:
        """Show a case as soon as it can be; return whether that was at once."""
        self.wanted = case_id
        ready = self._ready.pop(case_id, None)
        if ready is not None:
            self.show(ready)
            return True
        self.read(case_id)
        return False

    def read(self, case_id: str) -> None:
        """Read a case ahead, unless it is here or on its way."""
        if case_id in self._ready or case_id in self._coming:
            return
        reading = self._coming[case_id] = object()
        self.before_read(case_id)
        shown = self.shown(case_id)
        reader, others = self.reader, self.pairs.get(case_id, ())
        self.background.submit(
            lambda: open_case.read(
                self.folder,
                case_id,
                shown,
                reader=reader,
                others=others,
                drawing=self.drawing,
            ),
            lambda opened: self._arrived(reading, opened),
            lambda error: self._lost(reading, case_id, error),
        )

    def keep(self, opened: OpenedCase) -> None:
        """Keep a case ready for a while."""
        self._ready[opened.case.id] = opened
        while len(self._ready) > _KEPT:
            del self._ready[next(iter(self._ready))]

    def leave(self, opened: OpenedCase) -> None:
        """Keep the case that was on screen, unless all was forgotten meanwhile."""
        if not self._changed:
            self.keep(opened)
        self._changed = False

    def forget(self, case_id: str | None = None) -> None:
        """Read a case, or every case, anew next time: it has changed on disk.

        What is being read just now may be of before the change, and counts no more.
        """
        if case_id is None:
            self._ready.clear()
            self._coming.clear()
            self._changed = True
        else:
            self._ready.pop(case_id, None)
            self._coming.pop(case_id, None)

    def close(self) -> None:
        """Ignore whatever still arrives."""
        self._closed = True

    def _counts(self, reading: object, case_id: str) -> bool:
        """Whether what was read is still so; what is waited for is else read anew."""
        if self._closed:
            return False
        if self._coming.get(case_id) is reading:
            del self._coming[case_id]
            return True
        if case_id == self.wanted:
            self.read(case_id)
        return False

    def _arrived(self, reading: object, opened: OpenedCase) -> None:
        if not self._counts(reading, opened.case.id):
            return
        opened = replace(opened, case=self.case(opened.case.id))
        if opened.case.id == self.wanted:
            self.show(opened)
        else:
            self.keep(opened)

    def _lost(self, reading: object, case_id: str, error: Exception) -> None:
        if self._counts(reading, case_id):
            self.failed(case_id, error)

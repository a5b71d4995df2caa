"""What a mask began with, and how far it went from the draft that was offered."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from napari_wsseg.schema import Annotation, Mask, Outcome

BLANK, MASK = "blank", "mask"
"""What a mask began with that began with no draft: nothing, or an earlier mask."""


@dataclass(frozen=True, slots=True, eq=False)
class Start:
    """What the mask of one finding began with in this sitting.

    Parameters
    ----------
    name
        As `Outcome.start`.
    offered : (H, W) bool
        The draft that was laid in; ``None`` if none was.
    run
        Where it came from.
    """

    name: str
    offered: Mask | None = None
    run: str | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Changed:
    """One finding's mask beside the draft that was offered, yet without a decision."""

    finding: str
    start: Start
    mask: Mask

    def outcome(self, decision: int) -> Outcome | None:
        """Return what to keep; ``None`` if nothing was offered and nothing drawn."""
        offered, mask, start = self.start.offered, self.mask, self.start
        if not mask.any() and (offered is None or not offered.any()):
            return None
        before = np.zeros_like(mask) if offered is None else offered
        added = int((mask & ~before).sum())
        removed = int((before & ~mask).sum())
        return Outcome(
            *(decision, self.finding, start.name, start.run),
            None if offered is None else int(offered.sum()),
            *(added, removed, int(mask.sum())),
            unedited=offered is not None and not added and not removed,
        )


def start_of(tool: str, mask: Mask, run: str | None) -> Start | None:
    """Return what an edit that lays a whole mask in begins; ``None`` for a stroke.

    Parameters
    ----------
    tool
        ``"clear"``, or what laid the mask in: ``"from irnet"``, ``"picked version 2"``,
        ``"accepted irnet"``; anything else is a stroke.
    mask : (H, W) bool
        The mask after the edit: the draft as it was offered.
    run
        Where the draft came from, or ``None``.
    """
    if tool == "clear":
        return Start(BLANK)
    name = _laid_in(tool)
    return Start(name, mask, run) if name else None


def start_before(history: Sequence[Annotation], *, drawn: bool) -> Start:
    """Return what a mask began with of which this sitting does not know.

    Parameters
    ----------
    history
        The reader's own versions, oldest first.
    drawn
        Whether there is a mask, be it somebody else's.
    """
    for version in reversed(history):
        name = _laid_in(version.tool)
        if name:
            return Start(name, None, version.source_run)
        if version.tool == "clear":
            return Start(BLANK)
    own = bool(history) and history[0].parent is None
    return Start(MASK) if drawn and not own else Start(BLANK)


def _laid_in(tool: str) -> str:
    kind, _, name = tool.partition(" ")
    return name if kind in ("from", "picked", "accepted") else ""

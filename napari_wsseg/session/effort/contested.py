"""Where a draft is contested: the other stages, or the run before, say otherwise."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_wsseg.schema import STAGES, Mask
from napari_wsseg.session import Session
from napari_wsseg.session.effort.candidates import RUN_BEFORE

TOO_MUCH, MISSING = 1, 2
"""Values of `contested`: the others leave out what the draft marks, or the reverse."""

SIDE = 256
"""Longest side, in pixels, of the grid on which drafts are compared."""

SMALLEST = 24
"""Cells of a place under which it is an outline that runs a little beside another."""


def contested(draft: Mask, others: Sequence[Mask]) -> NDArray[np.uint8]:
    """Return where at least half of the other views contradict a draft.

    Parameters
    ----------
    draft : (H, W) bool
    others : each (H, W) bool
        Without any, nothing is contested.

    Returns
    -------
    (H, W) uint8
        `TOO_MUCH`, `MISSING` or 0. Places of fewer than `SMALLEST` cells are left out.
    """
    found = np.zeros(draft.shape, np.uint8)
    if not others:
        return found
    share = np.mean([other != draft for other in others], axis=0)
    places, number = ndimage.label(share >= 0.5)
    sizes = np.bincount(places.ravel(), minlength=number + 1)
    keep = sizes >= SMALLEST
    keep[0] = False
    found[keep[places] & draft] = TOO_MUCH
    found[keep[places] & ~draft] = MISSING
    return found


def on_screen(session: Session) -> NDArray[np.uint8] | None:
    """Return `contested` of the draft on screen, of the finding in hand.

    Returns
    -------
    (h, w) uint8 or None
        On a grid of `SIDE` over the film; ``None`` where no stage is on screen or there
        is no other view to compare it with.
    """
    opened, looking = session.opened, session.looking
    view, finding = looking.view, looking.finding
    if opened is None or finding is None or view not in session.stages():
        return None
    factor = min(1.0, SIDE / max(opened.case.shape))
    rows, columns = (max(1, round(side * factor)) for side in opened.case.shape)
    draft = session.draft(view, finding.name, (rows, columns))
    stages = [stage for stage in STAGES if stage in opened.maps and stage != view]
    others = [session.draft(stage, finding.name, (rows, columns)) for stage in stages]
    others += [
        one.draw((rows, columns))
        for one in session.candidates()
        if one.name == RUN_BEFORE
    ]
    masks = [mask for mask in others if mask is not None]
    return contested(draft, masks) if draft is not None and masks else None

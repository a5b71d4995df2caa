"""A third reader ends a disagreement: her mask of each finding is final."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import replace

import numpy as np

from napari_wsseg.io.project import Project
from napari_wsseg.schema import ACCEPTING, Mask
from napari_wsseg.session.decisions import Asked
from napari_wsseg.session.open_case import OpenedCase
from napari_wsseg.session.versions import VersionComparison


def comparison(opened: OpenedCase) -> VersionComparison | None:
    """Return the two readers' masks of the open case; ``None`` if it has no two."""
    if len(opened.others) < 2:
        return None
    (first, ours), (second, theirs) = list(opened.others.items())[:2]
    return VersionComparison(opened.case.id, (first, second), ours, theirs)


def pair(opened: OpenedCase, finding: str) -> tuple[Mask, Mask]:
    """Return the two readers' masks of a finding; what one has not drawn is empty."""
    blank = np.zeros(opened.case.shape, bool)
    first, second = list(opened.others.values())[:2]
    return first.get(finding, blank), second.get(finding, blank)


def agreed(opened: OpenedCase, drawn: Collection[str]) -> dict[str, Mask]:
    """Return findings that the adjudicator has not drawn but both readers drew alike.

    A finding that neither has drawn is left without a mask.
    """
    return {
        name: masks[0]
        for name, masks in _asked(opened, drawn)
        if np.array_equal(*masks)
    }


def undecided(opened: OpenedCase, drawn: Collection[str]) -> list[str]:
    """Return findings on which the readers differ and the adjudicator drew nothing."""
    return [name for name, masks in _asked(opened, drawn) if not np.array_equal(*masks)]


def offer(
    opened: OpenedCase, drawn: Collection[str], work: Callable[[], Asked]
) -> Callable[[], Asked]:
    """Return the work that takes what both readers drew alike, and no draft.

    Parameters
    ----------
    opened
        The film, with the masks of the two readers.
    drawn
        Findings that the adjudicator has drawn.
    work
        Makes the decision as `napari_wsseg.session.decisions.offer` returns it; its
        drafts are left out.
    """

    def adjudicate() -> Asked:
        asked = work()
        accepting = asked.verdict in ACCEPTING
        masks = agreed(opened, drawn) if accepting else {}
        return replace(asked, drafts=masks, tool="agreed by both", run=None, changed=())

    return adjudicate


def take_reader_mask(
    project: Project, case_id: str, finding: str, other_reader: str, *, reader: str
) -> Mask:
    """Make one reader's (H, W) mask the adjudicator's own, to draw on or make final.

    Parameters
    ----------
    project, case_id, finding
        Open for writing, the case's 16 hexadecimal digits and the finding's name.
    other_reader
        The reader whose newest mask is taken; of one who drew none, a blank.
    reader
        The adjudicator.

    Raises
    ------
    DataError
        The mask is lost, or the disk refuses.
    """
    version = project.latest(case_id, finding, reader=other_reader)
    blank = np.zeros(project.case(case_id).shape, bool)
    mask = blank if version is None else project.read_mask(version)
    project.put_mask(
        case_id,
        finding,
        mask,
        reader=reader,
        tool=f"taken from {other_reader}",
        parent=version.id if version else None,
    )
    return mask


def _asked(
    opened: OpenedCase, drawn: Collection[str]
) -> Iterator[tuple[str, tuple[Mask, Mask]]]:
    read = [set(masks) for masks in opened.others.values()]
    for name in sorted(set().union(*read)):
        if name not in drawn:
            yield name, pair(opened, name)

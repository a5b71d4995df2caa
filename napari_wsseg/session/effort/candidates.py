"""What a mask could begin with: the drafts that differ most, the best guess first.

The guess of quality is a stated one, not a learned one: a later stage before an earlier
one (segmentation, IRNet, CRF, CAM), at the threshold that is set; then the segmentation
of the run before, the reader's last version, and the stages at other thresholds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from napari_wsseg.io import stages
from napari_wsseg.io.project import Project
from napari_wsseg.jobs import DataError
from napari_wsseg.ops import masks, metrics
from napari_wsseg.schema import STAGES, Annotation, Mask, StageMaps
from napari_wsseg.session.drafts import Drafts
from napari_wsseg.session.open_case import OpenedCase
from napari_wsseg.session.view import Looking

MOST = 6
"""Candidates that are shown: keys 1 to 6."""

SAME = 0.97
"""Dice from which on two candidates are one."""

RUN_BEFORE = "segmentation of the run before"

OTHER_CUTS = ((0.6, "lower cut"), (1.5, "higher cut"))
"""What a stage's threshold is multiplied by, and what the candidate is called."""


@dataclass(frozen=True, eq=False)
class Candidate:
    """One mask that could be taken.

    Parameters
    ----------
    name
        What is kept of it with the mask, e.g. ``"irnet"``, ``"cam lower cut"``.
    draw : (h, w) -> (h, w) bool
        Makes the mask at a shape.
    run
        Where it came from.
    """

    name: str
    draw: Callable[[tuple[int, int]], Mask]
    run: str | None = None


def every(
    opened: OpenedCase,
    looking: Looking,
    *,
    earlier: Project | None = None,
    versions: Sequence[Annotation] = (),
) -> list[Candidate]:
    """Return what the current finding's mask could begin with, best guess first.

    Parameters
    ----------
    opened, looking
        The open case, and the stages and runs that are shown.
    earlier
        Where the segmentation of the run before is; ``None`` if it is not to be seen.
    versions
        The reader's own of this finding, newest first.
    """
    if looking.finding is None:
        return []
    drafts, name = looking.drafts.copy(), looking.finding.name
    has = [stage for stage in reversed(STAGES) if stage in opened.maps]
    found = [_of_stage(opened, drafts, stage, name) for stage in has]
    if earlier is not None:
        found += _run_before(earlier, opened, name)
        found += _last_version(earlier, versions)
    for stage in has:
        found += _other_cuts(opened, drafts, stage, name)
    return found


def differing(
    candidates: Sequence[Candidate], shape: tuple[int, int]
) -> list[tuple[Candidate, Mask]]:
    """Return those that differ most, at most `MOST`, in the order that they came in.

    The first that is not empty is always among them; then whichever is least like any
    that is, while it is another at all. All are drawn at `shape`.
    """
    drawn = [(one, one.draw(shape)) for one in candidates]
    left = [pair for pair in drawn if pair[1].any()]
    chosen: list[tuple[Candidate, Mask]] = left[:1]
    left = left[1:]
    while left and len(chosen) < MOST:
        likeness = [max(metrics.dice(m, c) for _, c in chosen) for _, m in left]
        least = int(np.argmin(likeness))
        if likeness[least] >= SAME:
            break
        chosen.append(left.pop(least))
    return [pair for pair in drawn if any(pair[0] is one for one, _ in chosen)]


def _of_stage(
    opened: OpenedCase, drafts: Drafts, stage: str, finding: str
) -> Candidate:
    maps, labels = opened.maps[stage], opened.case.labels
    return Candidate(
        opened.shown.maps_name(stage),
        lambda shape: drafts.draft(maps, stage, finding, shape, labels),
        opened.shown.runs.get(stage),
    )


def _other_cuts(
    opened: OpenedCase, drafts: Drafts, stage: str, finding: str
) -> Iterator[Candidate]:
    maps, labels = opened.maps[stage], opened.case.labels
    settings = drafts.settings.get(stage)
    if settings is None or finding not in settings.findings:
        return
    for factor, label in OTHER_CUTS:
        other = drafts.copy()
        cut = min(max(drafts.threshold(stage, finding) * factor, 0.02), 0.98)
        other.set_threshold(stage, finding, cut)

        def draw(shape: tuple[int, int], other: Drafts = other) -> Mask:
            return other.draft(maps, stage, finding, shape, labels)

        kept = opened.shown.maps_name(stage)
        yield Candidate(f"{kept} {label}", draw, opened.shown.runs.get(stage))


def _run_before(
    project: Project, opened: OpenedCase, finding: str
) -> Iterator[Candidate]:
    run = project.adopted_before("segmentation")
    settings = run and stages.read_settings(project.folder, "segmentation", run)
    if not run or not settings or finding not in settings.findings:
        return
    before = Drafts(settings.findings, {"segmentation": settings})
    folder, case = project.folder, opened.case

    def draw(shape: tuple[int, int]) -> Mask:
        maps: StageMaps | None = stages.read(folder, "segmentation", run, case.id)
        if maps is None:
            return np.zeros(shape, bool)
        return before.draft(maps, "segmentation", finding, shape, case.labels)

    yield Candidate(RUN_BEFORE, draw, run)


def _last_version(
    project: Project, versions: Sequence[Annotation]
) -> Iterator[Candidate]:
    """Yield the version before the newest one, the newest being what is drawn."""
    if len(versions) < 2:
        return
    before = versions[1]
    try:
        mask = project.read_mask(before)
    except DataError:
        return  # The panel of versions says what is wrong with it.
    yield Candidate(
        f"version {before.version}",
        lambda shape: masks.nearest(mask, shape),
        before.source_run,
    )

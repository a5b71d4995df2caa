"""Films of a project with their truth, and what the window would offer on them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image
from scipy import ndimage

from benchmarks.grow_clicks.films import SIDE
from benchmarks.scripted_reader.reading import Film
from napari_wsseg.io import stages
from napari_wsseg.io.project import Project
from napari_wsseg.schema import STAGES, Case, Mask
from napari_wsseg.session.drafts import Drafts
from napari_wsseg.session.effort import candidates


def truth_of(truth: Path, finding: str, case: Case, *, several: bool) -> Mask | None:
    """Return a film's true mask at `SIDE`, ``None`` where it has none.

    Parameters
    ----------
    truth
        A folder of ``<film>.png``; with `several` findings, of folders by finding.
    """
    folder = truth / finding if several else truth
    path = folder / f"{Path(case.path).stem}.png"
    if not path.is_file():
        return None
    with Image.open(path) as image:
        grey = image.convert("L")
        grey.thumbnail((SIDE, SIDE), Image.Resampling.NEAREST)
        mask = np.asarray(grey) > 0
    return mask if mask.any() else None


def film_of(
    project: Project, case: Case, finding: str, truth: Mask, runs: Mapping[str, str]
) -> Film:
    """Return a film with its drafts by the runs named, as the window's strip has them.

    Stages with the last one first, then each at its lower and its higher cut; of those
    that are alike the first, six at most.
    """
    pixels = project.radiograph(case).pixels
    factors = np.divide(truth.shape, pixels.shape)
    small = ndimage.zoom(pixels, factors, order=1, mode="nearest", grid_mode=True)
    offered = candidates.differing(
        list(_candidates(project, case, finding, runs)),
        (truth.shape[0], truth.shape[1]),
    )
    return Film(np.asarray(small, np.float32), truth, [mask for _, mask in offered])


def _candidates(
    project: Project, case: Case, finding: str, runs: Mapping[str, str]
) -> Sequence[candidates.Candidate]:
    found, varied = [], []
    for stage in reversed(STAGES):
        if stage not in runs:
            continue
        maps = stages.read(project.folder, stage, runs[stage], case.id)
        settings = stages.read_settings(project.folder, stage, runs[stage])
        if maps is None or settings is None or finding not in settings.findings:
            continue
        own = Drafts(settings.findings, {stage: settings})
        for factor, group in ((1.0, found), *((f, varied) for f in CUTS)):
            cut = own.copy()
            moved = min(max(own.threshold(stage, finding) * factor, 0.02), 0.98)
            if factor != 1:
                cut.set_threshold(stage, finding, moved)
            draw = partial(cut.draft, maps, stage, finding, labels=case.labels)
            group.append(candidates.Candidate(f"{stage} {factor}", draw))
    return [*found, *varied]


CUTS = tuple(factor for factor, _ in candidates.OTHER_CUTS)


def read_films(
    project: Project,
    cases: Iterable[Case],
    truth: Path,
    findings: Sequence[str],
    runs: Mapping[str, str],
) -> list[Film]:
    """Return every film and finding of some cases that has a true mask."""
    found = []
    for case in cases:
        for finding in findings:
            mask = truth_of(truth, finding, case, several=len(findings) > 1)
            if mask is not None:
                found.append(film_of(project, case, finding, mask, runs))
    return found

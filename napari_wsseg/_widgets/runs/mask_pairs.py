"""The masks of two runs, film by film: how alike they are and where they differ."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_wsseg import pipeline
from napari_wsseg._widgets.canvas import thumbnails as _thumbnails
from napari_wsseg.io import stages
from napari_wsseg.io.project import Project
from napari_wsseg.ops.metrics import dice
from napari_wsseg.schema import Case, Mask

#: Longest side at which masks are compared over many films, in pixels.
ROUGH = 192
#: Most films that are compared; enough for a mean.
MOST = 200

ONLY_ONE, ONLY_OTHER = "#E69F00", "#56B4E9"
_BOTH = "#BFBFBF"


@dataclass(frozen=True, slots=True)
class Made:
    """Where the masks of a run come from."""

    stage: str
    run: str


@dataclass(frozen=True, slots=True)
class Alike:
    """How alike two runs' masks of one finding are.

    Parameters
    ----------
    dice
        Mean over films on which either shows it; ``None`` where neither ever does.
    films
        How many those are.
    only_one, only_other
        Films on which one shows it and the other nothing.
    """

    finding: str
    dice: float | None
    films: int
    only_one: int
    only_other: int


def masks(
    project: Path, case: Case, made: Made, shape: tuple[int, int]
) -> dict[str, Mask]:
    """Return a run's masks of a film by finding, at `shape`; empty if it has none."""
    maps = stages.read(project, made.stage, made.run, case.id)
    settings = stages.read_settings(project, made.stage, made.run)
    if maps is None or settings is None:
        return {}
    found = pipeline.stage_masks(maps, settings, shape)
    return dict(zip(settings.findings, found, strict=True))


def compare(
    project: Path,
    cases: Sequence[Case],
    findings: Sequence[str],
    one: Made,
    other: Made,
) -> list[Alike]:
    """Compare two runs on films that both have seen, at most `MOST` of them."""
    both = stages.cases_with_maps(project, one.stage, one.run)
    both &= stages.cases_with_maps(project, other.stage, other.run)
    known = [case for case in cases if case.id in both]
    order = np.random.default_rng(0).permutation(len(known))[:MOST]
    scores: dict[str, list[float]] = {name: [] for name in findings}
    lone = {name: [0, 0] for name in findings}
    for place in order:
        case = known[place]
        shape = _thumbnails.small_shape(case.shape, ROUGH)
        mine, theirs = (masks(project, case, made, shape) for made in (one, other))
        for name in findings:
            a, b = (each.get(name, np.zeros(shape, bool)) for each in (mine, theirs))
            if not (a.any() or b.any()):
                continue
            scores[name].append(dice(a, b))
            lone[name][0] += bool(a.any() and not b.any())
            lone[name][1] += bool(b.any() and not a.any())
    return [
        Alike(name, float(np.mean(s)) if s else None, len(s), *lone[name])
        for name, s in scores.items()
    ]


def pictures(
    project: Path, case: Case, finding: str, one: Made, other: Made, side: int
) -> list[NDArray[np.uint8]]:
    """Return the film with one's mask, with the other's, and with the difference."""
    with Project.open(project) as opened:
        film = opened.radiograph(case).pixels
    if film.ndim == 3:
        film = film.mean(-1)
    shape = _thumbnails.small_shape(case.shape, side)
    grey = _thumbnails.grey(film, shape)
    empty = np.zeros(shape, bool)
    a, b = (masks(project, case, m, shape).get(finding, empty) for m in (one, other))
    difference = [(a & b, _BOTH), (a & ~b, ONLY_ONE), (b & ~a, ONLY_OTHER)]
    return [
        _thumbnails.with_masks(grey, [(a, ONLY_ONE)], filled=True),
        _thumbnails.with_masks(grey, [(b, ONLY_OTHER)], filled=True),
        _thumbnails.with_masks(grey, difference, filled=True),
    ]

"""Thresholds chosen without a pixel of truth, by a stated criterion.

Either by the area that a finding is known to cover where it is there, or by how well
two views of the same films agree. Only image-level labels of training films are used.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from napari_wsseg.io import stages
from napari_wsseg.io.project import Project
from napari_wsseg.ops import geometry
from napari_wsseg.pipeline import cut
from napari_wsseg.schema import Case, Mask, StageMaps, StageSettings

logger = logging.getLogger(__name__)

GRID = tuple(round(0.02 * step, 2) for step in range(1, 50))
"""Thresholds tried."""

VIEWS = "views"
"""Name under which a stage keeps (2, K, h, w) maps of two views."""

_SIDE = 256  # of a film's longer side, on which areas and agreement are counted


def by_area(
    project: Project,
    stage: str,
    run: str,
    settings: StageSettings,
    areas: Mapping[str, float],
) -> StageSettings:
    """Return settings with masks of, on average, the area that a finding covers.

    Parameters
    ----------
    project, stage, run
        Open; the stage; and the run that computed it.
    settings
        With the thresholds that are replaced.
    areas
        Share of the film in (0, 1) by finding; the finding ``""`` stands for all that
        are not named. One without an area keeps its threshold, which is logged.
    """
    covered: dict[str, list[list[float]]] = {}
    for case, maps in _seen(project, stage, run):
        for k, finding in _shown(case, settings):
            film = _small(maps.score[k], case.shape)
            each = [float(cut(film, settings, at).mean()) for at in GRID]
            covered.setdefault(finding, []).append(each)
    chosen = []
    for finding, old in zip(settings.findings, settings.thresholds, strict=True):
        wanted = areas.get(finding, areas.get(""))
        if wanted is None or finding not in covered:
            logger.warning(
                "%s: no area, or no film, to choose its threshold by", finding
            )
            chosen.append(old)
            continue
        apart = np.abs(np.mean(covered[finding], 0) - wanted)
        chosen.append(GRID[int(apart.argmin())])
    return replace(settings, thresholds=tuple(chosen))


def by_agreement(
    project: Project, stage: str, run: str, settings: StageSettings
) -> StageSettings:
    """Return settings with the thresholds at which two views agree best.

    Agreement is Cohen's kappa over the pixels of all films that are labelled as
    showing the finding: masks of everything or of nothing agree by chance alone, and
    that counts 0. A finding that no training film shows keeps its threshold. Views are
    not dimmed to the finding's place, whose outline they would agree on.

    Parameters
    ----------
    project
        Open.
    stage
        A stage that keeps `VIEWS`; films without them are passed over.
    run
        Id of the run that computed it.
    settings
        Its findings, rule and thresholds so far; the thresholds of `GRID` are tried.
    """
    counted: dict[str, NDArray[np.float64]] = {}
    for case, maps in _seen(project, stage, run):
        if VIEWS not in maps.extra:
            continue
        one, other = np.asarray(maps.extra[VIEWS], np.float32)
        for k, finding in _shown(case, settings):
            films = _small(one[k], case.shape), _small(other[k], case.shape)
            rows = [
                _counts(*(cut(film, settings, at) for film in films)) for at in GRID
            ]
            counted[finding] = counted.get(finding, 0) + np.array(rows, np.float64)
    chosen = []
    for finding, old in zip(settings.findings, settings.thresholds, strict=True):
        if finding not in counted:
            logger.warning("%s: no film to choose its threshold by", finding)
            chosen.append(old)
            continue
        chosen.append(GRID[int(np.argmax(_kappa(counted[finding])))])
    return replace(settings, thresholds=tuple(chosen))


def _seen(project: Project, stage: str, run: str) -> Iterator[tuple[Case, StageMaps]]:
    for case in project.cases("train"):
        if 1 in case.labels.values():
            maps = stages.read(project.folder, stage, run, case.id)
            if maps is not None:
                yield case, maps


def _shown(case: Case, settings: StageSettings) -> Iterator[tuple[int, str]]:
    for k, finding in enumerate(settings.findings):
        if case.labels.get(finding) == 1:
            yield k, finding


def _small(score: NDArray[np.float32], shape: tuple[int, int]) -> NDArray[np.float32]:
    """Return a film's map, no larger than areas want to be counted on."""
    shrink = min(1.0, _SIDE / max(shape))
    rows, columns = (max(1, round(side * shrink)) for side in shape)
    return geometry.unletterbox(score, shape, grid=(rows, columns))


def _counts(one: Mask, other: Mask) -> tuple[int, int, int, int]:
    """Return pixels in both, in the first, in the second, and in all."""
    return int((one & other).sum()), int(one.sum()), int(other.sum()), one.size


def _kappa(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return Cohen's kappa of rows (both, first, second, all); 0 without any room."""
    both, first, second, size = counts.T
    agree = (size - first - second + 2 * both) / size
    chance = (first * second + (size - first) * (size - second)) / size**2
    room = 1 - chance
    return np.where(room > 1e-9, (agree - chance) / np.maximum(room, 1e-9), 0.0)

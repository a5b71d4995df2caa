"""What the anatomy stage has found on a film, read back; no network is asked."""

from __future__ import annotations

from collections.abc import Collection

from napari_wsseg.io import stages
from napari_wsseg.io.project import Project
from napari_wsseg.ops import geometry
from napari_wsseg.ops.chest import ChestMeasures, measure
from napari_wsseg.ops.masks import keep_largest
from napari_wsseg.schema import ANATOMY, Case, Mask

SHIPPED = "shipped"
"""What stands for a run where the weights are those that come with the program."""

LUNGS = ("left_lung", "right_lung")


def run_in_use(project: Project) -> str:
    """Return the run in use for the stage: one of the project's, or `SHIPPED`."""
    return project.adopted(ANATOMY) or SHIPPED


def masks(
    project: Project,
    case: Case,
    run: str | None = None,
    *,
    side: int | None = None,
    names: Collection[str] | None = None,
) -> dict[str, Mask]:
    """Return structure to (H, W) mask of a film; empty where it was not looked at.

    Of heart and lungs the largest piece is kept.

    Parameters
    ----------
    project, case
        Open; and the film.
    run
        Whose maps; ``None`` for those in use.
    side
        Longest side of the masks, where the film's own is longer; ``None``: the film's.
    names
        Structures that are wanted; ``None``: all.
    """
    run = run or run_in_use(project)
    maps = stages.read(project.folder, ANATOMY, run, case.id)
    settings = stages.read_settings(project.folder, ANATOMY, run)
    if maps is None or settings is None:
        return {}
    shape = case.shape if side is None else _at_most(case.shape, side)
    found = {}
    for name, score, cut in zip(
        settings.findings, maps.score, settings.thresholds, strict=True
    ):
        if names is not None and name not in names:
            continue
        mask = geometry.unletterbox(score, shape) >= cut
        one = name in ("heart", *LUNGS)
        found[name] = keep_largest(mask) if one else mask
    return found


def _at_most(shape: tuple[int, int], side: int) -> tuple[int, int]:
    scale = min(1.0, side / max(shape))
    return max(1, round(shape[0] * scale)), max(1, round(shape[1] * scale))


def measures(project: Project, case: Case) -> ChestMeasures | None:
    """Return what is measured of a film, or ``None`` where it was not looked at."""
    found = masks(project, case)
    return measure(found) if found else None

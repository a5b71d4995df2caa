"""Masks of lungs and heart from elsewhere, as a run of the anatomy stage.

Drawn by hand or by another network, they take the place of what our own network finds:
structure by structure, film by film. What they do not have is our network's.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from napari_wsseg.export import reading_back
from napari_wsseg.export.exporting import external_masks
from napari_wsseg.io import stages
from napari_wsseg.io.project import Project
from napari_wsseg.jobs import DataError, Progress
from napari_wsseg.ops import geometry
from napari_wsseg.pipeline.inference import anatomy, external_drafts
from napari_wsseg.schema import ANATOMY, Case, Mask, StageMaps, StageSettings

FORMAT = "png"
"""A folder a structure, in it a mask a film."""

BOTH_LUNGS = ("lungs", "lung")
"""Folders of masks that do not say which lung is which."""

_LUNGS = ("left_lung", "right_lung")


@dataclass(frozen=True, slots=True)
class TakenAnatomy:
    """What was taken.

    Parameters
    ----------
    run
        Id of the run that stands for the masks.
    films
        How many films have a mask.
    structures
        Of what.
    rejected
        What fits no film or structure, and why.
    """

    run: str
    films: int
    structures: tuple[str, ...]
    rejected: tuple[str, ...]


def steps(
    project: Project, path: Path, *, called: str
) -> Generator[Progress, None, TakenAnatomy]:
    """Yield progress while masks become maps of the anatomy; nothing is adopted.

    Parameters
    ----------
    project
        Whose films the shipped network has seen.
    path
        Folder with a folder for each structure (``heart``, ``left_lung``,
        ``right_lung``, or ``lungs`` for both), in it masks named as the films are.
    called
        What drew them: letters, digits, ``_`` and ``.``.

    Raises
    ------
    UsageError
        The name cannot be a run's.
    DataError
        Nothing in the folder fits a film, or the network has not seen them.
    """
    external_drafts.check_name(called, ANATOMY)
    ours = stages.read_settings(project.folder, ANATOMY, anatomy.SHIPPED)
    if ours is None:
        raise DataError(
            f"the anatomy stage has not seen the films; run: wsseg infer anatomy -p "
            f"{project.folder}"
        )
    with external_masks.opened(FORMAT, path) as each:
        names = (*ours.findings, *BOTH_LUNGS)
        located = reading_back.locate(project, each, None, names)
        drawn = _drawn(located)
        if not drawn:
            why = "; ".join(located.rejected[:3]) or "there is none"
            raise DataError(f"no mask in {path} fits a film of this project ({why})")
        taken = tuple(sorted({name for masks in drawn.values() for name in masks}))
        folder = external_drafts.new_run(project, called, ANATOMY, ours.findings, path)
        cases = project.cases()
        for step, case in enumerate(cases, start=1):
            maps = _maps(project, case, ours, drawn.get(case.id, {}))
            stages.write(project.folder, ANATOMY, folder.id, case.id, maps)
            yield Progress(step, len(cases), "taking masks")
    stages.write_settings(project.folder, ANATOMY, folder.id, ours)
    folder.end("done", metrics={}, seconds=0.0)
    return TakenAnatomy(folder.id, len(drawn), taken, tuple(located.rejected))


def _drawn(located: reading_back.Located) -> dict[str, dict[str, Mask]]:
    """Return masks by film and structure; both lungs where they are not told apart."""
    found: dict[str, dict[str, Mask]] = {}
    for (case_id, name), masks in located.groups.items():
        shape = located.cases[case_id].shape
        try:
            read = [np.asarray(one.mask(shape), bool) for one in masks]
        except DataError as error:
            located.rejected.append(str(error))
            continue
        mask = np.logical_or.reduce(read)
        for structure in _LUNGS if name in BOTH_LUNGS else (name,):
            found.setdefault(case_id, {})[structure] = mask
    return found


def _maps(
    project: Project, case: Case, ours: StageSettings, drawn: Mapping[str, Mask]
) -> StageMaps:
    maps = stages.read(project.folder, ANATOMY, anatomy.SHIPPED, case.id)
    if maps is None:
        raise DataError(
            f"the anatomy of {case.path} is missing; run: wsseg infer anatomy -p "
            f"{project.folder}"
        )
    score = maps.score.copy()
    side = score.shape[-1]
    for name, mask in drawn.items():
        at = ours.findings.index(name)
        score[at] = geometry.letterbox(mask.astype(np.float32), side)
    return StageMaps(score, maps.present)

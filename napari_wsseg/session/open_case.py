"""What is read from disk to put one case on screen; safe in any thread."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from scipy import ndimage

from napari_wsseg.io import stages
from napari_wsseg.io.project import Project
from napari_wsseg.jobs import DataError
from napari_wsseg.ops import geometry, pamr
from napari_wsseg.schema import (
    Annotation,
    Case,
    Decision,
    Mask,
    Radiograph,
    StageMaps,
)
from napari_wsseg.session.ground import Ground

SNAP_SIDE = 192
"""Side of the letterboxed square on which maps are drawn to edges, in pixels."""


@dataclass(frozen=True, slots=True)
class Shown:
    """Where the stages on screen come from.

    Parameters
    ----------
    runs
        Stage name to run id; stages without a run are missing.
    maps
        Stage name to the name under which its maps are kept, where that is another:
        ``{"cam": "cam~layer-cam@4"}``, see `napari_wsseg.pipeline.inference.variants`.
    """

    runs: Mapping[str, str] = field(default_factory=dict)
    maps: Mapping[str, str] = field(default_factory=dict)

    def maps_name(self, stage: str) -> str:
        """Return the name under which the maps of a stage are kept."""
        return self.maps.get(stage, stage)


@dataclass(frozen=True, slots=True, eq=False)
class OpenedCase:
    """One case, decoded and ready to be shown.

    Parameters
    ----------
    maps
        Stage name to its float maps; stages that have not seen the case are missing.
    masks : each (H, W) bool
        Expert masks by finding, those that count or the reader's own; only annotated
        findings.
    shown
        Where `maps` came from.
    versions
        Which version each of `masks` is.
    verdicts
        Decisions on single findings.
    others : each (H, W) bool
        Masks of the readers whom an adjudicator compares, by reader and finding.
    open_strokes
        Findings of which `masks` holds strokes that are in the journal alone.
    unclear
        Findings whose mask cannot be rebuilt from disk, and why; the last one that can
        be read is shown, and nothing may be drawn on it.
    """

    case: Case
    radiograph: Radiograph
    maps: Mapping[str, StageMaps]
    masks: Mapping[str, Mask]
    shown: Shown
    versions: Mapping[str, Annotation] = field(default_factory=dict)
    verdicts: Mapping[str, Decision] = field(default_factory=dict)
    others: Mapping[str, Mapping[str, Mask]] = field(default_factory=dict)
    open_strokes: frozenset[str] = frozenset()
    unclear: Mapping[str, str] = field(default_factory=dict)
    _snapped: dict[str, StageMaps] = field(default_factory=dict, init=False, repr=False)

    def stage_maps(self, stage: str, *, snap: bool = False) -> StageMaps | None:
        """Return a stage's maps; with `snap`, drawn to the edges of the film.

        Snapping is pixel-adaptive refinement (`napari_wsseg.ops.pamr`) on a grid of
        `SNAP_SIDE`; the first time takes some 50 ms a finding.
        """
        maps = self.maps.get(stage)
        if maps is None or not snap:
            return maps
        if stage not in self._snapped:
            self._snapped[stage] = _snapped(maps, self.radiograph)
        return self._snapped[stage]


def read(
    folder: Path,
    case_id: str,
    shown: Shown,
    *,
    reader: str | None = None,
    others: Sequence[str] = (),
    drawing: str = "",
) -> OpenedCase:
    """Read one case, through an opening of the project of its own.

    Masks are as saved with open strokes on them.

    Parameters
    ----------
    folder, case_id
        The project's folder, and the case's 16 hexadecimal digits.
    shown
        Which runs' maps are read.
    reader
        Of what readers did only hers is read; ``None``: everybody's, the masks that
        count.
    others
        Readers whose masks are read beside, for an adjudicator.
    drawing
        The reader who draws, whose strokes go before anybody else's.

    Raises
    ------
    DataError
        There is no such case, the film is missing or changed, or a map is damaged.
    """
    with Project.open(folder) as project:
        case = project.case(case_id)
        radiograph = project.radiograph(case)
        versions = project.expert_annotations(case_id, reader=reader)
        ground = Ground.from_case(project, case, versions, reader, drawing)
        verdicts = project.finding_decisions(case_id, reader=reader)
        compared = {name: project.expert_masks(case_id, reader=name) for name in others}
    maps = read_maps(folder, case_id, shown)
    return OpenedCase(
        case,
        radiograph,
        maps,
        ground.masks,
        shown,
        versions,
        verdicts,
        compared,
        frozenset(ground.open_strokes),
        ground.unclear,
    )


def read_maps(folder: Path, case_id: str, shown: Shown) -> dict[str, StageMaps]:
    """Read the maps of every run shown that has seen the case.

    Parameters
    ----------
    folder, case_id
        The project's folder, and the case's 16 hexadecimal digits.
    shown
        Which runs' maps are read.

    Returns
    -------
    dict
        Stage to its maps; stages that have not seen the case are missing.

    Raises
    ------
    DataError
        A file of maps is damaged.
    """
    found: dict[str, StageMaps] = {}
    for stage, run in shown.runs.items():
        maps = stages.read(folder, shown.maps_name(stage), run, case_id)
        if maps is not None:
            found[stage] = maps
    return found


def _snapped(maps: StageMaps, radiograph: Radiograph) -> StageMaps:
    film = geometry.letterbox(radiograph.pixels, SNAP_SIDE)
    factor = SNAP_SIDE / maps.score.shape[-1]
    wide = ndimage.zoom(
        maps.score, (1, factor, factor), order=1, mode="nearest", grid_mode=True
    )
    refined = pamr.Kernel(film).refine(wide)
    return replace(maps, score=np.asarray(refined, np.float32).clip(0, 1))


def open_folder(folder: Path) -> tuple[Project, str]:
    """Open to write, else to read; return the project and a note for the reader."""
    try:
        return Project.open(folder, write=True), ""
    except DataError as error:
        # What forbids writing (another window, permissions) may still allow reading;
        # what does not is raised again here.
        why = str(error).removesuffix(", or open the project read-only")
        return Project.open(folder), f"Read-only: {why}"

"""A stage's maps kept to the places that its findings can be in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from napari_wsseg.io import anatomy, stages
from napari_wsseg.io.project import Project
from napari_wsseg.jobs import DataError
from napari_wsseg.ops import seeds
from napari_wsseg.pipeline.inference.places import (
    STRUCTURES,
    Map,
    project_places,
    weight,
)
from napari_wsseg.pipeline.inference.work import resized
from napari_wsseg.schema import ANATOMY, Case, StageMaps


@dataclass(frozen=True, slots=True)
class Places:
    """Where the findings of a stage can be on the films of a project."""

    project: Project
    run: str
    findings: tuple[str, ...]
    places: Mapping[str, str]

    def apply(self, stage: str, case: Case, maps: StageMaps) -> StageMaps:
        """Return a stage's maps dimmed where a finding cannot be.

        Parameters
        ----------
        stage
            ``"cam"``, whose heat is divided by its own peak again, or another.
        case
            The film that the maps are of; the anatomy stage has seen it.
        maps
            K findings in the run's order; left as they are.

        Raises
        ------
        DataError
            If the anatomy stage has not seen the film.
        """
        size = maps.score.shape[-1]
        weights = resized(self.weights(case), size)
        score = maps.score * weights
        if stage == "cam":
            score = seeds.normalise(score)
        return StageMaps(score=score, present=maps.present, extra=maps.extra)

    def weights(self, case: Case) -> Map:
        """Return (K, S, S) in [`DIMMED`, 1] for a film; 1 where no chest is found."""
        maps = stages.read(self.project.folder, ANATOMY, self.run, case.id)
        settings = stages.read_settings(self.project.folder, ANATOMY, self.run)
        if maps is None or settings is None:
            raise DataError(
                f"the anatomy of {case.path} is missing; run: "
                f"wsseg infer anatomy -p {self.project.folder}"
            )
        found = dict(zip(settings.findings, maps.score, strict=True))
        everywhere = np.ones_like(maps.score[0])
        return np.stack(
            [
                weight(found, self.places[name]) if name in self.places else everywhere
                for name in self.findings
            ]
        )


def for_stage(project: Project, header: Mapping[str, Any]) -> Places | None:
    """Return what limits a run's maps, or ``None`` where nothing is to."""
    if not header.get("places") and not project.prior:
        return None
    places = project_places(project)
    if header.get("organs"):  # drawn with the anatomy stage, which knows their place
        places = {k: place for k, place in places.items() if place not in STRUCTURES}
    findings = tuple(str(name) for name in header["findings"])
    if not set(findings) & set(places):
        return None
    return Places(project, anatomy.run_in_use(project), findings, places)

"""Drafts of a few films by a segmenter in memory, while it still learns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import nn

from napari_wsseg.io import stages
from napari_wsseg.io.film_cache import Films
from napari_wsseg.io.project import Project
from napari_wsseg.jobs import DataError
from napari_wsseg.pipeline.inference import kept_places, scorers, thresholds
from napari_wsseg.pipeline.inference.work import Work
from napari_wsseg.schema import StageSettings

STAGE = "segmentation"


def _fixed(header: dict[str, Any]) -> StageSettings:
    findings = tuple(str(name) for name in header["findings"])
    cut = thresholds.FIXED[STAGE]
    return StageSettings(findings, (cut,) * len(findings), (0.5,) * len(findings))


def draw(
    project: Project,
    run: str,
    model: nn.Module,
    header: dict[str, Any],
    films: Films,
    case_ids: Sequence[str],
    like: str,
) -> list[str]:
    """Keep the maps of some films, and no others, under a run; return which films.

    They become masks as those of the run that it began from do. Films that an earlier
    stage has not seen get none: a segmenter's gate is the classifier's.

    Parameters
    ----------
    project, run
        Open; and the id of the run that learns.
    model, header
        The segmenter in eval mode, and what its weights say of it.
    films
        Decoded, at its working size.
    case_ids
        Films, in order; a film is written as soon as it is drawn.
    like
        Id of the run that it began from.

    Raises
    ------
    DataError
        The disk is full, or the project is not there any more.
    """
    limits = kept_places.for_stage(project, header)
    work = Work(project, run, model, header, films)
    found, drawn = project.some_cases(case_ids), []
    for case in (found[one] for one in case_ids if one in found):
        try:
            (maps,) = scorers.segmentation(work, [case])
            placed = limits.apply(STAGE, case, maps) if limits else maps
        except DataError:
            if _lacks_below(project, header, case.id):
                continue
            raise
        stages.write(project.folder, STAGE, run, case.id, placed)
        if stages.read_settings(project.folder, STAGE, run) is None:
            # Behind the first map: what an earlier drawing left goes with that.
            settings = stages.read_settings(project.folder, STAGE, like)
            stages.write_settings(
                project.folder, STAGE, run, settings or _fixed(header)
            )
        drawn.append(case.id)
    stages.keep(project.folder, STAGE, run, drawn)
    return drawn


def _lacks_below(project: Project, header: dict[str, Any], case_id: str) -> bool:
    classifier = str(header.get("classifier", ""))
    return stages.read_present(project.folder, "cam", classifier, case_id) is None

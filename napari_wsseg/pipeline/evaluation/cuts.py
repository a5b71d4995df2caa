"""How a stage's maps became masks, and where its thresholds come from."""

from __future__ import annotations

import json
from typing import Any

import safetensors

from napari_wsseg.io import project_files
from napari_wsseg.io.project import Project
from napari_wsseg.io.runs import RunFolder
from napari_wsseg.jobs import DataError
from napari_wsseg.pipeline.evaluation.counts import settings_of
from napari_wsseg.pipeline.evaluation.result import Cut
from napari_wsseg.pipeline.inference.thresholds import WEAK

_TRUTH_FREE = {
    "area": "the area that the finding is known to cover",
    "agreement": "agreement of two views of the training films",
}


def cut_settings(project: Project, stage: str, run: str) -> Cut:
    """Return what an evaluation says of a stage's thresholds and gates.

    Parameters
    ----------
    project
        Open.
    stage
        A stage, or a variant of one.
    run
        Id of the run that computed it.

    Raises
    ------
    DataError
        If the run never computed the stage, or its weights are damaged.
    """
    settings = settings_of(project, stage, run)
    found = header(project, run)
    tuned = found.get("tune_on_expert_masks") or (
        stage == "cam" and found.get("cut") == "tuned"
    )
    source = "weak masks of val" if found.get("weak") else "fixed"
    if found.get("organ_cut") and stage.partition("~")[0] in WEAK:
        source = "fixed; of organs where they meet the anatomy stage's on val"
    if found.get("exact"):
        source = "fixed; of planted lesions image-level labels of val"
    if tuned:
        source = "expert masks of val"
    if stage == "cam" and found.get("cut") == "tuned on train":
        source = "expert masks of train"
    if stage == "cam" and found.get("cut") in _TRUTH_FREE:
        source = _TRUTH_FREE[found["cut"]]
    if settings.rule == "otsu":
        source = "each film's own map (Otsu)"
    return Cut(
        findings=tuple(settings.findings),
        thresholds=tuple(settings.thresholds),
        thresholds_from=source if found else "unknown",
        gates=tuple(settings.gates),
        gates_from="expert masks and image-level labels of val"
        if found.get("tune_on_expert_masks")
        else "image-level labels of val",
        rule=settings.rule,
    )


def header(project: Project, run: str) -> dict[str, Any]:
    """Return a run's header, empty where the run's weights are no longer there."""
    path = RunFolder(project.folder / "runs" / project_files.plain(run)).best
    if not project_files.checked(path).is_file():
        return {}
    try:
        with safetensors.safe_open(path, framework="numpy") as file:
            text = (file.metadata() or {}).get("wsseg", "{}")
    except (OSError, safetensors.SafetensorError) as error:
        raise DataError(f"{path} is not a whole safetensors file ({error})") from error
    return dict(json.loads(text))

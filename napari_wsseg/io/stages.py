"""Stage maps on disk: ``stages/<stage>/<run>/<case>.npz``, rebuildable.

Scores are kept as float16 rather than as masks, so that thresholds can move later.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_wsseg.io import atomic
from napari_wsseg.jobs import DataError
from napari_wsseg.schema import STAGES, StageMaps, StageSettings


def folder(project: Path, stage: str, run: str) -> Path:
    """Return where the maps of `stage` made by `run` lie.

    A variant of a stage (see `napari_wsseg.pipeline.variants`) is named behind a
    tilde, ``"cam~layer-cam@4"``, and lies beside it.
    """
    own, tilde, variant = stage.partition("~")
    if own not in STAGES:
        raise ValueError(f"no stage {stage!r}; there are: {', '.join(STAGES)}")
    if tilde and not re.fullmatch(r"[a-z0-9][a-z0-9@+() -]*", variant):
        raise ValueError(
            f"a variant {variant!r} of stage {own}; name it with a-z, 0-9, @+()- "
            "and spaces"
        )
    return project / "stages" / stage / run


def write(project: Path, stage: str, run: str, case_id: str, maps: StageMaps) -> None:
    """Keep one case's maps."""
    arrays: dict[str, Any] = {
        "score": maps.score.astype(np.float16),
        "present": maps.present.astype(np.float32),
        **{f"extra_{name}": array for name, array in maps.extra.items()},
    }
    atomic.write(
        folder(project, stage, run) / f"{case_id}.npz",
        lambda file: np.savez_compressed(file, allow_pickle=False, **arrays),
    )


def read(project: Path, stage: str, run: str, case_id: str) -> StageMaps | None:
    """Return one case's maps, or ``None`` where the stage has not seen the case.

    Raises
    ------
    DataError
        If the file is damaged; deleting it and running the stage again mends it.
    """
    path = folder(project, stage, run) / f"{case_id}.npz"
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return StageMaps(
                score=arrays["score"].astype(np.float32),
                present=arrays["present"],
                extra={
                    name.removeprefix("extra_"): arrays[name]
                    for name in arrays.files
                    if name.startswith("extra_")
                },
            )
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise DataError(
            f"{path} is damaged ({error}); delete it and run the stage again"
        ) from error


def read_present(
    project: Path, stage: str, run: str, case_id: str
) -> NDArray[np.float32] | None:
    """Return one case's (K,) presence alone: what a list of thousands can afford."""
    path = folder(project, stage, run) / f"{case_id}.npz"
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return np.asarray(arrays["present"], np.float32)
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        # `read` tells what is wrong when the case is opened.
        return None


def seen(project: Path, stage: str, run: str) -> set[str]:
    """Return the ids of the cases that the stage has maps of."""
    return {path.stem for path in folder(project, stage, run).glob("*.npz")}


def missing(project: Path, stage: str, run: str, films: Iterable[str]) -> set[str]:
    """Return which of `films`, case ids, the stage has no maps of yet.

    Of a stage that was stopped before it knew how its maps become masks, all.
    """
    if not (folder(project, stage, run) / "stage.json").exists():
        return set(films)
    return set(films) - seen(project, stage, run)


def write_settings(
    project: Path, stage: str, run: str, settings: StageSettings
) -> None:
    """Keep how the maps of a stage become masks by default."""
    atomic.write_json(
        folder(project, stage, run) / "stage.json",
        {
            "findings": settings.findings,
            "thresholds": settings.thresholds,
            "gates": settings.gates,
            "rule": settings.rule,
            "top": settings.top,
            "min_area": settings.min_area,
            "fill_holes": settings.fill_holes,
        },
    )


def read_settings(project: Path, stage: str, run: str) -> StageSettings | None:
    """Return how maps become masks, or ``None`` if the stage never ran."""
    path = folder(project, stage, run) / "stage.json"
    if not path.exists():
        return None
    values = atomic.read_json(path)
    try:
        return StageSettings(
            findings=tuple(str(name) for name in values["findings"]),
            thresholds=tuple(float(value) for value in values["thresholds"]),
            gates=tuple(float(value) for value in values["gates"]),
            # Stages made before these were settings have none of them.
            rule=values.get("rule", "threshold"),
            top=float(values.get("top", 0.75)),
            min_area=float(values.get("min_area", 0.0)),
            fill_holes=bool(values.get("fill_holes", False)),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"{path} is damaged ({error}); run the stage again") from error

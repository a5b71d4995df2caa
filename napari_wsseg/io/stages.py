"""Stage maps on disk: ``stages/<stage>/<run>/<case>.npz``, rebuildable.

Scores are kept as float16 rather than as masks, so that thresholds can move later. A
project whose ``wsseg.toml`` says ``store = "packed"`` keeps them in files of many
films, a byte a cell (`napari_wsseg.io.files.map_shards`); both are read everywhere.
"""

from __future__ import annotations

import os
import re
import zipfile
import zlib
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_wsseg.io import atomic, project_files
from napari_wsseg.io.files import map_shards, presence
from napari_wsseg.io.values import NUMBER, Form
from napari_wsseg.jobs import DataError
from napari_wsseg.schema import ANATOMY, STAGES, StageMaps, StageSettings

DRAWING = 2
"""How maps lie on their films: 1 rounded films' boxes and networks' cells to grids."""

_MARK = "drawing.json"

MAX_BYTES = 2**29
"""Most that the maps of one film unpack to; ten findings of 1024 × 1024 are 40 MiB."""

_SETTINGS: Form = {
    "findings": [str],
    "thresholds": [NUMBER],
    "gates": [NUMBER],
    "rule?": str,
    "top?": NUMBER,
    "min_area?": NUMBER,
    "fill_holes?": bool,
    "exclusive?": bool,
}

_DAMAGE = (
    OSError,
    ValueError,
    KeyError,
    EOFError,
    MemoryError,
    NotImplementedError,
    zipfile.BadZipFile,
    zlib.error,
)


def folder(project: Path, stage: str, run: str) -> Path:
    """Return where the maps of `stage` made by `run` lie.

    A variant of a stage (see `napari_wsseg.pipeline.inference.variants`) is named
    behind a tilde, ``"cam~layer-cam@4"``, and lies beside it.

    Parameters
    ----------
    project
        The project's folder.
    stage
        One of `napari_wsseg.schema.STAGES` or ``"anatomy"``, or a variant of one.
    run
        Its id.

    Raises
    ------
    ValueError
        There is no such stage, or a variant is named with other characters.
    DataError
        The run's id is no name of a folder.
    """
    own, tilde, variant = stage.partition("~")
    if own not in (*STAGES, ANATOMY):
        known = ", ".join((*STAGES, ANATOMY))
        raise ValueError(f"no stage {stage!r}; there are: {known}")
    if tilde and not re.fullmatch(r"[a-z0-9][a-z0-9@+() -]*", variant):
        raise ValueError(
            f"a variant {variant!r} of stage {own}; name it with a-z, 0-9, @+()- "
            "and spaces"
        )
    return project / "stages" / stage / project_files.plain(run)


def write(
    project: Path,
    stage: str,
    run: str,
    case_id: str,
    maps: StageMaps,
    *,
    packed: bool = False,
    wanted: Collection[int] = (),
) -> None:
    """Keep one case's maps.

    Parameters
    ----------
    project, stage, run
        As in `folder`.
    case_id
        16 hexadecimal digits.
    maps
        Scores are rounded to float16. What an earlier drawing left of the stage goes.
    packed
        Keep them as `napari_wsseg.io.files.map_codec` does, to be joined by `pack`.
    wanted
        Places of findings that are then kept however improbable.

    Raises
    ------
    DataError
        The disk is full or the project is not there any more.
    """
    place = folder(project, stage, run)
    if packed:
        presence.check_is_project(project)
        _begin(place)
        map_shards.write(place, case_id, maps, wanted)
        project_files.remove(place / f"{case_id}.npz")
        return
    arrays: dict[str, Any] = {
        "score": maps.score.astype(np.float16),
        "present": maps.present.astype(np.float32),
        **{f"extra_{name}": array for name, array in maps.extra.items()},
    }
    presence.check_is_project(project)
    _begin(place)
    atomic.write(
        place / f"{case_id}.npz",
        lambda file: np.savez_compressed(file, allow_pickle=False, **arrays),
    )


def _begin(place: Path) -> None:
    """Clear away maps of an earlier drawing, with which new ones are never mixed."""
    if _is_current(place):
        return
    for stale in (*place.glob("*.npz"), place / "stage.json"):
        project_files.remove(stale)
    if (place / map_shards.FOLDER).is_dir():
        project_files.remove_tree(place / map_shards.FOLDER)
    atomic.write_json(place / _MARK, {"drawing": DRAWING})


def _is_current(place: Path) -> bool:
    """Whether what maps are there are drawn as new ones will be."""
    mark = project_files.checked(place / _MARK)
    try:
        return mark.exists() and atomic.read_json(mark).get("drawing") == DRAWING
    except DataError:
        return False  # they are computed again


def read(project: Path, stage: str, run: str, case_id: str) -> StageMaps | None:
    """Return one case's maps, or ``None`` where the stage has not seen the case.

    Parameters
    ----------
    project, stage, run
        As in `folder`.
    case_id
        16 hexadecimal digits.

    Raises
    ------
    DataError
        If the file is damaged; deleting it and running the stage again mends it.
    """
    place = folder(project, stage, run)
    path = place / f"{case_id}.npz"
    try:
        if not os.path.lexists(path):
            return map_shards.read(place, case_id, MAX_BYTES)
        with _load(path) as arrays:
            score, present = arrays["score"], arrays["present"]
            if score.ndim != 3 or present.shape != score.shape[:1]:
                raise ValueError(f"maps {score.shape}, presence {present.shape}")
            return StageMaps(
                score=score.astype(np.float32),
                present=present,
                extra={
                    name.removeprefix("extra_"): arrays[name]
                    for name in arrays.files
                    if name.startswith("extra_")
                },
            )
    except FileNotFoundError:
        return None
    except _DAMAGE as error:
        shard = None if path.exists() else map_shards.path_of(place, case_id)
        remedy = (
            f"{path} is damaged ({error}); delete it and run the stage again"
            if shard is None
            else f"{shard} is damaged ({error}); `wsseg fsck --repair` sets it aside, "
            "then run the stage again"
        )
        raise DataError(remedy) from error


def read_present(
    project: Path, stage: str, run: str, case_id: str
) -> NDArray[np.float32] | None:
    """Return one case's presence alone: what a list of thousands can afford.

    Parameters
    ----------
    project, stage, run
        As in `folder`.
    case_id
        16 hexadecimal digits.

    Returns
    -------
    (K,) float32 in [0, 1] or None
        ``None``: the stage has not seen the case, or its file is damaged.
    """
    place = folder(project, stage, run)
    path = place / f"{case_id}.npz"
    try:
        if not os.path.lexists(path):
            return map_shards.read_present(place, case_id)
        with _load(path) as arrays:
            return np.asarray(arrays["present"], np.float32)
    except _DAMAGE:
        # `read` tells what is wrong when the case is opened.
        return None


def presences(
    project: Path, stage: str, run: str
) -> Iterator[tuple[str, NDArray[np.float32]]]:
    """Yield every film that a stage has maps of and its presence, (K,) in [0, 1].

    Damaged files are passed over.

    Parameters
    ----------
    project, stage, run
        As in `folder`.
    """
    place = project_files.checked(folder(project, stage, run))
    if not _is_current(place):
        return
    single = {path.stem for path in place.glob("*.npz")}
    for case_id in single:
        present = read_present(project, stage, run, case_id)
        if present is not None:
            yield case_id, present
    for case_id, present in map_shards.presences(place):
        if case_id not in single:
            yield case_id, present


def _load(path: Path) -> np.lib.npyio.NpzFile:
    """Open a file of maps unless it would unpack to more than maps ever are.

    A member never unpacks to more than the archive says, so what it says can be
    trusted as a bound.
    """
    # From the file and not the path, which numpy would try for pickles, too.
    with project_files.opened(path) as file, zipfile.ZipFile(file) as archive:
        size = sum(member.file_size for member in archive.infolist())
    if size > MAX_BYTES:
        raise ValueError(f"unpacks to {size >> 20} MiB")
    arrays = np.load(path, allow_pickle=False)
    if not isinstance(arrays, np.lib.npyio.NpzFile):
        raise ValueError("not an archive of arrays")
    return arrays


def cases_with_maps(project: Path, stage: str, run: str) -> set[str]:
    """Return the ids of the cases that the stage has maps of.

    Maps of an earlier drawing do not count: the stage has to be computed again.

    Parameters
    ----------
    project, stage, run
        As in `folder`.
    """
    place = project_files.checked(folder(project, stage, run))
    if not _is_current(place):
        return set()
    return {path.stem for path in place.glob("*.npz")} | map_shards.cases(place)


def pack(
    project: Path,
    stage: str,
    run: str,
    films: Iterable[str] | None = None,
    *,
    least: int = 1,
) -> None:
    """Join what was written ``packed``, see `map_shards.pack`.

    Parameters
    ----------
    project, stage, run
        As in `folder`.
    films, least
        Only these films, and no fewer.
    """
    map_shards.pack(folder(project, stage, run), films, least=least)


def keep(project: Path, stage: str, run: str, films: Collection[str]) -> None:
    """Delete the maps of all films but these; the stage makes them again when asked.

    Parameters
    ----------
    project, stage, run
        As in `folder`.
    films
        Case ids, of 16 hexadecimal digits.
    """
    place = project_files.checked(folder(project, stage, run))
    for path in place.glob("*.npz"):
        if path.stem not in films:
            project_files.remove(path)
    map_shards.keep(place, films)


def places(project: Path) -> list[Path]:
    """Return the folders of maps of every stage and run."""
    return sorted(path for path in (project / "stages").glob("*/*") if path.is_dir())


def missing(project: Path, stage: str, run: str, films: Iterable[str]) -> set[str]:
    """Return which cases a stage has no maps of yet.

    Of a stage that was stopped before it knew how its maps become masks, all.

    Parameters
    ----------
    project, stage, run
        As in `folder`.
    films
        Case ids, of 16 hexadecimal digits.
    """
    if not (folder(project, stage, run) / "stage.json").exists():
        return set(films)
    return set(films) - cases_with_maps(project, stage, run)


def write_settings(
    project: Path, stage: str, run: str, settings: StageSettings
) -> None:
    """Keep how the maps of a stage become masks by default.

    Parameters
    ----------
    project, stage, run
        As in `folder`.
    settings
        Replace what was kept before.

    Raises
    ------
    DataError
        If the disk is full, read-only or gone.
    """
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
            "exclusive": settings.exclusive,
        },
    )


def read_settings(project: Path, stage: str, run: str) -> StageSettings | None:
    """Return how maps become masks, or ``None`` if the stage never ran.

    Parameters
    ----------
    project, stage, run
        As in `folder`.

    Raises
    ------
    DataError
        If the file is damaged; running the stage again mends it.
    """
    path = folder(project, stage, run) / "stage.json"
    if not path.exists():
        return None
    values = atomic.read_json(path, _SETTINGS)
    try:
        counts = {len(values[key]) for key in ("findings", "thresholds", "gates")}
        if len(counts) > 1:
            raise ValueError("not a threshold and a gate for each finding")
        return StageSettings(
            findings=tuple(str(name) for name in values["findings"]),
            thresholds=tuple(float(value) for value in values["thresholds"]),
            gates=tuple(float(value) for value in values["gates"]),
            # Stages made before these were settings have none of them.
            rule=values.get("rule", "threshold"),
            top=float(values.get("top", 0.75)),
            min_area=float(values.get("min_area", 0.0)),
            fill_holes=bool(values.get("fill_holes", False)),
            exclusive=bool(values.get("exclusive", False)),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"{path} is damaged ({error}); run the stage again") from error

"""What a project can do without: it can be made again, and nobody looks at it.

Weights, masks, decisions, the journal, the audit trail and backups are never touched.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from napari_wsseg.io import atomic, project_files, runs, stages
from napari_wsseg.io.files import locks, map_shards
from napari_wsseg.schema import STAGES

HALF_WRITTEN_SECONDS = 3600.0
"""A younger temporary file may belong to somebody who is still writing it."""

_TEMPORARY = re.compile(rf"\..+\.[0-9a-f]{{8}}{re.escape(atomic.TEMPORARY)}")


class Waste(NamedTuple):
    """A file or folder that can go, and what it holds."""

    path: Path
    why: str
    bytes: int


def waste(
    folder: Path,
    adopted: dict[str, str | None],
    studied: Mapping[str, str] | None = None,
) -> list[Waste]:
    """Return what can go of the project in `folder`.

    Parameters
    ----------
    folder
        Of the project.
    adopted
        The run that each stage shows.
    studied
        The run that each stage shows in a study's arm ``"draft"``, if there is one.
    """
    found = [
        *_maps(folder, adopted, studied or {}),
        *_superseded(folder),
        *_caches(folder),
        *_old_films(folder),
        *_plans(folder),
        *_half_written(folder),
    ]
    return [Waste(path, why, _size(path)) for path, why in found]


def clear(found: list[Waste]) -> None:
    """Delete it."""
    for each in found:
        if each.path.is_dir():
            project_files.remove_tree(each.path)
        else:
            project_files.remove(each.path)


def _maps(
    folder: Path, adopted: dict[str, str | None], studied: Mapping[str, str]
) -> Iterator[tuple[Path, str]]:
    """Yield maps of runs that are not in use; ``wsseg infer`` makes them again.

    Not those of another program, which nobody here can make again.
    """
    drafts = {info.id for info in runs.listing(folder) if info.is_draft}
    for stage in STAGES:
        # Variants of a stage lie beside it, as stages/cam~layer-cam@4.
        for place in sorted((folder / "stages").glob(f"{stage}*")):
            if not _is_folder(place) or place.name.partition("~")[0] != stage:
                continue
            for run in sorted(place.glob("*")):
                shown = (adopted.get(stage), studied.get(stage))
                used = run.name in shown or run.name in drafts
                if _is_folder(run) and not used:
                    yield run, "maps of a run that is not in use"


def _superseded(folder: Path) -> Iterator[tuple[Path, str]]:
    """Yield files of many films' maps of which every film is in a newer one."""
    for place in stages.places(folder):
        for path in map_shards.superseded(place):
            yield path, "maps that newer ones replaced"


def _caches(folder: Path) -> Iterator[tuple[Path, str]]:
    """Yield what runs kept to be faster; one that goes on makes it again."""
    busy = {info.id for info in runs.listing(folder) if info.state == "running"}
    for cache in sorted((folder / "runs").glob("*/cache")):
        run = cache.parent
        if _is_folder(cache) and _is_folder(run) and run.name not in busy:
            yield cache, "cache of a run"


def _old_films(folder: Path) -> Iterator[tuple[Path, str]]:
    """Yield arrays of decoded films that no index names any more."""
    place = folder / "cache"
    # In this order: one that is let go is named by its index by then.
    held = {array: locks.is_held(array) for array in sorted(place.glob("films-*.u8"))}
    named = {
        atomic.read_json(index, {"array": str})["array"]
        for index in place.glob("films-*.json")
    }
    for array, busy in held.items():
        idle = _is_old(array) if busy is None else not busy
        if array.name not in named and idle:
            yield array, "films decoded in vain"


def _plans(folder: Path) -> Iterator[tuple[Path, str]]:
    """Yield what jobs read instead of the index, of jobs that broke off."""
    for plan in sorted((folder / "cache").glob("plan-*.sqlite*")):
        if plan.is_file() and not plan.is_symlink() and _is_old(plan):
            yield plan, "plan of jobs that broke off"


def _half_written(folder: Path) -> Iterator[tuple[Path, str]]:
    for path in sorted(folder.rglob(f".*{atomic.TEMPORARY}")):
        if path.is_file() and _TEMPORARY.fullmatch(path.name) and _is_old(path):
            yield path, "half written"


def _is_folder(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()


def _is_old(path: Path) -> bool:
    return time.time() - path.stat().st_mtime > HALF_WRITTEN_SECONDS


def _size(path: Path) -> int:
    if path.is_file():
        return path.stat().st_size
    return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())

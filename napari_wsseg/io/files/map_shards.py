"""Maps of many films in one file: ``films/<number>-<hash>.zip`` in a run's folder.

A film is first kept alone, in a shard of one, ``films/<case>.zip``; `pack` joins such
shards. Every file is whole or not there. A shard's films are in place before those it
was made of go, so that whatever stops this, each film is in one of them, or the same in
two. Writers of different films never meet.
"""

from __future__ import annotations

import hashlib
import re
import time
import zipfile
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import imagecodecs
import numpy as np
from numpy.typing import NDArray

from napari_wsseg.io import atomic, project_files
from napari_wsseg.io.files.map_codec import decode, encode
from napari_wsseg.io.files.shard_file import fill, ids, open_shard, read_frame
from napari_wsseg.schema import StageMaps

FOLDER = "films"

FILMS = 512
"""Of one shard: some 50 MiB of a stage of fourteen findings at 512 pixels."""

LEVEL = 3
"""Of zstd: a tenth of the time of zlib's 6, and smaller."""

_ALONE = re.compile(r"[0-9a-f]{16}\.zip")
_SHARD = re.compile(r"([0-9]{6})-[0-9a-f]{12}\.zip")
_TICK = 100_000_000


@dataclass(slots=True)
class _Place:
    """The shards of a folder, newest last, and which of them has a film."""

    changed: int = -1
    shards: tuple[str, ...] = ()
    where: dict[str, str] = field(default_factory=dict)


_places: dict[Path, _Place] = {}


def write(place: Path, case_id: str, maps: StageMaps, wanted: Collection[int]) -> None:
    """Keep a film's maps in a shard of one.

    Parameters
    ----------
    place
        The run's folder of maps.
    case_id
        16 hexadecimal digits.
    maps, wanted
        As in `encode`.

    Raises
    ------
    DataError
        The disk is full or gone.
    """
    data = encode(maps, wanted)
    frame = bytes(imagecodecs.zstd_encode(data, LEVEL))
    present = maps.present.astype(np.float32)[None]
    target = place / FOLDER / f"{case_id}.zip"
    atomic.write(target, lambda f: fill(f, {case_id: (frame, len(data))}, present))


def read(place: Path, case_id: str, most: int) -> StageMaps | None:
    """Return a film's maps, or ``None`` where no shard has them.

    Parameters
    ----------
    place, case_id
        As in `write`.
    most
        Bytes that they may unpack to.

    Raises
    ------
    OSError, ValueError, KeyError, zipfile.BadZipFile
        The shard is damaged.
    """
    found = _found(place, case_id)
    if found is None:
        return None
    data, size = found
    if size > most:
        raise ValueError(f"unpacks to {size >> 20} MiB")
    try:
        return decode(bytes(imagecodecs.zstd_decode(data, out=size)))
    except imagecodecs.ZstdError as error:
        raise ValueError(str(error)) from error


def read_present(place: Path, case_id: str) -> NDArray[np.float32] | None:
    """Return a film's presence alone, or ``None`` where no shard has it.

    Parameters
    ----------
    place, case_id
        As in `write`.
    """
    path = path_of(place, case_id)
    if path is None:
        return None
    shard = open_shard(path)
    found: NDArray[np.float32] = shard.present[shard.frames[case_id].row]
    return found


def presences(place: Path) -> Iterator[tuple[str, NDArray[np.float32]]]:
    """Yield films and their presence, (K,) in [0, 1], a read a shard.

    Shards that are damaged are passed over; `flaws` tells of them.

    Parameters
    ----------
    place
        As in `write`.
    """
    known = _known(place)
    for name in known.shards if known else ():
        try:
            shard = open_shard(place / FOLDER / name)
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
            continue
        for case_id, frame in shard.frames.items():
            if known and known.where.get(case_id) == name:
                yield case_id, shard.present[frame.row]


def cases(place: Path) -> set[str]:
    """Return the ids of the films in the shards of a run's folder."""
    known = _known(place)
    return set(known.where) if known else set()


def path_of(place: Path, case_id: str) -> Path | None:
    """Return the shard that has a film, the newest, or ``None``."""
    known = _known(place)
    name = known.where.get(case_id) if known else None
    return None if name is None else place / FOLDER / name


def pack(place: Path, films: Iterable[str] | None = None, *, least: int = 1) -> int:
    """Join shards of one film; return how many films were joined.

    Parameters
    ----------
    place
        The run's folder of maps.
    films
        Only these; jobs side by side name their own, so that they never meet. ``None``:
        all.
    least
        Nothing is done for fewer.

    Raises
    ------
    DataError
        The disk is full or gone; every film is where it was.
    """
    folder = project_files.checked(place / FOLDER)
    if not folder.is_dir():
        return 0
    chosen = None if films is None else {f"{case_id}.zip" for case_id in films}
    alone = sorted(
        path
        for path in folder.iterdir()
        if _ALONE.fullmatch(path.name) and (chosen is None or path.name in chosen)
    )
    if len(alone) < least:
        return 0
    for start in range(0, len(alone), FILMS):
        _join(place, alone[start : start + FILMS])
    return len(alone)


def keep(place: Path, films: Collection[str]) -> None:
    """Delete the maps of all films but these.

    Parameters
    ----------
    place
        The run's folder of maps.
    films
        Ids of those that stay.
    """
    known = _known(place)
    if known is None:
        return
    rest = sorted(films & known.where.keys())
    folder = place / FOLDER
    old = [folder / name for name in known.shards]
    # Those that stay are alone, and so newer, before the shards go.
    for case_id in rest:
        path = folder / known.where[case_id]
        if _SHARD.fullmatch(path.name):
            shard, (frame, size) = open_shard(path), read_frame(path, case_id)
            row = shard.present[shard.frames[case_id].row][None]
            _write_alone(folder, case_id, frame, size, row)
    for path in old:
        if _SHARD.fullmatch(path.name) or path.stem not in films:
            project_files.remove(path)
    pack(place)


def flaws(place: Path) -> list[tuple[Path, str]]:
    """Return the shards of a run's folder that cannot be read whole, and why."""
    found = []
    folder = place / FOLDER
    for path in sorted(folder.glob("*.zip")) if folder.is_dir() else ():
        try:
            for case_id in open_shard(path).frames:
                read_frame(path, case_id)
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            found.append((path, str(error)))
    return found


def superseded(place: Path) -> list[Path]:
    """Return shards of which every film is in a newer one."""
    known = _known(place)
    if known is None:
        return []
    used = set(known.where.values())
    return [place / FOLDER / name for name in known.shards if name not in used]


def _join(place: Path, alone: list[Path]) -> None:
    """Write one shard of some films, then let go of theirs."""
    folder, known = place / FOLDER, _known(place)
    frames: dict[str, tuple[bytes, int]] = {}
    rows = []
    for path in alone:
        shard = open_shard(path)
        frames[path.stem] = read_frame(path, path.stem)
        rows.append(shard.present[shard.frames[path.stem].row])
    digest = hashlib.sha256()
    for case_id, (frame, _) in frames.items():
        digest.update(case_id.encode() + frame)
    numbers = (
        [int(m[1]) for m in map(_SHARD.fullmatch, known.shards) if m] if known else []
    )
    name = f"{max(numbers, default=0) + 1:06d}-{digest.hexdigest()[:12]}.zip"
    atomic.write(folder / name, lambda file: fill(file, frames, np.stack(rows)))
    for path in alone:
        project_files.remove(path)


def _write_alone(
    folder: Path, case_id: str, frame: bytes, size: int, present: NDArray[np.float32]
) -> None:
    atomic.write(
        folder / f"{case_id}.zip",
        lambda file: fill(file, {case_id: (frame, size)}, present),
    )


def _found(place: Path, case_id: str) -> tuple[bytes, int] | None:
    """Return a film's frame, looked for once more where it was joined meanwhile."""
    for _ in range(2):
        path = path_of(place, case_id)
        if path is None:
            return None
        try:
            return read_frame(path, case_id)
        except FileNotFoundError:
            _places.pop(place, None)
    return None


def _known(place: Path) -> _Place | None:
    """Return which shard has which film, read anew where the folder changed."""
    folder = project_files.checked(place / FOLDER)
    try:
        changed = folder.stat().st_mtime_ns
    except FileNotFoundError:
        _places.pop(place, None)
        return None
    known = _places.get(place)
    if known is None or known.changed != changed:
        # Of two changes within a tick of its clock, a folder tells of one.
        settled = abs(time.time_ns() - changed) > _TICK
        known = _listed(folder, changed if settled else -1)
        while len(_places) >= 8:
            _places.pop(next(iter(_places)), None)
        _places[place] = known
    return known


def _listed(folder: Path, changed: int) -> _Place:
    names = [path.name for path in folder.iterdir()]
    shards = sorted(name for name in names if _SHARD.fullmatch(name))
    alone = sorted(name for name in names if _ALONE.fullmatch(name))
    where: dict[str, str] = {}
    for name in shards:
        try:
            where.update(dict.fromkeys(ids(folder / name), name))
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
            continue  # its films are made again; `flaws` tells
    # A film alone is newer than what shards have of it.
    where.update({name.removesuffix(".zip"): name for name in alone})
    return _Place(changed, (*shards, *alone), where)

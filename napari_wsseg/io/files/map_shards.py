"""Maps of many films in one file: ``films/<number>-<hash>.zip`` in a run's folder.

A shard is a zip archive of members that are stored as they are: for each film
``<case>.npz.zst``, a zstd frame of an ``.npz``; ``cases.json``, what each frame unpacks
to; ``present.npy``, (N, K) float32 in the order of ``cases.json``. So a probability of
each of thousands of films takes one read a shard.

A film is first kept alone, in a shard of one, ``films/<case>.zip``; `pack` joins such
shards. Every file is whole or not there. A shard's films are in place before those it
was made of go, so that whatever stops this, each film is in one of them, or the same in
two. Writers of different films never meet.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
import struct
import time
import zipfile
import zlib
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import IO

import imagecodecs
import numpy as np
from numpy.typing import NDArray

from napari_wsseg.io import atomic, project_files, values
from napari_wsseg.schema import StageMaps

FOLDER = "films"

FILMS = 512
"""Of one shard: some 50 MiB of a stage of fourteen findings at 512 pixels."""

LEVELS = 128
"""Steps of a score from 0 to 1."""

LEVEL = 3
"""Of zstd: a tenth of the time of zlib's 6, and smaller."""

ABSENT = 0.01
"""A finding that is less probable than this on a film is not kept of it."""

_ALONE = re.compile(r"[0-9a-f]{16}\.zip")
_SHARD = re.compile(r"([0-9]{6})-[0-9a-f]{12}\.zip")
_CASES, _PRESENT, _FRAME = "cases.json", "present.npy", ".npz.zst"
_TICK = 100_000_000
_LOCAL = struct.Struct("<4s22xHH")
"""Of a zip's local header: signature, lengths of name and extra field."""


def encode(maps: StageMaps, wanted: Collection[int] = ()) -> bytes:
    """Return an ``.npz`` of a film's maps, a byte a cell.

    Scores are rounded to 1/128, which moves them by 1/256 at most; other maps of
    fractions to a 255th of their range, by half of that. Findings whose probability is
    under `ABSENT`, or whose map is 0 throughout, are left out and read back as 0.
    Kept are the steps from cell to cell, down and across, which zstd packs twice as
    well as what they lead to.

    Parameters
    ----------
    maps
        Scores and presence in [0, 1].
    wanted
        Places of findings that are kept however improbable.
    """
    shown = (maps.present >= ABSENT) & maps.score.any(axis=(1, 2))
    shown[list(wanted)] = maps.score[list(wanted)].any(axis=(1, 2))
    kept = np.flatnonzero(shown).astype(np.uint16)
    arrays: dict[str, NDArray[np.generic]] = {
        "shape": np.array(maps.score.shape, np.uint32),
        "kept": kept,
        "score_steps": _steps(np.rint(maps.score[kept] * LEVELS).astype(np.uint8)),
        "present": maps.present.astype(np.float32),
    }
    for name, array in maps.extra.items():
        if array.dtype == np.uint8 and len(array) == len(maps.score):
            arrays[f"kept_{name}"] = array[kept]
        elif np.issubdtype(array.dtype, np.floating):
            low, high = float(array.min()), float(array.max())
            span = (high - low) or 1.0
            whole = np.rint((array.astype(np.float32) - low) / span * 255)
            arrays[f"steps_{name}"] = _steps(whole.astype(np.uint8))
            arrays[f"range_{name}"] = np.array([low, high], np.float32)
        else:
            arrays[f"extra_{name}"] = array
    file = io.BytesIO()
    np.savez(file, allow_pickle=False, **arrays)
    return file.getvalue()


def decode(data: bytes) -> StageMaps:
    """Return the maps that `encode` made bytes of.

    Raises
    ------
    ValueError, KeyError, zipfile.BadZipFile
        They are none.
    """
    with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
        shape = tuple(int(n) for n in arrays["shape"])
        kept, present = arrays["kept"], arrays["present"]
        score = np.zeros(shape, np.float32)
        score[kept] = _summed(arrays["score_steps"]).astype(np.float32) / LEVELS
        if score.ndim != 3 or present.shape != score.shape[:1]:
            raise ValueError(f"maps {score.shape}, presence {present.shape}")
        extra: dict[str, NDArray[np.generic]] = {}
        for key in arrays.files:
            kind, _, name = key.partition("_")
            if kind == "extra":
                extra[name] = arrays[key]
            elif kind == "kept" and name:
                extra[name] = np.zeros((len(score), *arrays[key].shape[1:]), np.uint8)
                extra[name][kept] = arrays[key]
            elif kind == "steps":
                low, high = (float(end) for end in arrays[f"range_{name}"])
                whole = _summed(arrays[key]).astype(np.float32) / 255
                extra[name] = (whole * (high - low) + low).astype(np.float16)
        return StageMaps(score, present, extra)


def _steps(values: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return (…, h, w) steps across and down, from 0, modulo 256."""
    across = np.diff(values, axis=-1, prepend=np.uint8(0))
    return np.diff(across, axis=-2, prepend=np.uint8(0))


def _summed(steps: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Undo `_steps`."""
    across = np.cumsum(steps, axis=-2, dtype=np.uint8)
    return np.cumsum(across, axis=-1, dtype=np.uint8)


@dataclass(frozen=True, slots=True)
class Frame:
    """Where a film's frame lies in its shard, and what it unpacks to."""

    header: int
    packed: int
    crc: int
    size: int
    row: int


@dataclass(frozen=True, slots=True, eq=False)
class _Shard:
    frames: Mapping[str, Frame]
    present: NDArray[np.float32]


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
    atomic.write(target, lambda f: _fill(f, {case_id: (frame, len(data))}, present))


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
    path = _path_of(place, case_id)
    if path is None:
        return None
    shard = _opened(path)
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
            shard = _opened(place / FOLDER / name)
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
    return _path_of(place, case_id)


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
            shard, (frame, size) = _opened(path), _frame(path, case_id)
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
            for case_id in _opened(path).frames:
                _frame(path, case_id)
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
        shard = _opened(path)
        frames[path.stem] = _frame(path, path.stem)
        rows.append(shard.present[shard.frames[path.stem].row])
    digest = hashlib.sha256()
    for case_id, (frame, _) in frames.items():
        digest.update(case_id.encode() + frame)
    numbers = (
        [int(m[1]) for m in map(_SHARD.fullmatch, known.shards) if m] if known else []
    )
    name = f"{max(numbers, default=0) + 1:06d}-{digest.hexdigest()[:12]}.zip"
    atomic.write(folder / name, lambda file: _fill(file, frames, np.stack(rows)))
    for path in alone:
        project_files.remove(path)


def _write_alone(
    folder: Path, case_id: str, frame: bytes, size: int, present: NDArray[np.float32]
) -> None:
    atomic.write(
        folder / f"{case_id}.zip",
        lambda file: _fill(file, {case_id: (frame, size)}, present),
    )


def _fill(
    file: IO[bytes],
    frames: Mapping[str, tuple[bytes, int]],
    present: NDArray[np.float32],
) -> None:
    rows = io.BytesIO()
    np.save(rows, present, allow_pickle=False)
    sizes = json.dumps({case_id: size for case_id, (_, size) in frames.items()})
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr(_member(_CASES), sizes)
        archive.writestr(_member(_PRESENT), rows.getvalue())
        for case_id, (frame, _) in frames.items():
            archive.writestr(_member(case_id + _FRAME), frame)


def _found(place: Path, case_id: str) -> tuple[bytes, int] | None:
    """Return a film's frame, looked for once more where it was joined meanwhile."""
    for _ in range(2):
        path = _path_of(place, case_id)
        if path is None:
            return None
        try:
            return _frame(path, case_id)
        except FileNotFoundError:
            _places.pop(place, None)
    return None


def _member(name: str) -> zipfile.ZipInfo:
    return zipfile.ZipInfo(name)  # of 1980: the same films make the same bytes


def _path_of(place: Path, case_id: str) -> Path | None:
    known = _known(place)
    name = known.where.get(case_id) if known else None
    return None if name is None else place / FOLDER / name


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
            where.update(dict.fromkeys(_ids(folder / name), name))
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
            continue  # its films are made again; `flaws` tells
    # A film alone is newer than what shards have of it.
    where.update({name.removesuffix(".zip"): name for name in alone})
    return _Place(changed, (*shards, *alone), where)


def _ids(path: Path) -> tuple[str, ...]:
    return _ids_at(path, _version(path))


@lru_cache(maxsize=4096)
def _ids_at(path: Path, version: tuple[int, ...]) -> tuple[str, ...]:
    return tuple(_opened(path).frames)


def _version(path: Path) -> tuple[int, ...]:
    status = path.stat()
    return status.st_ino, status.st_mtime_ns, status.st_size


def _opened(path: Path) -> _Shard:
    return _opened_at(path, _version(path))


@lru_cache(maxsize=64)
def _opened_at(path: Path, version: tuple[int, ...]) -> _Shard:
    with project_files.opened(path) as file, zipfile.ZipFile(file) as archive:
        sizes = values.parse(_small(archive, _CASES).decode())
        if not isinstance(sizes, dict):
            raise ValueError(f"{_CASES} is no object")
        rows = np.load(io.BytesIO(_small(archive, _PRESENT)), allow_pickle=False)
        frames = {}
        for row, (case_id, size) in enumerate(sizes.items()):
            if not re.fullmatch(r"[0-9a-f]{16}", case_id) or type(size) is not int:
                raise ValueError(f"{_CASES} names {case_id!r}: {size!r}")
            info = archive.getinfo(case_id + _FRAME)
            if info.compress_type != zipfile.ZIP_STORED or size < 0:
                raise ValueError(f"{info.filename} is not stored as it is")
            frames[case_id] = Frame(
                info.header_offset, info.file_size, info.CRC, size, row
            )
    if rows.ndim != 2 or len(rows) != len(frames):
        raise ValueError(f"{_PRESENT} is {rows.shape} for {len(frames)} films")
    return _Shard(frames, rows.astype(np.float32))


def _small(archive: zipfile.ZipFile, name: str) -> bytes:
    """Return a member of no more than 16 MiB."""
    info = archive.getinfo(name)
    if info.file_size > 2**24:
        raise ValueError(f"{name} has {info.file_size >> 20} MiB")
    return archive.read(info)


def _frame(path: Path, case_id: str) -> tuple[bytes, int]:
    """Return a film's frame as it lies in a shard, checked, and what it unpacks to."""
    frame = _opened(path).frames[case_id]
    with project_files.opened(path) as file:
        file.seek(frame.header)
        signature, name, extra = _LOCAL.unpack(file.read(_LOCAL.size))
        if signature != b"PK\3\4":
            raise ValueError("a film's header is not where it should be")
        file.seek(frame.header + _LOCAL.size + name + extra)
        data: bytes = file.read(frame.packed)
    if len(data) != frame.packed or zlib.crc32(data) != frame.crc:
        raise ValueError(f"the maps of {case_id} are damaged")
    return data, frame.size

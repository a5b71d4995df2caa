"""One shard: a zip archive of films' maps, each a frame that lies in it as it is.

``<case>.npz.zst`` is a film's frame, ``cases.json`` says what each unpacks to, and
``present.npy`` is (N, K) float32 in the order of ``cases.json``: a probability of each
of thousands of films takes one read a shard.
"""

from __future__ import annotations

import io
import json
import re
import struct
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray

from napari_wsseg.io import project_files, values

_CASES, _PRESENT, _FRAME = "cases.json", "present.npy", ".npz.zst"


_LOCAL = struct.Struct("<4s22xHH")
"""Of a zip's local header: signature, lengths of name and extra field."""


@dataclass(frozen=True, slots=True)
class Frame:
    """Where a film's frame lies in its shard, and what it unpacks to."""

    header: int
    packed: int
    crc: int
    size: int
    row: int


@dataclass(frozen=True, slots=True, eq=False)
class Shard:
    """The films of a shard, and the (N, K) probabilities of their findings."""

    frames: Mapping[str, Frame]
    present: NDArray[np.float32]


def fill(
    file: IO[bytes],
    frames: Mapping[str, tuple[bytes, int]],
    present: NDArray[np.float32],
) -> None:
    """Write a shard.

    Parameters
    ----------
    file
        Open to write.
    frames
        Case id to a film's frame and how many bytes it unpacks to.
    present : (N, K) float32
        In the same order.
    """
    rows = io.BytesIO()
    np.save(rows, present, allow_pickle=False)
    sizes = json.dumps({case_id: size for case_id, (_, size) in frames.items()})
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr(_member(_CASES), sizes)
        archive.writestr(_member(_PRESENT), rows.getvalue())
        for case_id, (frame, _) in frames.items():
            archive.writestr(_member(case_id + _FRAME), frame)


def _member(name: str) -> zipfile.ZipInfo:
    return zipfile.ZipInfo(name)  # of 1980: the same films make the same bytes


def ids(path: Path) -> tuple[str, ...]:
    """Return the ids of the films in a shard; raises as `open_shard`."""
    return _ids_at(path, _version(path))


@lru_cache(maxsize=4096)
def _ids_at(path: Path, version: tuple[int, ...]) -> tuple[str, ...]:
    return tuple(open_shard(path).frames)


def _version(path: Path) -> tuple[int, ...]:
    status = path.stat()
    return status.st_ino, status.st_mtime_ns, status.st_size


def open_shard(path: Path) -> Shard:
    """Return what a shard says of its films, read anew where it changed.

    Raises
    ------
    OSError, ValueError, KeyError, zipfile.BadZipFile
        It is damaged.
    """
    return _open_at(path, _version(path))


@lru_cache(maxsize=64)
def _open_at(path: Path, version: tuple[int, ...]) -> Shard:
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
    return Shard(frames, rows.astype(np.float32))


def _small(archive: zipfile.ZipFile, name: str) -> bytes:
    """Return a member of no more than 16 MiB."""
    info = archive.getinfo(name)
    if info.file_size > 2**24:
        raise ValueError(f"{name} has {info.file_size >> 20} MiB")
    return archive.read(info)


def read_frame(path: Path, case_id: str) -> tuple[bytes, int]:
    """Return a film's frame as it lies in a shard, checked, and what it unpacks to."""
    frame = open_shard(path).frames[case_id]
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

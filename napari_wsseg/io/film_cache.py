"""Films decoded once: one memory-mapped array of letterboxed greys per working size.

``cache/films-<size>.u8`` holds (N, size, size) uint8, ``cache/films-<size>.json`` the
case of each row. A DICOM film of 2500 × 3000 takes a second to decode and scale; a row
of the cache takes 0.01 ms to read. A project of colour pictures has
``cache/films-<size>-rgb``, (N, 3, size, size).
"""

from __future__ import annotations

import math
import os
import re
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, TypeVar
from uuid import uuid4

import numpy as np
from numpy.typing import NDArray

from napari_wsseg.io import atomic, project_files
from napari_wsseg.io.files import locks, presence
from napari_wsseg.io.project import Project
from napari_wsseg.io.values import Form
from napari_wsseg.jobs import DataError, Progress
from napari_wsseg.ops import geometry
from napari_wsseg.schema import Case, Radiograph

T = TypeVar("T")

_LETTERBOX = 2
"""Of `napari_wsseg.ops.geometry`: 1 laid films that are not square on whole pixels."""

_ARRAY = re.compile(r"films-[0-9]+(-rgb)?-[0-9a-f]{8}\.u8")
_INDEX: Form = {"array": str, "shape": [int], "cases": [str]}


@dataclass(frozen=True, slots=True, eq=False)
class Films:
    """Letterboxed films of a project.

    Parameters
    ----------
    pixels : (N, size, size) uint8, read-only memory map
        (N, 3, size, size) in a project of colour pictures.
    rows
        Case id to row.
    """

    pixels: NDArray[np.uint8]
    rows: dict[str, int]

    @property
    def size(self) -> int:
        """Side of the square in pixels."""
        return int(self.pixels.shape[-1])

    def take(self, case_ids: Sequence[str]) -> NDArray[np.uint8]:
        """Return (len(case_ids), [3,] size, size) uint8, a copy."""
        return np.stack([self.pixels[self.rows[case_id]] for case_id in case_ids])


@dataclass(frozen=True, slots=True, eq=False)
class DecodedFilms:
    """The same of films that are decoded when they are asked for, and not kept.

    For one of many processes, which sees each of its films once and writes nothing
    that another may be writing.

    Parameters
    ----------
    size
        Side of the square in pixels.
    """

    project: Project
    size: int

    def take(self, case_ids: Sequence[str]) -> NDArray[np.uint8]:
        """Return (len(case_ids), [3,] size, size) uint8.

        Raises
        ------
        DataError
            If a film is missing, unreadable or no longer the one that was imported.
        """
        colour = self.project.colour
        films = [self.project.radiograph(self.project.case(id_)) for id_ in case_ids]
        return np.stack([_square(film, self.size, colour=colour) for film in films])


def films(project: Project, size: int) -> Generator[Progress, None, Films]:
    """Yield progress while decoding what is not cached yet; return `Films`.

    Raises
    ------
    DataError
        If a film is missing, unreadable or no longer the one that was imported;
        every such file is named.
    """
    if size < 16:
        raise ValueError(f"working size is {size}; 16 is the smallest that makes sense")
    ids = project.case_ids()
    kind = "-rgb" if project.colour else ""
    base = project.folder / "cache" / f"films-{size}{kind}"
    known = _open(base, project)
    if known is None or any(case_id not in known.rows for case_id in ids):
        yield from _build(project, project.cases(), size, base, known)
        known = _open(base, project)
        if known is None:
            raise DataError(f"{base} was just written and cannot be read; try again")
    return known


def _square(film: Radiograph, size: int, *, colour: bool) -> NDArray[np.uint8]:
    """Return (size, size) greys, or (3, size, size) with `colour`."""
    if colour and film.colour is not None:
        planes = [plane / np.float32(255) for plane in np.moveaxis(film.colour, -1, 0)]
        square = np.stack([geometry.letterbox(plane, size) for plane in planes])
    else:  # a grey picture among colour ones is three times the same
        square = geometry.letterbox(film.pixels, size)
    return np.round(square * 255).astype(np.uint8)


def _open(base: Path, project: Project) -> Films | None:
    """Return the cache as it is on disk, or ``None`` where there is no whole one.

    Of one of an earlier letterbox, the films that it laid as they are laid now.
    """
    index = base.with_suffix(".json")
    if not index.exists():
        return None
    header = _header(index)
    if header is None:
        return None
    array, shape = base.with_name(header["array"]), tuple(header["shape"])
    if not array.exists() or array.stat().st_size != math.prod(shape):
        return None
    pixels = np.memmap(project_files.checked(array), np.uint8, mode="r", shape=shape)
    rows = {case_id: row for row, case_id in enumerate(header["cases"])}
    if header.get("letterbox") != _LETTERBOX:
        square = {c.id for c in project.cases() if c.shape[0] == c.shape[1]}
        rows = {case_id: row for case_id, row in rows.items() if case_id in square}
    return Films(pixels, rows)


def _header(index: Path) -> dict[str, Any] | None:
    """Return what a cache's index says, or ``None`` where it is none of ours."""
    try:
        header: dict[str, Any] = atomic.read_json(index, _INDEX)
    except DataError:
        return None  # it is made again
    rows, *square = header["shape"] or [0]
    fits = rows == len(header["cases"]) and min(header["shape"], default=0) > 0
    fits &= len(square) in (2, 3) and bool(_ARRAY.fullmatch(header["array"]))
    return header if fits else None


def _build(
    project: Project, cases: list[Case], size: int, base: Path, known: Films | None
) -> Iterator[Progress]:
    """Write a new array beside the old one, then let the index point at it.

    The array has a name of its own, so that a process that still maps the old one is
    not pulled the ground from under its feet. It is written, not mapped: a full disk
    answers a write with an error, a page of a map with a signal that kills.
    """
    array = base.with_name(f"{base.name}-{uuid4().hex[:8]}.u8")
    complete = False
    planes = (3,) if project.colour else ()
    shape = (len(cases), *planes, size, size)
    try:
        presence.check_is_project(project.folder)
        project_files.make_folder(base.parent)
        with project_files.opened(array, "wb") as file:
            locks.hold(file)
            _allocate(file, int(np.prod(shape)))
            kept: list[Case] = []
            try:
                yield from _decode(project, cases, size, file, known, kept)
            except (DataError, GeneratorExit, KeyboardInterrupt):
                # A film that cannot be read, or a stop, costs no other film's work.
                complete = len(kept) > (len(known.rows) if known else 0)
                if complete:
                    _finish(file, base, array, shape, kept)
                raise
            _finish(file, base, array, shape, kept)
    except OSError as error:
        _discard(array)
        raise DataError(
            f"{array.parent}: films could not be kept ({error.strerror or error}); "
            f"they take {int(np.prod(shape)) >> 20} MiB: free some space, then go on"
        ) from error
    except BaseException:
        if not complete:
            _discard(array)
        raise


def _finish(
    file: IO[bytes],
    base: Path,
    array: Path,
    shape: tuple[int, ...],
    kept: list[Case],
) -> None:
    """Cut the array to the films that it holds, and let the index point at it."""
    file.truncate(len(kept) * math.prod(shape[1:]))
    file.flush()
    os.fsync(file.fileno())
    _point_at(base, array, (len(kept), *shape[1:]), kept)


def _discard(array: Path) -> None:
    with suppress(OSError):  # the first error is the one to tell
        project_files.remove(array)


def _allocate(file: IO[bytes], size: int) -> None:
    """Take the room before the work, where the system can."""
    if hasattr(os, "posix_fallocate") and size:
        os.posix_fallocate(file.fileno(), 0, size)
    else:  # pragma: no cover - Windows, macOS
        file.truncate(size)


def _decode(
    project: Project,
    cases: list[Case],
    size: int,
    file: IO[bytes],
    known: Films | None,
    kept: list[Case],
) -> Iterator[Progress]:
    """Write what can be read, film behind film, and note in `kept` what was."""

    def decode(case: Case) -> NDArray[np.uint8] | str:
        if known is not None and case.id in known.rows:
            return np.asarray(known.pixels[known.rows[case.id]])
        try:
            film = project.radiograph(case)
        except (DataError, OSError) as error:
            return str(error)
        return _square(film, size, colour=project.colour)

    bad: list[str] = []
    one = size * size * (3 if project.colour else 1)
    with ThreadPoolExecutor(max_workers=2) as pool:
        for row, found in enumerate(_ahead(pool, decode, cases)):
            if isinstance(found, str):
                bad.append(found)
            else:
                file.seek(len(kept) * one)
                file.write(found.tobytes())
                kept.append(cases[row])
            yield Progress(row + 1, len(cases), "reading films")
    if bad:
        raise DataError(
            f"{len(bad)} of {len(cases)} films cannot be read:\n  " + "\n  ".join(bad)
        )


def _ahead(
    pool: ThreadPoolExecutor, work: Callable[[Case], T], cases: list[Case]
) -> Iterator[T]:
    """Yield what `work` makes of each case, in order, a few at a time in memory."""
    coming: deque[Future[T]] = deque()
    for case in cases:
        coming.append(pool.submit(work, case))
        if len(coming) > 4:
            yield coming.popleft().result()
    while coming:
        yield coming.popleft().result()


def _point_at(
    base: Path, array: Path, shape: tuple[int, ...], cases: list[Case]
) -> None:
    index = base.with_suffix(".json")
    before = _header(index) if index.exists() else None
    atomic.write_json(
        index,
        {
            "array": array.name,
            "shape": shape,
            "cases": [case.id for case in cases],
            "letterbox": _LETTERBOX,
        },
    )
    if before:
        _discard(base.with_name(before["array"]))

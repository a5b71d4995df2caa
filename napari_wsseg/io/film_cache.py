"""Films decoded once: one memory-mapped array of letterboxed greys per working size.

``cache/films-<size>.u8`` holds (N, size, size) uint8, ``cache/films-<size>.json`` the
case of each row. A DICOM film of 2500 × 3000 takes a second to decode and scale; a row
of the cache takes 0.01 ms to read. A project of colour pictures has
``cache/films-<size>-rgb``, (N, 3, size, size).
"""

from __future__ import annotations

import math
import re
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
from numpy.typing import NDArray

from napari_wsseg.io import atomic, project_files
from napari_wsseg.io.project import Project
from napari_wsseg.io.values import Form
from napari_wsseg.jobs import DataError, Progress
from napari_wsseg.ops import geometry
from napari_wsseg.schema import Case, Radiograph

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
    cases = project.cases()
    kind = "-rgb" if project.colour else ""
    base = project.folder / "cache" / f"films-{size}{kind}"
    known = _open(base)
    ids = [case.id for case in cases]
    if known is None or any(case_id not in known.rows for case_id in ids):
        yield from _build(project, cases, size, base, known)
        known = _open(base)
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


def _open(base: Path) -> Films | None:
    """Return the cache as it is on disk, or ``None`` where there is no whole one."""
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
    return Films(pixels, {case_id: row for row, case_id in enumerate(header["cases"])})


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
    not pulled the ground from under its feet.
    """
    project_files.make_folder(base.parent)
    array = base.with_name(f"{base.name}-{uuid4().hex[:8]}.u8")
    planes = (3,) if project.colour else ()
    shape = (len(cases), *planes, size, size)
    bad: list[str] = []
    try:
        project_files.checked(array)
        pixels = np.memmap(array, np.uint8, mode="w+", shape=shape)
    except OSError as error:
        raise DataError(f"{array} could not be made ({error.strerror})") from error

    def decode(row: int) -> str | None:
        case = cases[row]
        if known is not None and case.id in known.rows:
            pixels[row] = known.pixels[known.rows[case.id]]
            return None
        try:
            film = project.radiograph(case)
        except (DataError, OSError) as error:
            return str(error)
        pixels[row] = _square(film, size, colour=project.colour)
        return None

    with ThreadPoolExecutor(max_workers=2) as pool:
        for row, problem in enumerate(pool.map(decode, range(len(cases)))):
            if problem:
                bad.append(problem)
            yield Progress(row + 1, len(cases), "reading films")
    if bad:
        del pixels
        project_files.remove(array)
        raise DataError(
            f"{len(bad)} of {len(cases)} films cannot be read:\n  " + "\n  ".join(bad)
        )
    pixels.flush()
    old = base.with_suffix(".json")
    before = _header(old) if old.exists() else None
    atomic.write_json(
        old, {"array": array.name, "shape": shape, "cases": [c.id for c in cases]}
    )
    if before:
        project_files.remove(base.with_name(before["array"]))

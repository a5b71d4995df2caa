"""What a project keeps of a film, read by a process of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from napari_wsseg.io import images
from napari_wsseg.io.guarded.reader import GuardedReader
from napari_wsseg.jobs import DataError

MOST_SECONDS = 120.0
"""After which a file is given up; the largest film takes seconds."""

MOST_BYTES = 4 * 2**30
"""Address space of a reading process, where the system can limit it."""


THUMB_SIDE = 16
"""Pixels of the small picture by which films are compared."""


class Facts(NamedTuple):
    """What a project keeps of a film; the pixels are let go.

    `thumb` is the film in `THUMB_SIDE`² grey values, hexadecimal.
    """

    uid: str
    shape: tuple[int, int]
    spacing_mm: tuple[float, float] | None
    lateral: bool
    remarks: tuple[str, ...]
    thumb: str = ""


def read_facts(path: Path) -> Facts | str:
    """Read a film in this process; return its facts, or why it cannot be read."""
    try:
        radiograph, remarks = images.read_noting(path)
    except DataError as error:
        return reason(path, error)
    rows, columns = radiograph.pixels.shape
    return Facts(
        radiograph.uid,
        (rows, columns),
        radiograph.spacing_mm,
        radiograph.lateral,
        tuple(remarks),
        _thumb(radiograph.pixels),
    )


def _thumb(pixels: NDArray[np.float32]) -> str:
    small = Image.fromarray(pixels).resize(
        (THUMB_SIDE, THUMB_SIDE), Image.Resampling.BOX
    )
    greys = np.clip(np.asarray(small) * 255, 0, 255).astype(np.uint8)
    return str(greys.tobytes().hex())


def reason(path: Path, error: DataError) -> str:
    """Return an error's words without the path that a list shows beside them."""
    return str(error).removeprefix(f"{path}: ")


def packed(facts: Facts) -> list[Any]:
    """Return facts as JSON values."""
    return list(facts)


def unpacked(values: list[Any]) -> Facts:
    """Return the facts of JSON values.

    Raises
    ------
    TypeError, ValueError
        They are none.
    """
    uid, (rows, columns), spacing, lateral, remarks, thumb = values
    between = None if spacing is None else (float(spacing[0]), float(spacing[1]))
    answer = tuple(str(remark) for remark in remarks)
    shape = int(rows), int(columns)
    if len(bytes.fromhex(thumb)) not in (0, THUMB_SIDE**2):
        raise ValueError("not a film's small picture")
    return Facts(str(uid), shape, between, bool(lateral), answer, str(thumb))


class FactsReader(GuardedReader):
    """A process that reads one film after another; see `GuardedReader`."""

    def __init__(self, seconds: float = MOST_SECONDS) -> None:
        super().__init__(seconds, computing=None, most_bytes=MOST_BYTES)

    def facts(self, path: Path) -> Facts | str:
        """Return a film's facts, or why it cannot be read."""
        try:
            answer = self.ask("napari_wsseg.io.film_facts:facts_record", str(path))
        except DataError as error:
            return str(error)
        return answer if isinstance(answer, str) else unpacked(answer)


def facts_record(path: str) -> list[Any] | str:
    """Return a film's facts as JSON values, or why it cannot be read."""
    try:
        found = read_facts(Path(path))
    except MemoryError:
        return "needs more memory than a film may take; damaged or hostile"
    return found if isinstance(found, str) else packed(found)

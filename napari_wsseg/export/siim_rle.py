"""The run lengths of the SIIM-ACR pneumothorax challenge.

Pixels are counted down the columns. A run is a pair: the gap since the end of the run
before, then its length. An empty mask is ``-1``. The challenge's own encoder drops a
run that reaches the last pixel; ours keeps it, and any decoder reads it.
"""

from __future__ import annotations

import csv
import io
from pathlib import Path

import numpy as np

from napari_wsseg.export import formats
from napari_wsseg.io import atomic
from napari_wsseg.io.project import Project
from napari_wsseg.jobs import DataError
from napari_wsseg.schema import Mask

EMPTY = "-1"


def encode(mask: Mask) -> str:
    """Return the run lengths of a (H, W) mask, ``-1`` if it is empty."""
    down = np.concatenate([[False], np.asarray(mask, bool).T.ravel(), [False]])
    edges = np.flatnonzero(down[1:] != down[:-1])
    if not edges.size:
        return EMPTY
    return " ".join(str(step) for step in np.diff(edges, prepend=0))


def decode(rle: str, shape: tuple[int, int]) -> Mask:
    """Return the (H, W) mask of run lengths; ``-1`` and blank are empty.

    Raises
    ------
    DataError
        Not pairs of whole numbers, or runs beyond the last pixel.
    """
    mask = np.zeros(shape[0] * shape[1], bool)
    words = rle.split()
    if words in ([], [EMPTY]):
        return mask.reshape(shape)
    try:
        steps = [int(word) for word in words]
    except ValueError as error:
        raise DataError(f"run lengths {rle[:40]!r} are not numbers") from error
    if len(steps) % 2 or min(steps[1:]) < 1 or steps[0] < 0:
        raise DataError(f"run lengths {rle[:40]!r} are not pairs of gap and length")
    if sum(steps) > mask.size:
        raise DataError(
            f"run lengths reach pixel {sum(steps)} of {mask.size}; "
            f"are the films {shape[0]} × {shape[1]}?"
        )
    edges = np.cumsum(steps)
    for start, end in zip(edges[::2], edges[1::2], strict=True):
        mask[start:end] = True
    return mask.reshape(shape[1], shape[0]).T


@formats.register("siim_rle")
def write(project: Project, out: Path) -> list[Path]:
    """Write ``OUT/<finding>.csv`` with the header ``ImageId,EncodedPixels``."""
    rows: dict[str, list[tuple[str, str]]] = {}
    annotated = project.annotated()
    for case in project.cases():
        if case.id in annotated:
            for finding, mask in project.expert_masks(case.id).items():
                rows.setdefault(finding, []).append((case.name, encode(mask)))
    return [_csv(out / f"{finding}.csv", lines) for finding, lines in rows.items()]


def _csv(path: Path, lines: list[tuple[str, str]]) -> Path:
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["ImageId", "EncodedPixels"])
    writer.writerows(lines)
    atomic.write(path, lambda file: file.write(text.getvalue().encode()))
    return path

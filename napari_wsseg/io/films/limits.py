"""What every reader of radiographs shares: limits and the film's identity."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_wsseg.jobs import DataError

MAX_PIXELS = 50_000_000
"""Rows × columns; the largest detectors have 30 million."""

MAX_FILE_BYTES = 512 * 2**20


def uid_of(pixels: NDArray[np.float32]) -> str:
    """Return the identity of displayed greys: SHA-256 of shape and 16-bit levels.

    Levels rather than floats, so that the last bit of an exponential, which differs
    between processors, does not make another film.

    Parameters
    ----------
    pixels : (H, W) float32 in [0, 1]
    """
    digest = hashlib.sha256(f"{pixels.shape[0]}x{pixels.shape[1]}:".encode())
    digest.update(np.rint(pixels * np.float32(65535)).astype("<u2").tobytes())
    return digest.hexdigest()


def check_file(path: Path) -> None:
    """Refuse what is missing, not a file, empty, or too large to be one film.

    Raises
    ------
    DataError
    """
    try:
        size = path.stat().st_size
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from error
    if not path.is_file():
        raise DataError(f"{path}: not a file")
    if size == 0:
        raise DataError(f"{path}: empty file")
    if size > MAX_FILE_BYTES:
        raise DataError(
            f"{path}: {size / 2**20:.0f} MiB, over the {MAX_FILE_BYTES // 2**20} MiB "
            "that one film may have"
        )


def check_plain(path: Path) -> None:
    """Refuse a pipe or device: opening a pipe waits for who writes into it.

    What is not there, and folders, are for who opens them to tell.

    Raises
    ------
    DataError
    """
    if path.exists() and not (path.is_file() or path.is_dir()):
        raise DataError(f"{path}: a pipe or device, not a file; save it as one first")


def check_shape(rows: int, columns: int) -> None:
    """Refuse a film without pixels, or with more than memory is risked for.

    Parameters
    ----------
    rows, columns
        As its header says, before anything is decoded.

    Raises
    ------
    DataError
        One is below 1, or there are more than `MAX_PIXELS`.
    """
    if rows < 1 or columns < 1:
        raise DataError(f"{rows} × {columns} pixels: there is no image")
    if rows * columns > MAX_PIXELS:
        raise DataError(
            f"{rows} × {columns} pixels, over the cap of "
            f"{MAX_PIXELS // 1_000_000} million; scale it down first"
        )

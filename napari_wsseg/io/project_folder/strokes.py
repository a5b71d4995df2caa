"""Strokes that are not yet part of a saved mask, so that a crash loses none.

A stroke is the pixels it flipped: bounding box, packed and compressed. A mask is
rebuilt from the version it started from by flipping, in order. Every stroke carries
the hash of the mask it led to. If the next one starts from something else (a draft
that was laid in) the difference is journalled first, as a *bridge*, so that the chain
never breaks. A bridge never leads away from strokes: those are folded before.

Flips can be undone: a mask that is known to be where the strokes lead, by its hash,
gives back the one that they started from, should its file be lost meanwhile.
"""

from __future__ import annotations

import sqlite3
import zlib
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import numpy as np

from napari_wsseg.io.index import annotations as _annotations
from napari_wsseg.io.index import clock as _clock
from napari_wsseg.io.index.database import Database
from napari_wsseg.io.project_folder import mask_store as _mask_store
from napari_wsseg.jobs import DataError
from napari_wsseg.schema import Annotation, Mask


class StrokeKey(NamedTuple):
    """Whose strokes, on what."""

    case_id: str
    finding: str
    reader: str


_OF_KEY = "case_id = ? AND finding = ? AND reader = ?"


def pending(database: Database) -> list[tuple[str, str, str, int]]:
    """Return (case id, finding, reader, strokes) of every mask with open strokes."""
    rows = database.rows(
        "SELECT case_id, finding, reader, sum(1 - bridge) AS strokes FROM strokes "
        "GROUP BY case_id, finding, reader ORDER BY min(id)"
    )
    return [(r["case_id"], r["finding"], r["reader"], r["strokes"]) for r in rows]


def is_open(database: Database, key: StrokeKey) -> bool:
    """Whether there are open strokes."""
    return _last_sha(database, key) is not None


def record(
    database: Database, folder: Path, key: StrokeKey, before: Mask, after: Mask
) -> None:
    """Journal one stroke.

    Where the saved mask is not at `before`, the journal is led there first. Open
    strokes must be at `before`, see `leads_to`.

    Parameters
    ----------
    database, folder, key
        The index, the project's folder, and whose strokes on what.
    before, after : (H, W) bool
        The mask as it was and as it is now.
    """
    with database.transaction():
        if is_open(database, key):
            base = _base(database, key)
        else:
            base = _ground(database, folder, key, before)
        _append(database, key, before, after, base=base, bridge=False)


def _ground(
    database: Database, folder: Path, key: StrokeKey, before: Mask
) -> int | None:
    """Return the version that new strokes start from, led to `before`; or a blank."""
    newest = _annotations.latest(database, *key)
    here: Mask | None = None
    if newest is not None:
        if _annotations.pixels_sha(database, newest) == _mask_store.pixels_sha(before):
            if mend(folder, newest, before):
                return newest.id
        else:
            with suppress(DataError):  # a lost mask is no ground: a blank is
                here = _mask_store.read(
                    folder, newest.case, newest.finding, newest.mask_sha
                )
    base = newest.id if newest is not None and here is not None else None
    if here is None:
        here = np.zeros(before.shape, bool)
    _append(database, key, here, before, base=base, bridge=True)
    return base


def mend(folder: Path, version: Annotation, mask: Mask) -> bool:
    """Write the file of a version again if it is lost, from its own pixels.

    Parameters
    ----------
    folder, version
        The project's folder, and the version whose file it is.
    mask : (H, W) bool
        What the version is known to hold.

    Returns
    -------
    bool
        Whether the file is whole now.
    """
    name = (version.case, version.finding)
    if _mask_store.is_whole(folder, *name, version.mask_sha):
        return True
    return _mask_store.write(folder, *name, mask) == version.mask_sha


def _append(
    database: Database,
    key: StrokeKey,
    before: Mask,
    after: Mask,
    *,
    base: int | None,
    bridge: bool,
) -> None:
    flips = before ^ after
    rows = np.flatnonzero(flips.any(axis=1))
    if not rows.size:
        return
    top, bottom = int(rows[0]), int(rows[-1]) + 1
    columns = np.flatnonzero(flips[top:bottom].any(axis=0))
    left, right = int(columns[0]), int(columns[-1]) + 1
    packed = zlib.compress(np.packbits(flips[top:bottom, left:right]).tobytes(), 1)
    database.run(
        "INSERT INTO strokes (case_id, finding, reader, base, bridge, y, x, height, "
        "width, flips, after_sha, created) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        *(*key, base, int(bridge), top, left, bottom - top, right - left),
        *(packed, _mask_store.pixels_sha(after), _clock.now()),
    )


def leads_to(database: Database, key: StrokeKey, mask: Mask) -> bool:
    """Whether the open strokes lead to `mask`; without strokes, they do.

    Parameters
    ----------
    database, key
        The index, and whose strokes on what.
    mask : (H, W) bool
        Compared by the hash of its pixels.
    """
    last = _last_sha(database, key)
    return last is None or last == _mask_store.pixels_sha(mask)


def recover(
    database: Database,
    folder: Path,
    key: StrokeKey,
    shape: tuple[int, ...],
    shown: Mask | None = None,
) -> tuple[Mask, bool]:
    """Flip every open stroke onto the mask they started from.

    Parameters
    ----------
    database, folder, key
        The index, the project's folder, and whose strokes on what.
    shape
        Rows and columns of the film.
    shown : (H, W) bool
        What the reader has on screen: stands in for a mask that is lost, if the
        strokes lead to it.

    Returns
    -------
    mask : (H, W) bool
        What the reader last saw; without strokes, the newest saved mask or a blank.
    changed
        Whether it differs from what the reader first saw: false when everything was
        undone again.

    Raises
    ------
    DataError
        The strokes do not lead where they led when they were made.
    """
    mask = _start(database, folder, key, shape, shown)
    seen: Mask | None = None
    sha = ""
    for row in rows(database, key):
        if seen is None and not row["bridge"]:
            seen = mask.copy()
        flip(mask, row)
        sha = row["after_sha"]
    if sha and _mask_store.pixels_sha(mask) != sha:
        raise DataError(
            f"strokes of {key.reader} on {key.finding!r} of case {key.case_id} do not "
            "fit the mask they were painted on; `wsseg fsck --repair` keeps them as a "
            "version of their own"
        )
    return mask, seen is not None and not np.array_equal(seen, mask)


def drop(database: Database, key: StrokeKey) -> None:
    """Forget the open strokes."""
    database.run(f"DELETE FROM strokes WHERE {_OF_KEY}", *key)


def flip(mask: Mask, row: sqlite3.Row) -> None:
    """Flip the pixels of one stroke; `DataError` if it is damaged."""
    height, width, y, x = row["height"], row["width"], row["y"], row["x"]
    try:
        # Before anything is unpacked: a forged box could be of any size.
        inside = 0 <= y < y + height <= mask.shape[0]
        if not (inside and 0 <= x < x + width <= mask.shape[1]):
            raise ValueError(f"{height} × {width} at {y}, {x} is not on the film")
        # No more than the honest size: the blob must not be a bomb.
        size = -(-height * width // 8)
        packed = zlib.decompressobj().decompress(row["flips"], size)
        if len(packed) != size:
            raise ValueError(f"{len(packed)} bytes, not {size}")
        bits = np.unpackbits(np.frombuffer(packed, np.uint8), count=height * width)
        box = mask[y : y + height, x : x + width]
        box ^= bits.reshape(height, width).astype(bool)
    except (zlib.error, ValueError) as error:
        raise DataError(
            f"stroke {row['id']} is damaged ({error}); `wsseg fsck --repair` keeps the "
            "others as a version of their own"
        ) from error


def _last_sha(database: Database, key: StrokeKey) -> str | None:
    """Return the hash of the mask that the newest open stroke led to."""
    row = database.row(
        f"SELECT after_sha FROM strokes WHERE {_OF_KEY} ORDER BY id DESC LIMIT 1", *key
    )
    return None if row is None else str(row["after_sha"])


def _base(database: Database, key: StrokeKey) -> int | None:
    """Return the annotation that the open strokes start from; ``None``: a blank."""
    row = database.row(
        f"SELECT base FROM strokes WHERE {_OF_KEY} ORDER BY id LIMIT 1", *key
    )
    return None if row is None or row["base"] is None else int(row["base"])


def _start(
    database: Database,
    folder: Path,
    key: StrokeKey,
    shape: tuple[int, ...],
    shown: Mask | None = None,
) -> Mask:
    if is_open(database, key):
        base = _base(database, key)
        start = None if base is None else _annotations.by_id(database, base)
    else:
        start = _annotations.latest(database, *key)
    if start is None:
        return np.zeros(shape, bool)
    try:
        return _mask_store.read(folder, start.case, start.finding, start.mask_sha)
    except DataError:
        if shown is None or not is_open(database, key):
            raise
        mask = _undone(database, key, shown)
        if _mask_store.pixels_sha(mask) != _annotations.pixels_sha(database, start):
            raise
        mend(folder, start, mask)
        return mask


def _undone(database: Database, key: StrokeKey, shown: Mask) -> Mask:
    """Return what the strokes started from, if they lead to `shown`."""
    mask = shown.copy()
    for row in rows(database, key):
        flip(mask, row)
    return mask


def rows(database: Database, key: StrokeKey) -> list[sqlite3.Row]:
    """Return the open strokes, oldest first."""
    return database.rows(f"SELECT * FROM strokes WHERE {_OF_KEY} ORDER BY id", *key)

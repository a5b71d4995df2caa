"""Strokes that are not yet part of a saved mask, so that a crash loses none.

A stroke is the pixels it flipped: bounding box, packed and compressed. A mask is
rebuilt from the version it started from by flipping, in order. Every stroke carries
the hash of the mask it led to. If the next one starts from something else (a draft
that was laid in, an undo that was not told) the difference is journalled first, as a
*bridge*, so that the chain never breaks.
"""

from __future__ import annotations

import sqlite3
import zlib
from pathlib import Path
from typing import NamedTuple

import numpy as np

from napari_wsseg.io.index import annotations as _annotations
from napari_wsseg.io.index import clock as _clock
from napari_wsseg.io.index.database import Database
from napari_wsseg.io.project_folder import mask_store as _masks
from napari_wsseg.jobs import DataError
from napari_wsseg.schema import Mask


class Key(NamedTuple):
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


def is_open(database: Database, key: Key) -> bool:
    """Whether there are open strokes."""
    return _last_sha(database, key) is not None


def record(
    database: Database, folder: Path, key: Key, before: Mask, after: Mask
) -> None:
    """Journal one stroke, `before` to `after`, (H, W) masks both.

    Where the journal, or the saved mask, is not at `before`, it is led there first.
    """
    with database.transaction():
        last = _last_sha(database, key)
        if last is not None:
            base = _base(database, key)
        else:
            newest = _annotations.latest(database, *key)
            base = newest.id if newest else None
        if last is None or last != _masks.pixels_sha(before):
            here = recover(database, folder, key, before.shape)[0]
            _append(database, key, here, before, base=base, bridge=True)
        _append(database, key, before, after, base=base, bridge=False)


def _append(
    database: Database,
    key: Key,
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
        *(packed, _masks.pixels_sha(after), _clock.now()),
    )


def recover(
    database: Database, folder: Path, key: Key, shape: tuple[int, ...]
) -> tuple[Mask, bool]:
    """Flip every open stroke onto the mask they started from.

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
    mask = _start(database, folder, key, shape)
    seen: Mask | None = None
    sha = ""
    for row in database.rows(
        f"SELECT * FROM strokes WHERE {_OF_KEY} ORDER BY id", *key
    ):
        if seen is None and not row["bridge"]:
            seen = mask.copy()
        _flip(mask, row)
        sha = row["after_sha"]
    if sha and _masks.pixels_sha(mask) != sha:
        raise DataError(
            f"strokes of {key.reader} on {key.finding!r} of case {key.case_id} do not "
            "fit the mask they were painted on; drop them, or restore a backup"
        )
    return mask, seen is not None and not np.array_equal(seen, mask)


def drop(database: Database, key: Key) -> None:
    """Forget the open strokes."""
    database.run(f"DELETE FROM strokes WHERE {_OF_KEY}", *key)


def _flip(mask: Mask, row: sqlite3.Row) -> None:
    height, width = row["height"], row["width"]
    try:
        # No more than the honest size: the blob must not be a bomb.
        size = -(-height * width // 8)
        packed = zlib.decompressobj().decompress(row["flips"], size)
        if len(packed) != size:
            raise ValueError(f"{len(packed)} bytes, not {size}")
        bits = np.unpackbits(np.frombuffer(packed, np.uint8), count=height * width)
        box = mask[row["y"] : row["y"] + height, row["x"] : row["x"] + width]
        box ^= bits.reshape(height, width).astype(bool)
    except (zlib.error, ValueError) as error:
        raise DataError(f"stroke {row['id']} is damaged ({error}); drop it") from error


def _last_sha(database: Database, key: Key) -> str | None:
    """Return the hash of the mask that the newest open stroke led to."""
    row = database.row(
        f"SELECT after_sha FROM strokes WHERE {_OF_KEY} ORDER BY id DESC LIMIT 1", *key
    )
    return None if row is None else str(row["after_sha"])


def _base(database: Database, key: Key) -> int | None:
    """Return the annotation that the open strokes start from; ``None``: a blank."""
    row = database.row(
        f"SELECT base FROM strokes WHERE {_OF_KEY} ORDER BY id LIMIT 1", *key
    )
    return None if row is None or row["base"] is None else int(row["base"])


def _start(database: Database, folder: Path, key: Key, shape: tuple[int, ...]) -> Mask:
    if is_open(database, key):
        base = _base(database, key)
        start = None if base is None else _annotations.by_id(database, base)
    else:
        start = _annotations.latest(database, *key)
    if start is None:
        return np.zeros(shape, bool)
    return _masks.read(folder, start.case, start.finding, start.mask_sha)

"""Strokes whose mask is lost or that are damaged themselves, kept as versions.

Two versions come of them: the strokes alone, every pixel that they changed, and, as the
newest, the last mask that can still be read with the strokes on it. What stood in the
journal is kept in ``.trash/strokes``.
"""

from __future__ import annotations

import base64
import sqlite3
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import numpy as np

from napari_wsseg.io import atomic
from napari_wsseg.io.index import annotations as _annotations
from napari_wsseg.io.index.database import Database
from napari_wsseg.io.project_folder import expert_masks as _expert_masks
from napari_wsseg.io.project_folder import mask_store as _mask_store
from napari_wsseg.io.project_folder import strokes as _strokes
from napari_wsseg.jobs import DataError
from napari_wsseg.schema import Annotation, Case, Mask

ALONE = "strokes alone"
"""Tool of the version that holds nothing but the pixels that strokes changed."""

ON_EARLIER = "strokes on an earlier mask"
"""Tool of the version that has the strokes on the last mask that can be read."""


def rescue(
    database: Database, folder: Path, case: Case, key: _strokes.StrokeKey
) -> list[Annotation]:
    """Save the open strokes of `key` as versions, then forget them.

    One version where they can be folded after all, else two; nothing where there are
    no strokes.

    Parameters
    ----------
    database, folder
        The index, and the project's folder.
    case, key
        The film's case, and whose strokes on which of its findings.

    Returns
    -------
    list of Annotation
        The one that holds last.

    Raises
    ------
    DataError
        The disk refuses; the strokes stay open.
    """
    strokes = _strokes.rows(database, key)
    if not strokes:
        return []
    _keep_aside(folder, strokes)
    with database.transaction():
        made = [
            _save(database, folder, case, key, tool, mask)
            for tool, mask in _masks_of(database, folder, case, key, strokes).items()
        ]
        _strokes.drop(database, key)
    return made


def _masks_of(
    database: Database,
    folder: Path,
    case: Case,
    key: _strokes.StrokeKey,
    strokes: list[sqlite3.Row],
) -> dict[str, Mask]:
    """Return the (H, W) masks to be saved, the one that is to hold last, by tool."""
    blank = np.zeros(case.shape, bool)
    earlier = _readable(database, folder, key)
    with suppress(DataError):
        return {"recovered": _strokes.recover(database, folder, key, case.shape)[0]}
    masks = {ALONE: _flipped(blank, [row for row in strokes if not row["bridge"]])}
    if earlier:
        masks[ON_EARLIER] = _flipped(earlier[0], strokes)
    return masks


def _readable(database: Database, folder: Path, key: _strokes.StrokeKey) -> list[Mask]:
    """Return the reader's masks that can be read, newest first."""
    found = []
    for version in reversed(_annotations.history(database, *key)):
        with suppress(DataError):
            found.append(
                _mask_store.read(
                    folder, version.case, version.finding, version.mask_sha
                )
            )
    return found


def _flipped(start: Mask, strokes: Iterable[sqlite3.Row]) -> Mask:
    """Return (H, W) `start` with every stroke on it that is not damaged."""
    mask = start.copy()
    for stroke in strokes:
        with suppress(DataError):
            _strokes.flip(mask, stroke)
    return mask


def _save(
    database: Database,
    folder: Path,
    case: Case,
    key: _strokes.StrokeKey,
    tool: str,
    mask: Mask,
) -> Annotation:
    newest = _annotations.latest(database, *key)
    made = _expert_masks.save(
        database,
        folder,
        case,
        key.finding,
        mask,
        reader=key.reader,
        tool=tool,
        parent=newest.id if newest else None,
        source_run=None,
    )
    _expert_masks.check_kept(folder, made, mask)
    return made


def _keep_aside(folder: Path, strokes: list[sqlite3.Row]) -> None:
    """Keep the rows as they stood: a damaged one may be read another day."""
    entry = [
        {
            name: base64.b64encode(value).decode()
            if isinstance(value, bytes)
            else value
            for name, value in zip(row.keys(), row, strict=True)
        }
        for row in strokes
    ]
    # A row's number is never given twice: nothing is overwritten.
    name = f"{strokes[0]['case_id']}-{strokes[0]['id']}.json"
    atomic.write_json(folder / ".trash" / "strokes" / name, entry)

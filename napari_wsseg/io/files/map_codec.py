"""A film's maps as bytes, a byte a cell."""

from __future__ import annotations

import io
from collections.abc import Collection

import numpy as np
from numpy.typing import NDArray

from napari_wsseg.schema import StageMaps

LEVELS = 128
"""Steps of a score from 0 to 1."""

ABSENT = 0.01
"""A finding that is less probable than this on a film is not kept of it."""


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
            rounded = np.rint((array.astype(np.float32) - low) / span * 255)
            arrays[f"steps_{name}"] = _steps(rounded.astype(np.uint8))
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
                fractions = _summed(arrays[key]).astype(np.float32) / 255
                extra[name] = (fractions * (high - low) + low).astype(np.float16)
        return StageMaps(score, present, extra)


def _steps(values: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return (…, h, w) steps across and down, from 0, modulo 256."""
    across = np.diff(values, axis=-1, prepend=np.uint8(0))
    return np.diff(across, axis=-2, prepend=np.uint8(0))


def _summed(steps: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Undo `_steps`."""
    across = np.cumsum(steps, axis=-2, dtype=np.uint8)
    return np.cumsum(across, axis=-1, dtype=np.uint8)

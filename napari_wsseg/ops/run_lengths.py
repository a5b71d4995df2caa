"""Masks as run lengths: the SIIM-ACR challenge's way and COCO's.

Both count pixels down the columns. SIIM writes pairs of a gap, since the end of the
run before, and a length; COCO writes lengths alone, of nothing and of the finding in
turn, as a list or packed into text.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from napari_wsseg.jobs import DataError
from napari_wsseg.schema import Mask

EMPTY = "-1"
"""SIIM's run lengths of an empty mask."""

_BITS = 5
"""COCO packs that many bits of a number into a character; the next says: more."""

_TELLING = 7
"""Runs of a mask that tell starts from gaps: one order of 5040 grows all along."""

_MOST_BITS = 60
"""No run is longer; a film's pixels take 26."""


def siim_encode(mask: Mask) -> str:
    """Return SIIM's run lengths of a (H, W) mask, ``-1`` if it is empty."""
    down = np.concatenate([[False], np.asarray(mask, bool).T.ravel(), [False]])
    edges = np.flatnonzero(down[1:] != down[:-1])
    if not edges.size:
        return EMPTY
    return " ".join(str(step) for step in np.diff(edges, prepend=0))


def siim_ends(rles: Iterable[str]) -> list[int]:
    """Return to which pixel each of SIIM's run lengths reaches, if it is one of 1024².

    Those that are empty, damaged or of more pixels are left out.
    """
    ends = []
    for rle in rles:
        try:
            ends.append(sum(map(int, rle.split())))
        except ValueError:
            continue
    return [end for end in ends if 0 < end <= 1024 * 1024]


def are_starts(rles: Iterable[str]) -> bool:
    """Whether run lengths have starts where SIIM's have gaps, as other challenges do.

    Starts grow from run to run, each by more than a run is long; gaps go up and down.

    Parameters
    ----------
    rles
        Of the masks of one file; those that are damaged count as nothing.
    """
    seen = 0
    for rle in rles:
        try:
            steps = np.asarray(rle.split(), np.int64)
        except (ValueError, OverflowError):
            continue
        if len(steps) < 2 * _TELLING or len(steps) % 2:
            continue
        starts, lengths = steps[::2], steps[1::2]
        if (np.diff(starts) < lengths[:-1]).any():
            return False
        seen += 1
    return seen > 0


def siim_decode(rle: str, shape: tuple[int, int]) -> Mask:
    """Return the (H, W) mask of SIIM's run lengths; ``-1`` and blank are empty.

    Raises
    ------
    DataError
        Not pairs of whole numbers, or runs beyond the last pixel.
    """
    numbers = rle.split()
    if numbers in ([], [EMPTY]):
        return np.zeros(shape, bool)
    try:
        steps = [int(word) for word in numbers]
    except ValueError as error:
        raise DataError(f"run lengths {rle[:40]!r} are not numbers") from error
    if len(steps) % 2 or min(steps[1:]) < 1 or steps[0] < 0:
        raise DataError(f"run lengths {rle[:40]!r} are not pairs of gap and length")
    if sum(steps) > shape[0] * shape[1]:
        raise DataError(
            f"run lengths reach pixel {sum(steps)} of {shape[0] * shape[1]}; "
            f"are the films {shape[0]} × {shape[1]}?"
        )
    return _drawn(steps, shape)


def coco_encode(mask: Mask) -> str:
    """Return COCO's packed run lengths of a (H, W) mask."""
    down = np.asarray(mask, bool).T.ravel()
    edges = np.flatnonzero(down[1:] != down[:-1]) + 1
    runs = np.diff(np.concatenate([[0], edges, [down.size]])).tolist()
    if down.size and down[0]:
        runs.insert(0, 0)
    return "".join(
        _packed(run - runs[place - 2] if place > 2 else run)
        for place, run in enumerate(runs)
    )


def coco_decode(counts: str | Sequence[int], size: Sequence[int]) -> Mask:
    """Return the (H, W) mask of COCO's run lengths, packed or a list.

    Parameters
    ----------
    size
        Rows and columns, as written beside the run lengths.

    Raises
    ------
    DataError
        Not run lengths, or not of as many pixels as `size` says.
    """
    try:
        shape = (int(size[0]), int(size[1]))
        runs = (
            _unpacked(counts) if isinstance(counts, str) else [*map(_integer, counts)]
        )
    except (TypeError, ValueError, IndexError, OverflowError) as error:
        raise DataError(f"run lengths {str(counts)[:40]!r} are not COCO's") from error
    if min(runs, default=0) < 0 or sum(runs) != shape[0] * shape[1]:
        raise DataError(
            f"run lengths are of {sum(runs)} pixels, their size is "
            f"{shape[0]} × {shape[1]}"
        )
    return _drawn(runs, shape)


def _integer(count: float) -> int:
    if float(count) != int(count):
        raise ValueError(f"{count} is no whole number")
    return int(count)


def _drawn(steps: Sequence[int], shape: tuple[int, int]) -> Mask:
    """Draw every second of the steps down the columns."""
    flat: NDArray[np.bool_] = np.zeros(shape[0] * shape[1], bool)
    edges = np.cumsum(np.asarray(steps, np.int64))
    for start, end in zip(edges[::2], edges[1::2], strict=False):
        flat[start:end] = True
    return flat.reshape(shape[1], shape[0]).T


def _packed(number: int) -> str:
    """Pack a whole number, the lowest bits first, two's complement."""
    text = ""
    while True:
        low = number & 31
        number >>= _BITS
        more = number != (-1 if low & 16 else 0)
        text += chr(48 + low + (32 if more else 0))
        if not more:
            return text


def _unpacked(text: str) -> list[int]:
    """Read packed numbers; from the fourth on each is a difference to the one two back.

    Raises
    ------
    ValueError
        A character that packs nothing, or a number that breaks off.
    """
    runs: list[int] = []
    number = shift = 0
    for character in text:
        bits = ord(character) - 48
        if not 0 <= bits < 64:
            raise ValueError(character)
        number |= (bits & 31) << shift
        shift += _BITS
        if bits & 32:
            if shift > _MOST_BITS:  # a longer number costs its length squared
                raise ValueError(f"a number of over {_MOST_BITS} bits")
            continue
        if bits & 16:
            number -= 1 << shift
        runs.append(number + (runs[-2] if len(runs) > 2 else 0))
        number = shift = 0
    if shift:
        raise ValueError(text[-1])
    return runs

"""What goes between a reading process and who asks it: lines of JSON, and bytes.

A question is one line; an answer is a line of its kind, a value and a count of bytes,
and then those bytes, such as a packed mask. Never an object of the process's own.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import IO, Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from napari_wsseg.io.films import limits as _limits
from napari_wsseg.jobs import DataError, naming

READY = "ready"
"""First line of the process."""

_MOST_LINE = 16 * 2**20
"""Bytes of one answer; a film's name and finding have some hundred."""

_SHADES = 255
"""Steps in which probabilities go from process to process."""

Shape: TypeAlias = tuple[int, int]


class Drawing(NamedTuple):
    """What a function says of a mask, and what draws it.

    Parameters
    ----------
    value
        JSON.
    draw
        Returns the mask of a film of a shape; raises `DataError`.
    remarks
        Gets a line while it is drawn for what deserves a look.
    """

    value: Any
    draw: Callable[[Shape | None], NDArray[Any]]
    remarks: list[str]


class Answer(NamedTuple):
    """A line of the process: its kind, a JSON value, and the bytes behind it."""

    kind: str
    value: Any
    data: bytes = b""


class Ended(Exception):
    """The process ended in the midst of its answer."""


def send(pipe: IO[bytes], question: object) -> None:
    """Ask a question; `Ended` if nobody is there to read it."""
    try:
        pipe.write(json.dumps(question).encode("ascii") + b"\n")
        pipe.flush()
    except (OSError, ValueError) as error:
        raise Ended from error


def received(pipe: IO[bytes]) -> Answer:
    """Read an answer; `Ended` if it breaks off or is none."""
    try:
        line = pipe.readline(_MOST_LINE)
        kind, value, count = json.loads(line)
        if not 0 <= count <= _limits.MAX_PIXELS:
            raise Ended
        data = pipe.read(count)
    except (OSError, ValueError, TypeError, RecursionError) as error:
        raise Ended from error
    if len(data) < count:
        raise Ended
    return Answer(kind, value, data)


def write(answers: IO[bytes], answer: Answer) -> None:
    """Write an answer; one that is too long becomes a refusal."""
    line = json.dumps([answer.kind, answer.value, len(answer.data)]).encode("ascii")
    if len(line) >= _MOST_LINE - 1:
        reason = "a name in it is longer than any film's or finding's"
        line = json.dumps(["refused", reason, 0]).encode("ascii")
        answers.write(line + b"\n")
        return
    answers.write(line + b"\n" + answer.data)


def packed(mask: NDArray[Any], remarks: list[str]) -> Answer:
    """Return the answer of a (H, W) mask, of bool or probabilities, and its remarks."""
    if mask.dtype != bool:
        shades = np.rint(mask * _SHADES).astype(np.uint8).tobytes()
        return Answer("value", [[*mask.shape, 8], remarks], shades)
    bits = np.packbits(mask).tobytes()
    return Answer("value", [list(mask.shape), remarks], bits)


def unpacked(size: Any, data: bytes, shape: Shape | None) -> NDArray[Any]:
    """Return the (H, W) mask of an answer that `packed` made.

    Parameters
    ----------
    size, data
        As they came: rows, columns and, of probabilities, bits; and the bytes.
    shape
        What it must have; ``None``: any.

    Raises
    ------
    DataError
        Of another shape, or too large.
    ValueError, TypeError
        No mask at all.
    """
    rows, columns, *depth = (int(side) for side in size)
    if shape is not None and (rows, columns) != tuple(shape):
        raise DataError(
            f"the mask is {rows} × {columns}, its film {shape[0]} × {shape[1]}"
        )
    with naming("the mask"):
        _limits.check_shape(rows, columns)
    expected = rows * columns if depth else -(-rows * columns // 8)
    if len(data) != expected:
        raise ValueError(f"{len(data)} bytes, not {expected}")
    if depth:
        shades = np.frombuffer(data, np.uint8, rows * columns)
        return shades.reshape(rows, columns).astype(np.float32) / _SHADES
    bits = np.unpackbits(np.frombuffer(data, np.uint8), count=rows * columns)
    return bits.reshape(rows, columns).astype(bool)

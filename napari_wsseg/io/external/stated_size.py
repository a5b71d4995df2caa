"""Masks that a public set states for films of one size, on films of another.

ChestX-ray14's boxes and SIIM-ACR's run lengths are of 1024 × 1024. Copies of these
films are often smaller: numbers that fit them, too, mean another place on them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeAlias

import numpy as np

from napari_wsseg.jobs import DataError
from napari_wsseg.schema import Mask

Shape: TypeAlias = tuple[int, int]

SIDE = 1024
"""Rows and columns of the films that both sets were published with."""

STATED = (SIDE, SIDE)

_LEAST_COPY = 256
"""Side of a film that nobody reads any more; smaller ones are drawn, or cut out."""

SCALED = f"stated for films of {SIDE} × {SIDE}, scaled to this one's {{}} × {{}}"
OWN = (
    f"read as of this film's own {{}} × {{}}; the published ones are of {SIDE} × {SIDE}"
)


class StatedSizes:
    """Of which size of film a table's numbers are, by the shape of the film.

    Parameters
    ----------
    beyond
        Yields of every row of the table whether it lies beyond a film of a shape.
    copies
        The films are the set's, and one of another size is a copy of it; otherwise
        they may be any, with a table that was made for them.
    """

    def __init__(
        self, beyond: Callable[[Shape], Iterable[bool]], *, copies: bool
    ) -> None:
        self._beyond = beyond
        self._copies = copies
        self._known: dict[Shape, Shape] = {}

    def size(self, shape: Shape) -> Shape:
        """Return `STATED`, or the shape itself.

        Raises
        ------
        DataError
            It is of neither: the film is no copy of one of 1024 × 1024.
        """
        if shape not in self._known:
            self._known[shape] = self._found(shape)
        return self._known[shape]

    def _found(self, shape: Shape) -> Shape:
        rows, columns = shape
        if self._copies and max(shape) >= _LEAST_COPY:
            if rows == columns:
                return STATED
            raise DataError(
                f"is stated for films of {SIDE} × {SIDE}, of which one of {rows} × "
                f"{columns} is no copy: nobody can say where on it that is"
            )
        if rows != columns or shape == STATED:
            return shape
        beyond = [*self._beyond(shape)]
        return STATED if 2 * sum(beyond) > len(beyond) else shape


def remarks(shape: Shape, stated: Shape) -> list[str]:
    """Return what deserves a look in masks stated for one size, on another film."""
    if shape == STATED:
        return []
    return [(OWN if stated == shape else SCALED).format(*shape)]


def scaled(mask: Mask, shape: Shape) -> Mask:
    """Return an (H, W) mask at another size: each pixel is what its centre lies on.

    Raises
    ------
    DataError
        It is smaller than a pixel there: an empty mask would deny the finding.
    """
    if mask.shape == shape:
        return mask
    rows, columns = (
        ((np.arange(new) + 0.5) * old / new).astype(np.intp)
        for new, old in zip(shape, mask.shape, strict=True)
    )
    small = np.asarray(mask[rows[:, None], columns[None, :]])
    if mask.any() and not small.any():
        raise DataError(f"is smaller than a pixel of {shape[0]} × {shape[1]}")
    return small

"""Masks in JSON files: COCO's run lengths and polygons, CheXlocalize's two forms.

``gt_segmentations_*.json`` of CheXlocalize has ``{film: {finding: {size, counts}}}``,
COCO's run lengths; its ``gt_annotations_*.json`` has ``{film: {img_size, finding:
[contour, …]}}``, a contour being a list of [x, y].
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from napari_wsseg.io.films import limits as _limits
from napari_wsseg.jobs import DataError, naming
from napari_wsseg.ops import outlines, run_lengths
from napari_wsseg.schema import Mask

T = TypeVar("T")

Draw: TypeAlias = Callable[[tuple[int, int] | None], Mask]
"""Draws the mask of a film of a shape, or of the size that the file says."""

SIZE = "img_size"

_OUTSIDE, _OUTSIDE_PIXELS = 0.25, 2.0
"""Share of a side, or pixels, that hands draw beyond it, where it is cut off anyway."""

_NO_POLYGONS = "its polygons are not lists [x, y, x, y, …] of numbers"

_FULL_SIZE = "masks are for the films at full size, not for CheXpert-v1.0-small"

CHEXPERT_NAMES = {"Airspace Opacity": "Lung Opacity"}
"""What CheXlocalize calls a finding, and what CheXpert's labels call it."""


def load(path: Path, kind: str) -> Any:
    """Read a JSON file.

    Parameters
    ----------
    kind
        What it should be, in words.

    Raises
    ------
    DataError
        Not there, too large, or not such a file.
    """
    _limits.check_file(path)
    try:
        text = path.read_text(encoding="utf-8-sig")
        return json.loads(text, object_pairs_hook=_once)
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from error
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path}: not {kind}: not a JSON file ({error})") from error


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return an object; of two with one name, none says which is meant."""
    made = dict(pairs)
    if len(made) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"{twice[:60]!r} is there twice in one object")
    return made


def by_film(path: Path) -> dict[str, Any]:
    """Read a file of CheXlocalize.

    Raises
    ------
    DataError
        Not there, too large, or not such a file.
    """
    document = load(path, "CheXlocalize")
    if not isinstance(document, dict):
        raise DataError(f"{path}: not masks by film; is it CheXlocalize?")
    return document


def localised(path: Path, film: str, entry: object) -> Iterator[tuple[str, Draw]]:
    """Yield findings of one film of a CheXlocalize file, and what draws them.

    Parameters
    ----------
    path
        Of the file, for messages.
    film, entry
        A film's name in the file, and what stands under it.

    Yields
    ------
    str, Draw
        The draw raises `DataError` where the mask is damaged or not of the film's size.

    Raises
    ------
    DataError
        Of neither form; names film and finding.
    """
    if not isinstance(entry, dict):
        raise DataError(f"{path}: {film!r} has no findings; is it CheXlocalize?")
    for name, value in entry.items():
        if name == SIZE:
            continue
        if isinstance(value, dict) and {"size", "counts"} <= value.keys():
            yield name, partial(_localised, value)
        elif isinstance(value, list) and SIZE in entry:
            yield name, partial(_outlined, value, entry[SIZE])
        else:
            raise DataError(
                f"{path}: {name!r} of {film!r} is neither run lengths (size, counts) "
                f"nor contours beside an {SIZE}"
            )


def decoded(entry: Mapping[str, Any], shape: tuple[int, int] | None) -> Mask:
    """Return the mask of COCO's run lengths ``{size, counts}``."""
    size = size_of(entry.get("size"))
    check(size, shape)
    if "counts" not in entry:
        raise DataError("its run lengths have no counts")
    return run_lengths.coco_decode(entry["counts"], size)


def _localised(entry: Mapping[str, Any], shape: tuple[int, int] | None) -> Mask:
    check(size_of(entry.get("size")), shape, _FULL_SIZE)
    return decoded(entry, shape)


def polygons(
    flat: Sequence[Sequence[float]], size: object, shape: tuple[int, int] | None
) -> Mask:
    """Return the mask of COCO's polygons, each ``[x0, y0, x1, y1, …]``, united.

    A pixel is inside if its centre is.

    Parameters
    ----------
    flat
        x and y in pixels from the upper left corner of the film.
    size
        Rows and columns as the file says them.
    shape
        Rows and columns of the film; ``None``: not known, and `size` is believed.

    Raises
    ------
    DataError
        Not lists of x and y, shares instead of pixels, or corners off the film; a size
        that is not the film's.
    """
    rows, columns = size_of(size)
    check((rows, columns), shape)
    try:
        corners = [np.reshape(np.asarray(one, float), (-1, 2)) for one in flat]
    except (TypeError, ValueError) as error:
        raise DataError(_NO_POLYGONS) from error
    for one in corners:
        if not one.size or not np.isfinite(one).all():
            raise DataError(_NO_POLYGONS)
        check_corners(one, (rows, columns))
    return outlines.filled(corners, (rows, columns))


def check_corners(corners: NDArray[np.float64], shape: tuple[int, int]) -> None:
    """Refuse corners that are shares, or lie where the film is not.

    Parameters
    ----------
    corners : (n, 2)
        x and y, one at least; finite.
    shape
        Rows and columns of the film.

    Raises
    ------
    DataError
    """
    rows, columns = shape
    low, high = corners.min(0), corners.max(0)
    if high.max() <= 1 and (corners != np.rint(corners)).any():
        raise DataError(
            "its corners lie between 0 and 1: shares of the film's sides, not pixels"
        )
    sides = np.array([columns, rows])
    margin = np.maximum(_OUTSIDE_PIXELS, _OUTSIDE * sides)
    if (low < -margin).any() or (high > sides + margin).any():
        x, y = (high if (high > sides + margin).any() else low).tolist()
        raise DataError(
            f"its corners reach to ({x:g}, {y:g}), and the film has {columns} columns "
            f"and {rows} rows: drawn on another image, or at another size"
        )


def _outlined(
    contours: Sequence[Sequence[Sequence[float]]],
    size: object,
    shape: tuple[int, int] | None,
) -> Mask:
    """Fill contours with their outline, as the publishers' own script does."""
    rows, columns = size_of(size)
    check((rows, columns), shape, _FULL_SIZE)
    try:
        canvas = Image.new("1", (columns, rows))
        for contour in contours:
            corners = [(float(x), float(y)) for x, y in contour]
            if len(corners) > 1:
                ImageDraw.Draw(canvas).polygon(corners, outline=1, fill=1)
    except (TypeError, ValueError, IndexError, OverflowError) as error:
        raise DataError(f"its contours are not lists of [x, y] ({error})") from error
    mask = np.array(canvas, bool)
    if contours and not mask.any():
        raise DataError("its contours hold no pixel of the film")
    return mask


def size_of(value: Any) -> tuple[int, int]:
    """Return rows and columns as a file says them; `DataError` if they cannot be."""
    try:
        rows, columns = (int(side) for side in value)
        if any(float(side) != int(side) for side in value):
            raise ValueError(value)
    except (TypeError, ValueError, OverflowError) as error:
        raise DataError(f"size {str(value)[:40]} is not rows and columns") from error
    with naming("the mask"):
        _limits.check_shape(rows, columns)
    return rows, columns


def film_shape(
    size: Sequence[object], shape: tuple[int, int] | None
) -> tuple[int, int]:
    """Return the film's rows and columns, which a file may say or leave out.

    Raises
    ------
    DataError
        It says others, or nobody knows them.
    """
    if shape is not None and None in size:
        return shape
    own = size_of(size)
    check(own, shape)
    return own


def check(
    size: tuple[int, int], shape: tuple[int, int] | None, advice: str = ""
) -> None:
    """Refuse a mask of another size than its film.

    Parameters
    ----------
    size, shape
        Rows and columns of the mask and of the film; without `shape` all is well.
    advice
        What to do about it, at the end of the message.

    Raises
    ------
    DataError
        They differ.
    """
    if shape is not None and size != shape:
        raise DataError(
            f"the mask is {size[0]} × {size[1]}, its film {shape[0]} × {shape[1]}; "
            f"{advice or 'masks are drawn at the size of their film'}"
        )


def union(
    film: str,
    shapes: Sequence[T],
    size: tuple[int, int],
    draw: Callable[[T, tuple[int, int]], Mask],
    called: Callable[[T], str],
    remarks: list[str],
) -> Mask:
    """Return the union of shapes of one finding; without any, it was found absent.

    Parameters
    ----------
    film, shapes
        The film's name, for messages; and the shapes that are united.
    size
        Rows and columns of the mask.
    draw
        Returns the mask of one shape; raises `DataError` if it has none.
    called
        Names one shape, before what is wrong with it.
    remarks
        Gets a line for every shape that is left out.

    Raises
    ------
    DataError
        Not one of the shapes is a mask.
    """
    mask = np.zeros(size, bool)
    bad: list[str] = []
    for one in shapes:
        try:
            part = draw(one, size)
            if not part.any():
                raise DataError("holds no pixel of the film")
            mask |= part
        except DataError as error:
            bad.append(f"{called(one)} {error}")
    if bad and len(bad) == len(shapes):
        raise DataError(f"{film}: {'; '.join(bad[:3])}")
    remarks += [f"left out, {reason}" for reason in bad]
    return mask

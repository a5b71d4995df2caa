"""Labelme's JSON, one file a film, polygons along the pixels' edges.

``drawn`` is an addition that labelme passes over: the findings that a reader drew or
found absent. Polygons, rectangles, circles and masks are read; points and lines are
not.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from napari_wsseg.export import (
    File,
    Found,
    Item,
    Note,
    Shape,
    chexlocalize,
    formats,
    importers,
)
from napari_wsseg.export.exporting import several_files
from napari_wsseg.export.exporting.selection import Selection
from napari_wsseg.io import folder_files as _folder_files
from napari_wsseg.io.external import json_masks, mask_files
from napari_wsseg.io.films import limits as _limits
from napari_wsseg.jobs import DataError, naming
from napari_wsseg.ops import outlines
from napari_wsseg.schema import Case, Mask

_VERSION = "5.5.0"
_UNREAD = ("point", "line", "linestrip", "points")


@formats.register("labelme")
def write(chosen: Selection) -> Iterator[Item]:
    """Yield ``<film>.json``."""
    for case, found in chosen.each():
        yield case
        record = partial(_document, case, found)
        yield File(chosen.place(case, ".json"), record)
    yield from chexlocalize.unmarked(chosen)


@importers.register("labelme")
def read(path: Path) -> Iterator[Found | Note]:
    """Yield the masks of a file, or of every file in a folder."""
    files = _folder_files.with_ending(path, (".json",)) if path.is_dir() else [path]
    yield from several_files.each(path, files, _found)


def _document(case: Case, found: Mapping[str, Mask]) -> bytes:
    shapes = [
        {
            "label": finding,
            "points": points.tolist(),
            "group_id": None,
            "shape_type": "polygon",
            "flags": {},
        }
        for finding, mask in found.items()
        for points in outlines.edges(mask)
    ]
    record: dict[str, Any] = {
        "version": _VERSION,
        "flags": {},
        "shapes": shapes,
        "imagePath": case.path,
        "imageData": None,
        "imageHeight": case.shape[0],
        "imageWidth": case.shape[1],
        "drawn": [*found],
        "description": "Research use only",
    }
    return chexlocalize.dumped(record)


def _found(path: Path) -> Iterator[Found | Note]:
    record = json_masks.load(path, "labelme")
    shapes = record.get("shapes") if isinstance(record, dict) else None
    if not isinstance(shapes, list):
        raise DataError(f"{path}: not labelme: it has no list of shapes")
    size = (record.get("imageHeight"), record.get("imageWidth"))
    film = str(record.get("imagePath") or path.stem)
    listed = record.get("drawn")
    by_finding: dict[str, list[Mapping[str, Any]]] = {
        str(finding): [] for finding in (listed if isinstance(listed, list) else [])
    }
    for number, one in enumerate(shapes):
        kind = _kind(one) if isinstance(one, dict) else None
        if kind is None or kind in _UNREAD or one.get("label") in (None, ""):
            yield Note("skipped", f"{path.name}: shape {number} ({kind}): not a mask")
            continue
        by_finding.setdefault(str(one["label"]), []).append(one)
    for finding, own in by_finding.items():
        remarks: list[str] = []
        draw = partial(_united, film, own, size, remarks)
        yield Found(film, finding, draw, remarks=remarks)


def _united(
    film: str,
    shapes: Sequence[Mapping[str, Any]],
    size: tuple[object, object],
    remarks: list[str],
    shape: Shape | None,
) -> Mask:
    shape = json_masks.film_shape(size, shape)
    return json_masks.union(
        film,
        shapes,
        shape,
        _drawn,
        lambda one: f"a {_kind(one)}",
        remarks,
    )


def _kind(one: Mapping[str, Any]) -> str:
    """Return what a shape is; nothing, or null, is a polygon, as in labelme."""
    return str(one.get("shape_type") or "polygon")[:20]


def _drawn(one: Mapping[str, Any], shape: Shape) -> Mask:
    kind = _kind(one)
    try:
        points = np.asarray(one.get("points"), float).reshape(-1, 2)
    except (TypeError, ValueError) as error:
        raise DataError("has points that are not x and y") from error
    if not len(points) or not np.isfinite(points).all():
        raise DataError("has no points, or points without end")
    # Other programs write a rectangle, turned or not, by its four corners.
    if kind in ("polygon", "rotation") or (kind == "rectangle" and len(points) == 4):
        return json_masks.polygons([points.ravel().tolist()], shape, shape)
    if len(points) < 2:
        raise DataError("has fewer than two points")
    (left, top), (right, bottom) = points[:2]
    if kind == "rectangle":
        corners = [left, top, right, top, right, bottom, left, bottom]
        return json_masks.polygons([corners], shape, shape)
    if kind == "circle":
        rows, columns = np.ogrid[: shape[0], : shape[1]]
        radius = np.hypot(right - left, bottom - top)
        around = np.stack([points[0] - radius, points[0] + radius])
        json_masks.check_corners(around, shape)
        return np.asarray(
            np.hypot(rows + 0.5 - top, columns + 0.5 - left) <= radius, bool
        )
    if kind == "mask":
        return _pasted(one.get("mask"), round(left), round(top), shape)
    raise DataError("is of no kind that is read")


def _pasted(data: object, left: int, top: int, shape: Shape) -> Mask:
    """Return the mask of a PNG in base64 whose first pixel is at `left` and `top`."""
    mask = mask_files.blank(shape)
    try:
        packed = BytesIO(base64.b64decode(str(data), validate=True))
        with Image.open(packed, formats=["PNG"]) as image:
            with naming("the mask"):
                _limits.check_shape(image.height, image.width)
            part = np.asarray(image.convert("L")) > 0
    except (binascii.Error, OSError, SyntaxError, ValueError) as error:
        raise DataError(f"is not a PNG in base64 ({error})") from error
    rows, columns = part.shape
    if min(left, top) < 0 or top + rows > shape[0] or left + columns > shape[1]:
        raise DataError("reaches beyond the film")
    mask[top : top + rows, left : left + columns] = part
    return mask

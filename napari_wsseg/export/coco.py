"""COCO's JSON with run lengths, one annotation a finding and film.

``images[].drawn`` is an addition that other programs pass over: the findings that a
reader drew or found absent, which COCO cannot say.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

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
from napari_wsseg.export.exporting.selection import Selection
from napari_wsseg.io import json_masks as drawn
from napari_wsseg.io import mask_files as masks
from napari_wsseg.jobs import DataError
from napari_wsseg.ops import run_lengths
from napari_wsseg.schema import Case, Mask

NAME = "annotations.json"


@formats.register("coco")
def write(chosen: Selection) -> Iterator[Item]:
    """Yield ``annotations.json``."""
    yield from document(chosen, _run_lengths)


@importers.register("coco")
def read(path: Path) -> Iterator[Found | Note]:
    """Yield the masks of a file with run lengths, polygons or both.

    Annotations of the same film and finding are united.
    """
    path = path / NAME if path.is_dir() else path
    told = drawn.load(path)
    try:
        yield from _found(told)
    except (KeyError, TypeError, AttributeError) as error:
        raise DataError(
            f"{path}: not COCO: {error} is missing or of the wrong kind"
        ) from error


def document(chosen: Selection, segment: Callable[[Mask], Any]) -> Iterator[Item]:
    """Yield films, and the file in which `segment` says what a mask is."""
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for number, (case, found) in enumerate(chosen.each(), start=1):
        yield case
        images.append(_image(number, case, list(found)))
        for finding, mask in found.items():
            if mask.any():
                annotations.append(
                    {
                        "id": len(annotations) + 1,
                        "image_id": number,
                        "category_id": chosen.findings.index(finding) + 1,
                        "segmentation": segment(mask),
                        "area": int(mask.sum()),
                        "bbox": _box(mask),
                        "iscrowd": 0,
                    }
                )
    categories = [
        {"id": place, "name": finding, "supercategory": "finding"}
        for place, finding in enumerate(chosen.findings, start=1)
    ]
    told = {
        "info": {"description": f"{chosen.project.name}. Research use only."},
        "images": images,
        "categories": categories,
        "annotations": annotations,
    }
    yield from chexlocalize.unmarked(chosen)
    yield File(NAME, partial(chexlocalize.dumped, told))


def _image(number: int, case: Case, found: list[str]) -> dict[str, Any]:
    height, width = case.shape
    size = {"height": height, "width": width}
    return {"id": number, "file_name": case.path, **size, "drawn": found}


def _box(mask: Mask) -> list[int]:
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    top, left = int(rows[0]), int(columns[0])
    return [left, top, int(columns[-1]) - left + 1, int(rows[-1]) - top + 1]


def _run_lengths(mask: Mask) -> dict[str, Any]:
    return {"size": list(mask.shape), "counts": run_lengths.coco_encode(mask)}


def _found(told: Mapping[str, Any]) -> Iterator[Found | Note]:
    names = {one["id"]: str(one["name"]) for one in told["categories"]}
    parts: dict[Any, dict[str, list[Any]]] = {}
    for one in told["images"]:
        said = one.get("drawn", [])
        parts[one["id"]] = {str(finding): [] for finding in said}
    for one in told["annotations"]:
        image, finding = one["image_id"], names.get(one["category_id"])
        if image not in parts or finding is None:
            yield Note("skipped", f"annotation {one.get('id')}: of no film or finding")
            continue
        parts[image].setdefault(finding, []).append(one["segmentation"])
    for one in told["images"]:
        film = Path(str(one["file_name"])).with_suffix("").as_posix()
        for finding, segments in parts[one["id"]].items():
            size = (one["height"], one["width"])
            yield Found(film, finding, partial(_united, film, segments, size))


def _united(film: str, segments: list[Any], size: Shape, shape: Shape | None) -> Mask:
    mask = masks.blank(shape or drawn.size_of(size))
    for segment in segments:
        try:
            mask |= (
                drawn.decoded(segment, mask.shape)
                if isinstance(segment, dict)
                else drawn.polygons(segment, size, mask.shape)
            )
        except (DataError, KeyError) as error:
            raise DataError(f"{film}: {error}") from error
    return mask

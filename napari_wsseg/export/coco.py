"""COCO's JSON with run lengths, one annotation a finding and film.

``images[].drawn`` is an addition that other programs pass over: the findings that a
reader drew or found absent, which COCO cannot say.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
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
from napari_wsseg.export.exporting import several_files
from napari_wsseg.export.exporting.selection import Selection
from napari_wsseg.io import folder_files as _folder_files
from napari_wsseg.io.external import json_masks
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
    """Yield the masks of a file with run lengths, polygons or both, or of a folder.

    Annotations of the same film and finding are united. One that is off is told, and
    costs that one alone. Roboflow puts a file into each of its folders.
    """
    files = _folder_files.with_ending(path, (".json",)) if path.is_dir() else [path]
    files = [path / NAME] if (path / NAME).is_file() else files
    yield from several_files.each(path, files, _read)


def _read(file: Path) -> Iterator[Found | Note]:
    record = json_masks.load(file, "COCO")
    if not isinstance(record, dict):
        raise DataError(f"{file}: not COCO: a list, not images and annotations")
    lists = ("images", "annotations", "categories")
    missing = [name for name in lists if not isinstance(record.get(name), list)]
    if missing:
        raise DataError(f"{file}: not COCO: it has no list of {' or '.join(missing)}")
    yield from _found(record)


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
    record = {
        "info": {"description": f"{chosen.project.name}. Research use only."},
        "images": images,
        "categories": categories,
        "annotations": annotations,
    }
    yield from chexlocalize.unmarked(chosen)
    yield File(NAME, partial(chexlocalize.dumped, record))


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


def _found(record: Mapping[str, Any]) -> Iterator[Found | Note]:
    notes: list[Note] = []
    names, ambiguous = _by_id(record["categories"], "category", "name", notes)
    films, many = _by_id(record["images"], "image", "file_name", notes)
    yield from notes
    parts: dict[str, dict[str, list[Any]]] = {key: {} for key in films}
    for key, one in films.items():
        listed = one.get("drawn")
        for finding in listed if isinstance(listed, list) else ():
            parts[key][str(finding)] = []
    for one in record["annotations"]:
        if not isinstance(one, dict):
            yield Note("skipped", f"annotation {str(one)[:40]}: not one of COCO")
            continue
        key, category = str(one.get("image_id")), str(one.get("category_id"))
        if key in parts and category in names:
            finding = str(names[category]["name"])
            parts[key].setdefault(finding, []).append(one)
        elif key not in many and category not in ambiguous:
            yield Note("skipped", f"annotation {one.get('id')}: of no film or finding")
    for key, own in parts.items():
        film = str(films[key]["file_name"])
        size = (films[key].get("height"), films[key].get("width"))
        for finding, drawings in own.items():
            remarks: list[str] = []
            draw = partial(_united, film, drawings, size, remarks)
            yield Found(film, finding, draw, remarks=remarks)


def _by_id(
    entries: Sequence[Any], kind: str, key: str, notes: list[Note]
) -> tuple[dict[str, dict[str, Any]], list[str]]:
    """Return entries by their id, and the ids of several that differ in `key`."""
    by_id: dict[str, dict[str, Any]] = {}
    ambiguous: dict[str, None] = {}
    for one in entries:
        if not isinstance(one, dict) or not {"id", key} <= one.keys():
            notes.append(Note("skipped", f"{kind} {str(one)[:40]}: no id and {key}"))
            continue
        known = by_id.setdefault(str(one["id"]), one)
        if str(known[key]) != str(one[key]):
            ambiguous[str(one["id"])] = None
    many = "several films" if kind == "image" else "several"
    notes += [
        Note("skipped", f"{kind} {one}: {many} have this id") for one in ambiguous
    ]
    return {name: one for name, one in by_id.items() if name not in ambiguous}, [
        *ambiguous
    ]


def _united(
    film: str,
    drawings: Sequence[Mapping[str, Any]],
    size: tuple[object, object],
    remarks: list[str],
    shape: Shape | None,
) -> Mask:
    """Return the union of annotations; without any, the finding was found absent."""
    shape = json_masks.film_shape(size, shape)
    return json_masks.union(
        film,
        drawings,
        shape,
        lambda one, size: _drawn(one.get("segmentation"), size),
        lambda one: f"annotation {one.get('id')}:",
        remarks,
    )


def _drawn(segment: object, shape: Shape) -> Mask:
    if isinstance(segment, dict):
        mask = json_masks.decoded(segment, shape)
    elif isinstance(segment, list) and segment:
        mask = json_masks.polygons(segment, shape, shape)
    else:
        raise DataError("has no segmentation: a box alone is no mask")
    if not mask.any():
        raise DataError("its segmentation holds no pixel of the film")
    return mask

"""CVAT's XML for images 1.1, run lengths inside a box, one file for all films.

``drawn`` of an image is an addition that CVAT passes over: the findings that a reader
drew or found absent. Polygons, masks and ellipses are read; boxes, points and lines are
not masks.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from xml.etree import ElementTree

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
from napari_wsseg.io.external import json_masks, mask_files, xml_files
from napari_wsseg.jobs import DataError
from napari_wsseg.schema import Case, Mask

NAME = "annotations.xml"

_READ = ("polygon", "mask", "ellipse")
_NO_MASK = ("box", "points", "polyline", "cuboid", "skeleton")


@formats.register("cvat")
def write(chosen: Selection) -> Iterator[Item]:
    """Yield ``annotations.xml``."""
    root = ElementTree.Element("annotations")
    ElementTree.SubElement(root, "version").text = "1.1"
    ElementTree.SubElement(root, "meta").text = "Research use only"
    for number, (case, found) in enumerate(chosen.each()):
        yield case
        _add(root, number, case, found)
    yield from chexlocalize.unmarked(chosen)
    yield File(NAME, partial(ElementTree.tostring, root, "utf-8"))


@importers.register("cvat")
def read(path: Path) -> Iterator[Found | Note]:
    """Yield the masks of a file."""
    path = path / NAME if path.is_dir() else path
    root = _opened(path)
    if next(root.iter("track"), None) is not None:
        raise DataError(f"{path}: of CVAT for video; export it as CVAT for images 1.1")
    for image in root.iter("image"):
        yield from _found(path, image)


def _add(
    root: ElementTree.Element, number: int, case: Case, found: Mapping[str, Mask]
) -> None:
    image = ElementTree.SubElement(
        root,
        "image",
        id=str(number),
        name=case.path,
        width=str(case.shape[1]),
        height=str(case.shape[0]),
        drawn=json.dumps([*found]),
    )
    for finding, mask in found.items():
        if not mask.any():
            continue
        rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
        part = mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        across = part.ravel()
        edges = np.flatnonzero(across[1:] != across[:-1]) + 1
        runs = np.diff([0, *edges, across.size]).tolist()
        ElementTree.SubElement(
            image,
            "mask",
            label=finding,
            source="manual",
            occluded="0",
            rle=", ".join(map(str, [0, *runs] if across[0] else runs)),
            left=str(columns[0]),
            top=str(rows[0]),
            width=str(part.shape[1]),
            height=str(part.shape[0]),
            z_order="0",
        )


def _opened(path: Path) -> ElementTree.Element:
    root = xml_files.root(path, "CVAT's XML")
    if root.tag != "annotations":
        raise DataError(f"{path}: not CVAT's XML: it begins with {root.tag[:40]}")
    return root


def _found(path: Path, image: ElementTree.Element) -> Iterator[Found | Note]:
    film = image.get("name", "")
    by_finding: dict[str, list[ElementTree.Element]] = {}
    try:
        for finding in json.loads(image.get("drawn", "[]")):
            by_finding[str(finding)] = []
    except (TypeError, ValueError) as error:
        raise DataError(f"{path}: {film}: drawn is not a list ({error})") from error
    for one in image:
        if one.tag in _READ:
            by_finding.setdefault(one.get("label", ""), []).append(one)
        elif one.tag in _NO_MASK:
            yield Note("skipped", f"{film}: a {one.tag} is no mask")
    size = (image.get("height"), image.get("width"))
    for finding, own in by_finding.items():
        remarks: list[str] = []
        draw = partial(_united, film, own, size, remarks)
        yield Found(film, finding, draw, remarks=remarks)


def _united(
    film: str,
    shapes: Sequence[ElementTree.Element],
    size: tuple[str | None, str | None],
    remarks: list[str],
    shape: Shape | None,
) -> Mask:
    own_shape = json_masks.size_of(size)
    json_masks.check(own_shape, shape)
    return json_masks.union(
        film, shapes, own_shape, _drawn, lambda one: f"a {one.tag}:", remarks
    )


def _drawn(one: ElementTree.Element, shape: Shape) -> Mask:
    try:
        if one.tag == "mask":
            return _unpacked(one, shape)
        if one.tag == "ellipse":
            return _ellipse(one, shape)
        points = [
            float(number)
            for pair in one.attrib["points"].split(";")
            for number in pair.split(",")
        ]
    except (KeyError, ValueError, OverflowError) as error:
        raise DataError(f"lacks {error}, or has no numbers") from error
    return json_masks.polygons([points], shape, shape)


def _unpacked(one: ElementTree.Element, shape: Shape) -> Mask:
    left, top, width, height = (
        int(float(one.attrib[key])) for key in ("left", "top", "width", "height")
    )
    runs = [int(run) for run in one.attrib["rle"].split(",")]
    if min(left, top) < 0 or left + width > shape[1] or top + height > shape[0]:
        raise DataError("reaches beyond the film")
    if min(width, height) < 1 or min(runs) < 0 or sum(runs) != width * height:
        raise DataError(f"has run lengths of other than {width} × {height} pixels")
    turns = np.arange(len(runs)) % 2 == 1
    mask = mask_files.blank(shape)
    part = np.repeat(turns, runs).reshape(height, width)
    mask[top : top + height, left : left + width] = part
    return mask


def _ellipse(one: ElementTree.Element, shape: Shape) -> Mask:
    across, down, wide, high = (
        float(one.attrib[key]) for key in ("cx", "cy", "rx", "ry")
    )
    turn = np.deg2rad(float(one.get("rotation", "0")))
    if not np.isfinite([across, down, wide, high, turn]).all():
        raise DataError("has numbers without end")
    if not (wide > 0 and high > 0):
        raise DataError("has no extent")
    cos, sin = np.cos(turn), np.sin(turn)
    reach = np.hypot([wide * cos, wide * sin], [high * sin, high * cos])
    centre = np.array([across, down])
    json_masks.check_corners(np.stack([centre - reach, centre + reach]), shape)
    rows, columns = np.ogrid[: shape[0], : shape[1]]
    y, x = rows + 0.5 - down, columns + 0.5 - across
    along = (x * cos + y * sin) / wide
    beside = (y * cos - x * sin) / high
    return np.asarray(along**2 + beside**2 <= 1, bool)

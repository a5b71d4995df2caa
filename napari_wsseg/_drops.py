"""Masks in exchange formats, dropped on the viewer: known by their first bytes.

Listing them imports neither pydicom nor nibabel; a file is parsed only when it is ours.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from napari_wsseg.jobs import DataError
from napari_wsseg.schema import PALETTE

_HEAD = 4096
_MOST_LAYERS = 40
_PNG = b"\x89PNG\r\n\x1a\n"
_GREY, _INDEXED = 0, 3


def kind(path: Path) -> str | None:
    """Return the format of a file with masks, or ``None`` if it is none; never raises.

    One of `napari_wsseg.export.importers`.
    """
    try:
        if not path.is_file():
            return None
        with open(path, "rb") as file:
            head = file.read(_HEAD)
    except (OSError, ValueError):
        return None
    name = path.name.lower()
    if name.endswith((".nii", ".nii.gz")):
        return "nifti"
    if head.startswith(_PNG):
        return _of_png(head)
    if head[128:132] == b"DICM":
        from napari_wsseg.export import dicom_seg

        return "dicom_seg" if dicom_seg.is_one(path) else None
    if name.endswith(".csv"):
        return _of_csv(head)
    return _of_json(head) if name.endswith(".json") else None


def layers(path: Path, name: str) -> Iterator[tuple[Any, dict[str, Any], str]]:
    """Yield a labels layer for every mask in a file of the format `name`.

    Raises
    ------
    DataError
        The file is damaged, or holds more masks than a viewer shows.
    """
    from napari_wsseg.export.exporting import external_masks

    if name == "nifti":
        yield _volume(path)
        return
    with external_masks.opened(name, path) as each:
        yield from _shown(path, name, each)


def _shown(
    path: Path, name: str, each: Iterable[Any]
) -> Iterator[tuple[Any, dict[str, Any], str]]:
    from napari_wsseg.export import Found

    found = [one for one in each if isinstance(one, Found)]
    if not found:
        raise DataError(f"{path}: holds no masks")
    if len(found) > _MOST_LAYERS:
        raise DataError(
            f"{path}: holds {len(found)} masks; take them into a project with "
            f"`wsseg import {name}`"
        )
    findings = list(dict.fromkeys(one.finding or one.guess for one in found))
    alone = len({one.film for one in found}) == 1
    for one in found:
        finding = one.finding or one.guess
        parts = [finding] if alone and finding else [one.film, finding]
        colour = PALETTE[findings.index(finding) % len(PALETTE)]
        yield _labels(one.mask(None), " ".join(filter(None, parts)), colour)


def _labels(mask: Any, name: str, colour: str) -> tuple[Any, dict[str, Any], str]:
    colours = {None: "transparent", 0: "transparent", 1: colour}
    options = {"name": name, "opacity": 0.5, "colormap": colours}
    return mask.astype(np.uint8), options, "labels"


def _volume(path: Path) -> tuple[Any, dict[str, Any], str]:
    """Return a slice as labels if its values are whole, else as an image."""
    from napari_wsseg.export import nifti

    values, spacing = nifti.values(path)
    options: dict[str, Any] = {"name": path.name.split(".nii")[0]}
    if spacing is not None:
        options |= {"scale": spacing, "units": ("mm", "mm")}
    if values.dtype.kind in "iu":
        return values, options, "labels"
    return values, options, "image"


def _of_png(head: bytes) -> str | None:
    """Know a mask by its 1 bit a pixel, an indexed PNG by what it says in words."""
    if len(head) < 26:
        return None
    bits, colour = struct.unpack("BB", head[24:26])
    if colour == _GREY and bits == 1:
        return "png"
    return "indexed_png" if colour == _INDEXED and b"wsseg findings" in head else None


def _of_csv(head: bytes) -> str | None:
    from napari_wsseg.export import siim_rle

    lines = head.decode("utf-8", "replace").splitlines()
    return "siim_rle" if any(map(siim_rle.is_one, lines)) else None


def _of_json(head: bytes) -> str | None:
    """Know a file by the words that either format cannot do without."""
    text = "".join(head.decode("utf-8", "replace").split())
    if text.startswith('{"') and any(
        word in text for word in ('"images":[', '"annotations":[', '"categories":[')
    ):
        return "coco"
    if '":{"img_size":[' in text or ('"counts":"' in text and '"size":[' in text):
        return "chexlocalize"
    return None

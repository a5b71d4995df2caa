"""Masks of CheXlocalize: one JSON file for all films, run lengths or contours.

``gt_segmentations_*.json`` has ``{film: {finding: {size, counts}}}``, COCO's run
lengths; ``gt_annotations_*.json`` has ``{film: {img_size, finding: [contour, …]}}``, a
contour being a list of [x, y]. A film is ``patient64541_study1_view1_frontal``. A
finding that a listed film lacks is nowhere on it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from napari_wsseg.datasets._build import MaskSource
from napari_wsseg.jobs import DataError
from napari_wsseg.ops import run_lengths
from napari_wsseg.schema import Mask

FINDINGS = (
    "Enlarged Cardiomediastinum",
    "Cardiomegaly",
    "Lung Lesion",
    "Lung Opacity",
    "Edema",
    "Consolidation",
    "Atelectasis",
    "Pneumothorax",
    "Pleural Effusion",
    "Support Devices",
)
"""The ten that were drawn, by CheXpert's names."""

_ALIASES = {"Airspace Opacity": "Lung Opacity"}
_SIZE = "img_size"
_PATTERNS = ("gt_segmentations_*.json", "gt_annotations_*.json")


def read(place: Path) -> dict[str, dict[str, MaskSource]]:
    """Return the masks of every listed film, by finding; all ten are there.

    Parameters
    ----------
    place
        A file, or a folder with ``gt_segmentations_*.json``, else
        ``gt_annotations_*.json``.

    Raises
    ------
    DataError
        No such file, not JSON, or not of either form; names film and finding.
    """
    films: dict[str, dict[str, MaskSource]] = {}
    for path in _files(Path(place)):
        document = _load(path)
        for film, entry in document.items():
            if not isinstance(entry, dict):
                raise DataError(
                    f"{path}: {film!r} has no findings; is it CheXlocalize?"
                )
            if film in films:
                raise DataError(f"{path}: {film!r} is in another file as well")
            films[film] = _film(path, film, entry)
    return films


def _files(place: Path) -> list[Path]:
    if not place.is_dir():
        return [place]
    for pattern in _PATTERNS:
        found = sorted(place.glob(pattern))
        if found:
            return found
    raise DataError(f"{place}: has no {' and no '.join(_PATTERNS)}")


def _load(path: Path) -> dict[str, Any]:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from error
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path}: not a JSON file ({error})") from error
    if not isinstance(document, dict):
        raise DataError(f"{path}: not masks by film; is it CheXlocalize?")
    return document


def _film(path: Path, film: str, entry: Mapping[str, Any]) -> dict[str, MaskSource]:
    masks: dict[str, MaskSource] = dict.fromkeys(FINDINGS)
    for name, drawn in entry.items():
        finding = _ALIASES.get(name, name)
        if name == _SIZE:
            continue
        if finding not in masks:
            raise DataError(
                f"{path}: {film!r} has {name!r}, which is none of the ten findings"
            )
        if isinstance(drawn, dict) and {"size", "counts"} <= drawn.keys():
            masks[finding] = partial(_decoded, drawn)
        elif isinstance(drawn, list) and _SIZE in entry:
            masks[finding] = partial(_filled, drawn, entry[_SIZE])
        else:
            raise DataError(
                f"{path}: {name!r} of {film!r} is neither run lengths (size, counts) "
                f"nor contours beside an {_SIZE}"
            )
    return masks


def _decoded(entry: Mapping[str, Any], shape: tuple[int, int]) -> Mask:
    mask = run_lengths.coco_decode(entry["counts"], entry["size"])
    _check(mask.shape, shape)
    return mask


def _filled(
    contours: Sequence[Sequence[Sequence[float]]],
    size: Sequence[int],
    shape: tuple[int, int],
) -> Mask:
    """Fill contours with their outline, as the publishers' own script does."""
    try:
        _check((int(size[0]), int(size[1])), shape)
        canvas = Image.new("1", (shape[1], shape[0]))
        for contour in contours:
            corners = [(float(x), float(y)) for x, y in contour]
            if len(corners) > 1:
                ImageDraw.Draw(canvas).polygon(corners, outline=1, fill=1)
    except (TypeError, ValueError, IndexError) as error:
        raise DataError(f"its contours are not lists of [x, y] ({error})") from error
    return np.array(canvas, bool)


def _check(size: tuple[int, ...], shape: tuple[int, int]) -> None:
    if tuple(size) != shape:
        raise DataError(
            f"the mask is {size[0]} × {size[1]}, its film {shape[0]} × {shape[1]}; "
            "masks are for the films at full size, not for CheXpert-v1.0-small"
        )

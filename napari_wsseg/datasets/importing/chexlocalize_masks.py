"""Masks of CheXlocalize: one JSON file for all films, run lengths or contours.

See `napari_wsseg.io.external.json_masks` for the two forms. A film is
``patient64541_study1_view1_frontal``. A finding that a listed film lacks is nowhere on
it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from napari_wsseg.datasets.importing.build import MaskSource
from napari_wsseg.io.external import json_masks
from napari_wsseg.io.external.json_masks import Draw
from napari_wsseg.io.guarded.answers import Drawing
from napari_wsseg.io.guarded.drawings import GuardedMasks
from napari_wsseg.io.guarded.reader import borrowed
from napari_wsseg.jobs import DataError

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

_PATTERNS = ("gt_segmentations_*.json", "gt_annotations_*.json")


@contextmanager
def opened(
    place: Path | None,
) -> Iterator[Mapping[str, Mapping[str, MaskSource]]]:
    """Open masks that a process of its own parses and draws; raises as `read`."""
    if place is None:
        yield {}
        return
    with borrowed() as reader:
        masks = GuardedMasks(reader, f"{__name__}:drawings", str(place))
        films: dict[str, dict[str, MaskSource]] = {}
        number = 0
        for film, finding, has_mask in masks.listed():
            draw = masks.drawing(number, []) if has_mask else None
            films.setdefault(film, {})[finding] = draw
            number += has_mask
        yield films


def drawings(place: str) -> Iterator[Any]:
    """Yield film, finding and whether there is a mask, which then can be drawn."""
    for film, masks in read(Path(place)).items():
        for finding, source in masks.items():
            if source is None:
                yield [film, finding, False]
            else:
                yield Drawing([film, finding, True], source, [])


def read(place: Path) -> dict[str, dict[str, Draw | None]]:
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
    films: dict[str, dict[str, Draw | None]] = {}
    for path in _files(Path(place)):
        for film, entry in json_masks.by_film(path).items():
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


def _film(path: Path, film: str, entry: Any) -> dict[str, Draw | None]:
    masks: dict[str, Draw | None] = dict.fromkeys(FINDINGS)
    for name, draw in json_masks.localised(path, film, entry):
        finding = json_masks.CHEXPERT_NAMES.get(name, name)
        if finding not in masks:
            raise DataError(
                f"{path}: {film!r} has {name!r}, which is none of the ten findings"
            )
        masks[finding] = draw
    return masks

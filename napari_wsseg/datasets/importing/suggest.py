"""What a folder that somebody points at most likely holds: films, labels, masks."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from napari_wsseg.io.dicom import dicomdir

_FILMS = ("images", "films", "image", "dicom")
_LABELS = ("labels.csv", "labels.tsv", "labels.txt")
_MASKS = ("masks", "mask")


@dataclass(frozen=True, slots=True)
class Suggestion:
    """Where films, labels and masks seem to lie, and a free place for the project."""

    images: Path
    labels: Path | None
    masks: Path | None
    project: Path


def suggest(place: Path) -> Suggestion:
    """Return what `place` suggests: a folder of films, or one that holds such a folder.

    Labels and masks are looked for in it and beside it. A zip archive or a DICOMDIR
    is taken as it is.
    """
    place = Path(place).absolute()
    images = _first(place, _FILMS) or place
    home = place if images != place else place.parent
    if images.is_file() and images.name.upper() == dicomdir.NAME:
        home = images.parent.parent
    near = [images if images.is_dir() else images.parent, home]
    return Suggestion(
        images,
        next((found for each in near if (found := _first(each, _LABELS))), None),
        next((found for each in near if (found := _first(each, _MASKS))), None),
        _free(home, place),
    )


def _first(folder: Path, names: tuple[str, ...]) -> Path | None:
    if not folder.is_dir():
        return None
    return next((folder / name for name in names if (folder / name).exists()), None)


def _free(home: Path, place: Path) -> Path:
    """Return a name that is not taken, outside of the films."""
    stem = place.stem if place.is_file() else place.name
    if place.name.upper() == dicomdir.NAME:
        stem = place.parent.name
    parent = home if home != place else place.parent
    wanted = parent / f"{stem or 'films'}-project"
    number = 2
    while wanted.exists():
        wanted = parent / f"{stem}-project-{number}"
        number += 1
    return wanted

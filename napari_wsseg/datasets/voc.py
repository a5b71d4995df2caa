"""PASCAL VOC 2012: colour pictures, 20 classes, and 255 where nobody decided.

``SegmentationClass`` has one indexed PNG a picture: 0 background, 1 to 20 a class, 255
void. ``SegmentationClassAug``, by others from SBD, has the same for 10 582 pictures in
``trainaug.txt``; its lines may be names, or pairs of ``/JPEGImages/…`` and a mask.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping, Sequence
from functools import lru_cache, partial
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from napari_wsseg.datasets import datasets
from napari_wsseg.datasets.importing import build as _build
from napari_wsseg.datasets.importing import film_files as _film_files
from napari_wsseg.datasets.importing import guarded as _guarded
from napari_wsseg.datasets.importing import tables as _tables
from napari_wsseg.datasets.importing.report import ImportReport, Rejected
from napari_wsseg.io.external import xml_files
from napari_wsseg.io.films import limits
from napari_wsseg.io.guarded.answers import Drawing
from napari_wsseg.jobs import DataError, Progress
from napari_wsseg.schema import Mask, Split

CLASSES = (
    "aeroplane",
    "bicycle",
    "bird",
    "boat",
    "bottle",
    "bus",
    "car",
    "cat",
    "chair",
    "cow",
    "diningtable",
    "dog",
    "horse",
    "motorbike",
    "person",
    "pottedplant",
    "sheep",
    "sofa",
    "train",
    "tvmonitor",
)
VOID = 255
_PICTURES, _OBJECTS, _LISTS = "JPEGImages", "Annotations", "ImageSets/Segmentation"
_MASKS = ("SegmentationClassAug", "SegmentationClass")
_AUGMENTED = ("trainaug.txt", "train_aug.txt")


@datasets.register("voc")
def steps(
    folder: Path,
    *,
    images: Path,
    labels: Path | None = None,
    masks: Path | None = None,
) -> Generator[Progress, None, ImportReport]:
    """Yield progress while a project is made of VOC 2012; return the report.

    Labels are the objects of ``Annotations``, without it the classes of the mask. The
    project is one of colour pictures, and keeps each picture's void.

    Parameters
    ----------
    folder
        Of the new project.
    images
        ``VOCdevkit/VOC2012``.
    labels
        The list of training pictures; default, the augmented one where it is, else
        ``train.txt``. ``val.txt`` is val, and stays val where both have a picture.
    masks
        The folder of class masks; default, both known ones, the augmented first.

    Raises
    ------
    DataError
        A list or the pictures are missing, an object is of no class, or no picture can
        be read.
    """
    images = _film_files.folder(images)
    _build.check_free(Path(folder).absolute())
    _film_files.folder(images / _PICTURES)
    lists = images / _LISTS
    chosen = _film_files.required(labels, (*_AUGMENTED, "train.txt"), lists, "--labels")
    lines = {chosen: _listed(chosen)}
    splits: dict[str, Split] = dict.fromkeys(lines[chosen], "train")
    if (lists / "val.txt").is_file():
        lines[lists / "val.txt"] = _listed(lists / "val.txt")
        splits |= dict.fromkeys(lines[lists / "val.txt"], "val")
    trees = (
        [_film_files.folder(masks, "mask folder")] if masks else _known_trees(images)
    )
    found = {path.stem: path for path in sorted((images / _PICTURES).iterdir())}
    missing: list[Rejected] = []
    remarks: list[str] = []
    for table, listed in lines.items():
        gone, warnings = _film_files.missing(listed, found, table, one_of_several=True)
        missing += gone
        remarks += warnings
    films = []
    unmasked = 0
    for name in (name for name in splits if name in found):
        mask = _mask_of(name, trees)
        unmasked += mask is None
        films.append(
            _build.Film(
                f"{_PICTURES}/{found[name].name}",
                _labels_of(name, images, mask),
                splits[name],
                {} if mask is None else _masks(mask),
                void=None if mask is None else partial(_is, mask, VOID),
            )
        )
    if unmasked:
        remarks.append(f"{unmasked} pictures have no class mask: labels alone")
    return (
        yield from _build.build(
            Path(folder),
            images=images,
            findings=CLASSES,
            films=films,
            rejected=missing,
            warnings=[
                *remarks,
                *_film_files.empty_splits(film.split for film in films),
            ],
            colour=True,
        )
    )


def _listed(path: Path) -> dict[str, int]:
    """Return the lines of a list by the picture's name, whatever else they hold."""
    names = _tables.names(path)
    return {PurePosixPath(name.split()[0]).stem: line for name, line in names.items()}


def _known_trees(images: Path) -> list[Path]:
    return [images / name for name in _MASKS if (images / name).is_dir()]


def _mask_of(name: str, trees: Sequence[Path]) -> Path | None:
    places = (tree / f"{name}.png" for tree in trees)
    return next((place for place in places if place.is_file()), None)


def _labels_of(name: str, images: Path, mask: Path | None) -> Mapping[str, int | None]:
    path = images / _OBJECTS / f"{name}.xml"
    if path.is_file():
        present = {*_guarded.answer(path, f"{__name__}:objects_told")}
    elif mask is not None:
        present = {CLASSES[k - 1] for k in np.unique(_classes(mask)) if 1 <= k <= 20}
    else:
        return dict.fromkeys(CLASSES)
    return {own: int(own in present) for own in CLASSES}


def objects_told(path: str) -> list[str]:
    """Return the classes of a picture's objects; their parts have names, too.

    Raises
    ------
    DataError
        Not XML, or an object that is none of the classes.
    """
    root = xml_files.root(Path(path), "an annotation")
    present = {str(each.findtext("name")).strip() for each in root.findall("object")}
    strange = sorted(present.difference(CLASSES))
    if strange:
        raise DataError(f"{path}: {strange[0]!r} is none of the 20 classes")
    return sorted(present)


def _masks(path: Path) -> dict[str, _build.MaskSource]:
    return {name: partial(_is, path, k) for k, name in enumerate(CLASSES, start=1)}


def _is(path: Path, value: int, shape: tuple[int, int]) -> Mask:
    classes = _classes(path)
    if classes.shape != shape:
        raise DataError(
            f"{path}: the mask is {classes.shape[0]} × {classes.shape[1]}, its "
            f"picture {shape[0]} × {shape[1]}"
        )
    return np.asarray(classes == value, bool)


@lru_cache(maxsize=4)
def _classes(path: Path) -> NDArray[np.uint8]:
    """Return a class mask's indices, which a process of its own reads."""
    shades, _ = _guarded.drawn(path, f"{__name__}:classes_drawing")
    return np.asarray(np.rint(shades * 255), np.uint8)


def classes_drawing(path: str) -> Iterator[Drawing]:
    """Yield what draws a class mask's indices, as shares of 255."""

    def draw(shape: tuple[int, int] | None) -> NDArray[np.float32]:
        return np.asarray(_indices(Path(path)) / 255, np.float32)

    yield Drawing(None, draw, [])


def _indices(path: Path) -> NDArray[np.uint8]:
    """Read a class mask by its indices, whatever its palette shows.

    Raises
    ------
    DataError
        Not an indexed or grey PNG, or a value that is no class.
    """
    limits.check_file(path)
    try:
        with Image.open(path, formats=["PNG"]) as image:
            limits.check_shape(image.height, image.width)
            if image.mode not in ("P", "L"):
                raise DataError(f"{path}: mode {image.mode}, not indices of classes")
            classes = np.asarray(image, np.uint8)
    except Exception as error:  # damaged files make decoders raise nearly anything
        message = str(error).removeprefix(f"{path}: ")
        raise DataError(f"{path}: not a PNG mask ({message})") from error
    strange = sorted({*np.unique(classes).tolist()} - {*range(21), VOID})
    if strange:
        raise DataError(f"{path}: value {strange[0]} is no class; 0 to 20 and 255 are")
    return classes

"""nnU-Net's raw data set: films and one label map a film, ``dataset.json``.

Films of the test split go to ``imagesTs`` and ``labelsTs``, all others to ``imagesTr``
and ``labelsTr``. ``films`` and ``drawn`` are additions that nnU-Net passes over: which
film a case is, and the findings that a reader drew or found absent.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
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
    indexed_png,
    nifti,
)
from napari_wsseg.export.exporting.film_png import film_png, is_there, png
from napari_wsseg.export.exporting.selection import Selection
from napari_wsseg.io import folder_files as _folder_files
from napari_wsseg.io.external import json_masks, mask_values
from napari_wsseg.io.films import limits as _limits
from napari_wsseg.jobs import DataError, naming, one_line
from napari_wsseg.schema import Mask

NAME = "dataset.json"

_FOLDERS = ("labelsTr", "labelsTs")
_ENDINGS = (".png", ".tif", ".tiff", ".nii.gz", ".nii")
_ROUNDED = 1e-3
_NOT_FINDINGS = ("background", "ignore")
"""In whatever case."""


@formats.register("nnunet")
def write(chosen: Selection) -> Iterator[Item]:
    """Yield ``labelsTr``, ``imagesTr``, those of the test split, and ``dataset.json``.

    Raises
    ------
    DataError
        Findings overlap; names the films and how many pixels are contested.
    """
    indexed_png.refuse_overlaps(chosen, "nnU-Net's label map")
    films: dict[str, str] = {}
    listed: dict[str, list[str]] = {}
    training = 0
    for case, masks in chosen.each():
        yield case
        name = chosen.place(case, "").replace("/", "__")
        films[name], listed[name] = case.path, [*masks]
        end = "Ts" if case.split == "test" else "Tr"
        training += end == "Tr"
        labels = partial(_labels, chosen.findings, masks)
        yield File(f"labels{end}/{name}.png", labels)
        if is_there(chosen.project, case):
            pixels = partial(film_png, chosen.project, case)
            yield File(f"images{end}/{name}_0000.png", pixels)
        else:
            yield Note("skipped", f"{case.path}: the film is not there, its masks are")
    yield from chexlocalize.unmarked(chosen)
    numbers = {one: number for number, one in enumerate(chosen.findings, start=1)}
    record = {
        "channel_names": {"0": "radiograph"},
        "labels": {"background": 0, **numbers},
        "numTraining": training,
        "file_ending": ".png",
        "description": "Research use only",
        "films": films,
        "drawn": listed,
    }
    yield File(NAME, partial(chexlocalize.dumped, record))


@importers.register("nnunet")
def read(path: Path) -> Iterator[Found | Note]:
    """Yield the masks of a data set: the folder that has ``dataset.json``."""
    table = path / NAME if path.is_dir() else path
    record = json_masks.load(table, "nnU-Net's dataset.json")
    labels = _numbers(table, record)
    ending = str(record.get("file_ending", ".png"))
    if ending.lower() not in _ENDINGS:
        raise DataError(
            f"{table}: label maps that end in {ending[:20]} are not read; convert them "
            f"to one of {', '.join(_ENDINGS)}"
        )
    films, listed = (_dictionary(record, key) for key in ("films", "drawn"))
    for folder in (table.parent / name for name in _FOLDERS):
        for file in (
            _folder_files.with_ending(folder, _ENDINGS) if folder.is_dir() else ()
        ):
            remarks: list[str] = []
            name = _bare(file.relative_to(folder).as_posix())
            own = listed.get(name)
            findings = [*map(str, own)] if isinstance(own, list) else [*labels]
            for finding in (one for one in labels if one in findings):
                draw = partial(_mask, file, labels, finding, remarks)
                film = str(films.get(name, name))
                yield Found(film, finding, draw, remarks=remarks)


def _labels(findings: Sequence[str], masks: Mapping[str, Mask]) -> bytes:
    values = np.zeros(next(iter(masks.values())).shape, np.uint8)
    for finding, mask in masks.items():
        values[mask] = findings.index(finding) + 1
    return png(values)


def _dictionary(record: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = record.get(key, {})
    return value if isinstance(value, dict) else {}


def _numbers(table: Path, record: object) -> dict[str, tuple[int, ...]]:
    """Return the values of each finding; regions have several."""
    try:
        pairs = record["labels"].items()  # type: ignore[index]
        found = {
            # nnU-Net 1 has names by number.
            (str(value) if str(name).isdigit() else str(name)): tuple(
                _number(one)
                for one in (
                    [name]
                    if str(name).isdigit()
                    else value
                    if isinstance(value, list)
                    else [value]
                )
            )
            for name, value in pairs
        }
    except (KeyError, TypeError, ValueError, OverflowError, AttributeError) as error:
        raise DataError(
            f"{table}: not nnU-Net's dataset.json: labels are missing or off ({error})"
        ) from error
    plain = [own for own in found.values() if len(own) == 1]
    if len(set(plain)) < len(plain):
        raise DataError(f"{table}: two labels have one number: {dict(found)}"[:300])
    named = {one: own for one, own in found.items() if one.lower() not in _NOT_FINDINGS}
    ground = [one for one, own in named.items() if 0 in own]
    if ground:
        raise DataError(
            f"{table}: label 0 is {ground[0]!r}, and in nnU-Net it is the background"
        )
    return named


def _number(value: Any) -> int:
    if int(value) != float(value):
        raise ValueError(f"label {value} is no whole number")
    return int(value)


def _bare(name: str) -> str:
    return name[: -len(next(e for e in _ENDINGS if name.lower().endswith(e)))]


def _mask(
    path: Path,
    labels: Mapping[str, Sequence[int]],
    finding: str,
    remarks: list[str],
    shape: Shape | None,
) -> Mask:
    values = _whole_numbers(path, _values(path))
    if shape is not None and values.shape != shape:
        raise DataError(
            f"{path}: the label map is {values.shape[0]} × {values.shape[1]}, its film "
            f"{shape[0]} × {shape[1]}"
        )
    named = {number for own in labels.values() for number in own}
    try:
        remarks += mask_values.unnamed(values, named, NAME)
    except DataError as error:
        raise DataError(f"{path}: {error}") from error
    return np.asarray(np.isin(values, labels[finding]))


def _whole_numbers(path: Path, values: NDArray[Any]) -> NDArray[Any]:
    """Return the numbers of labels, which may be stored as reals or scaled."""
    if values.dtype.kind in "biu":
        return values
    numbers = np.rint(values)
    if not np.isfinite(numbers).all() or np.abs(values - numbers).max() > _ROUNDED:
        raise DataError(f"{path}: has values that are not the whole numbers of labels")
    return np.asarray(numbers, np.int64)


def _values(path: Path) -> NDArray[Any]:
    if path.name.lower().endswith((".nii", ".nii.gz")):
        return nifti.values(path)[0]
    _limits.check_file(path)
    try:
        with Image.open(path, formats=["PNG", "TIFF"]) as image:
            with naming(path):
                _limits.check_shape(image.height, image.width)
            values = np.asarray(image)
    except DataError:
        raise
    except Exception as error:  # damaged files make decoders raise nearly anything
        raise DataError(f"{path}: not a label map ({one_line(error)})") from error
    if values.ndim != 2:
        raise DataError(f"{path}: has colours, not the numbers of labels")
    return values

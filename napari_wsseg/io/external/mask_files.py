"""Masks that come from elsewhere, in any image; see `mask_values`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from napari_wsseg.io.external import mask_values
from napari_wsseg.io.external.mask_values import PLAIN, Choice
from napari_wsseg.io.films import deep as _deep
from napari_wsseg.io.films import limits as _limits
from napari_wsseg.io.films import orientation as _orientation
from napari_wsseg.jobs import DataError, naming, one_line
from napari_wsseg.schema import Mask

ENDINGS = (".png", ".tif", ".tiff", ".gif", ".bmp", ".jpg", ".jpeg")
"""Of files that a mask may be in, in whatever case."""

_FORMATS = ("PNG", "TIFF", "GIF", "BMP", "JPEG")


def read(
    path: Path,
    shape: tuple[int, int] | None,
    *,
    choice: Choice = PLAIN,
    remarks: list[str] | None = None,
) -> Mask:
    """Read a mask of a film of `shape`: what is not black is the finding.

    Palettes, opacity and TIFF's white that is zero count as they are shown. An EXIF
    orientation is obeyed, as it is for films. Without `shape`, any size will do.

    Parameters
    ----------
    path
        PNG, TIFF, JPEG or another picture that Pillow knows.
    shape
        Rows and columns of the film; ``None``: any.
    choice
        How values are to be read that do not speak for themselves.
    remarks
        Gets a line for what deserves a look.

    Raises
    ------
    DataError
        Not an image, damaged, over the cap, of another size than its film, or with
        other values than those of a mask.
    """
    _limits.check_file(path)
    try:
        # By its file, for Pillow scrambles a TIFF on its side that it maps by name.
        with open(path, "rb") as file, Image.open(file, formats=_FORMATS) as image:
            with naming(path):
                _limits.check_shape(image.height, image.width)
            pages = getattr(image, "n_frames", 1)
            if pages > 1:
                raise DataError(f"{path}: {pages} pages; a mask has one")
            white_is_zero = _deep.white_is_zero(image)
            _orientation.load(image)
            _check_size(path, (image.height, image.width), shape)
            return _mask(path, image, choice, remarks, white_is_zero=white_is_zero)
    except DataError:
        raise
    except Exception as error:  # damaged files make decoders raise nearly anything
        raise DataError(f"{path}: not a mask image ({one_line(error)})") from error


def _check_size(
    path: Path, size: tuple[int, int], shape: tuple[int, int] | None
) -> None:
    if shape is not None and size != shape:
        raise DataError(
            f"{path}: the mask is {size[0]} × {size[1]}, its film "
            f"{shape[0]} × {shape[1]}; export it at the film's size"
        )


def _mask(
    path: Path,
    image: Image.Image,
    choice: Choice,
    remarks: list[str] | None,
    *,
    white_is_zero: bool,
) -> Mask:
    try:
        grey = image.mode in ("1", "L", "F") or image.mode.startswith("I")
        if grey and "transparency" not in image.info:
            values = np.asarray(image)
            if white_is_zero and image.mode not in ("1", "L"):  # Pillow turns these
                values = _turned(values)
            return mask_values.drawn(values, choice, remarks)
        colours = _colours(image)
        if "transparency" in image.info and choice.cut is None and choice.value is None:
            mask_values.check_key(colours)
        return mask_values.of_colours(colours, choice, remarks)
    except DataError as error:
        raise DataError(f"{path}: {error}") from error


def _colours(image: Image.Image) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    if image.mode == "P":
        seen = np.asarray(image.convert("RGBA"))
        # A palette of one colour shows nothing: its indices are all there is.
        if not np.ptp(seen, axis=(0, 1)).any():
            return np.repeat(np.asarray(image)[..., None], 3, axis=2)
        return seen
    return np.asarray(image.convert("RGBA"))


def _turned(
    values: np.ndarray[tuple[int, ...], np.dtype[np.generic]],
) -> np.ndarray[tuple[int, ...], np.dtype[np.generic]]:
    """Return values whose lowest is shown white as those that are seen."""
    if values.dtype.kind == "f":
        return np.asarray(values.max() + values.min() - values)
    return np.asarray(np.iinfo(np.uint16).max - values)


def blank(shape: tuple[int, int]) -> Mask:
    """Return the mask of a finding that is nowhere on a film of `shape`."""
    return np.zeros(shape, bool)

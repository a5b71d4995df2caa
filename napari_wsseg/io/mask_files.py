"""Masks that come from elsewhere: in any image, what is not zero is the finding."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from napari_wsseg.io.films import limits as _film
from napari_wsseg.io.films import orientation as _upright
from napari_wsseg.jobs import DataError
from napari_wsseg.schema import Mask

_FORMATS = ("PNG", "TIFF")


def read(path: Path, shape: tuple[int, int] | None) -> Mask:
    """Read a mask of a film of `shape`; a pixel that is not zero is the finding.

    Indexed images count by index, images with channels by any channel but alpha. An
    EXIF orientation is obeyed, as it is for films. Without `shape`, any size will do.

    Raises
    ------
    DataError
        Not an image, damaged, over the cap, or of another size than its film.
    """
    _film.check_file(path)
    try:
        # By its file, for Pillow scrambles a TIFF on its side that it maps by name.
        with open(path, "rb") as file, Image.open(file, formats=_FORMATS) as image:
            _film.check_shape(path, image.height, image.width)
            _upright.load(image)
            size = (image.height, image.width)
            if shape is not None and size != shape:
                raise DataError(
                    f"{path}: the mask is {size[0]} × {size[1]}, its film "
                    f"{shape[0]} × {shape[1]}; export it at the film's size"
                )
            return _nonzero(image)
    except DataError:
        raise
    except Exception as error:  # damaged files make decoders raise nearly anything
        words = " ".join(str(error).split())[:200] or type(error).__name__
        raise DataError(f"{path}: not a mask image ({words})") from error


def _nonzero(image: Image.Image) -> Mask:
    if image.mode in ("LA", "PA", "La"):
        image = image.getchannel(0)
    elif image.mode in ("RGBA", "RGBX", "RGBa"):
        image = image.convert("RGB")
    values = np.asarray(image)
    return np.asarray(values.any(axis=2) if values.ndim == 3 else values != 0, bool)


def blank(shape: tuple[int, int]) -> Mask:
    """Return the mask of a finding that is nowhere on a film of `shape`."""
    return np.zeros(shape, bool)

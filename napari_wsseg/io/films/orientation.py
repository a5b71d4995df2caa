"""Pictures as every viewer shows them: turned by the orientation that EXIF gives.

A camera or a scanner may store a film lying on its side and say so in a tag (Exif 2.32,
§4.6.4, Orientation). Masks belong to what is seen, so the tag is obeyed; Pillow does so
by itself for TIFF alone.
"""

from __future__ import annotations

import warnings

from PIL import ExifTags, Image, ImageOps

TURNED = "turned or mirrored as EXIF says"

_AS_STORED = 1


def load(image: Image.Image) -> bool:
    """Decode a picture's pixels and turn them upright, in place.

    Returns
    -------
    bool
        Whether EXIF asked for anything. A tag that cannot be read asks for nothing.
    """
    turned = _orientation(image) in range(_AS_STORED + 1, 9)
    image.load()
    if turned:
        ImageOps.exif_transpose(image, in_place=True)
    return turned


def _orientation(image: Image.Image) -> object:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of damaged tags
            return image.getexif().get(ExifTags.Base.Orientation, _AS_STORED)
    except Exception:  # a damaged tag costs no film
        return _AS_STORED

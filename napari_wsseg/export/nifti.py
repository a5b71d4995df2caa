"""One NIfTI volume a finding and film, a single slice, with the film's spacing.

The slice is coronal, as a frontal film is hung: columns run to the patient's left, rows
to the feet. Without a known spacing, a pixel counts one unit and the unit is left open.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_wsseg.export import File, Found, Item, Note, Shape, formats, importers
from napari_wsseg.export.exporting.selection import Selection
from napari_wsseg.io.films import limits as _film
from napari_wsseg.jobs import DataError
from napari_wsseg.schema import Mask

ENDINGS = (".nii.gz", ".nii")
_HUNG = (("L", "I"), ("L", "S"), ("R", "I"), ("R", "S"))
"""Where two axes of a coronal slice may run to."""


@formats.register("nifti")
def write(chosen: Selection) -> Iterator[Item]:
    """Yield ``<finding>/<film>.nii.gz``."""
    unknown = 0
    for case, masks in chosen.each():
        yield case
        unknown += case.spacing_mm is None
        for finding, mask in masks.items():
            path = f"{finding}/{chosen.place(case, ENDINGS[0])}"
            yield File(path, partial(encode, mask, case.spacing_mm))
    if unknown:
        yield Note("lost", f"the size of a pixel, unknown of {unknown} films")
    yield Note("lost", "which way the patient faced: every slice is written as coronal")


@importers.register("nifti")
def read(path: Path) -> Iterator[Found | Note]:
    """Yield the masks of a folder ``<finding>/<film>.nii.gz``, or of one file."""
    if path.is_file():
        yield Found(_bare(path.name), "", partial(_mask, path), guess=path.parent.name)
        return
    for file in sorted(path.glob("*/**/*.nii*")):
        if file.name.endswith(ENDINGS):
            finding, *film = file.relative_to(path).parts
            yield Found(_bare("/".join(film)), finding, partial(_mask, file))


def encode(mask: NDArray[Any], spacing: tuple[float, float] | None) -> bytes:
    """Return (H, W) values as the bytes of a NIfTI slice, compressed.

    Parameters
    ----------
    spacing
        Millimetres between rows and between columns.
    """
    import gzip

    from nibabel.nifti1 import Nifti1Image

    row, column = spacing or (1.0, 1.0)
    # World axes run to the right, the front and the head (RAS+).
    affine = np.diag([-column, 1.0, -row, 1.0])[:, [0, 2, 1, 3]]
    kept = np.asarray(mask, np.uint8 if mask.dtype == bool else mask.dtype)
    image = Nifti1Image(kept.T[:, :, None], affine, dtype=kept.dtype)
    image.set_sform(affine, code=1)
    image.set_qform(affine, code=1)
    if spacing is not None:
        image.header.set_xyzt_units("mm")
    image.header["descrip"] = b"Research use only"
    return gzip.compress(image.to_bytes(), mtime=0)


def values(path: Path) -> tuple[NDArray[Any], tuple[float, float] | None]:
    """Return the (H, W) values of a single slice as it is hung, and its spacing.

    A coronal slice is turned by its axes; any other is taken with its first axis as
    columns and its second as rows.

    Raises
    ------
    DataError
        Not NIfTI, damaged, too large, or with more than one slice.
    """
    import nibabel
    from nibabel import orientations

    _film.check_file(path)
    try:
        image: Any = nibabel.Nifti1Image.from_filename(path)
        shape = (*map(int, image.shape), 1, 1)[: max(3, image.ndim)]
        codes = orientations.aff2axcodes(image.affine)
        flat = [axis for axis in range(3) if shape[axis] == 1]
        if not flat or max(shape[3:], default=1) > 1:
            raise DataError(f"{path}: {image.shape} is not a single slice")
        # The axis from front to back is the one to drop, if it may be.
        drop = max(flat, key=lambda axis: (codes[axis] in ("A", "P"), axis))
        first, second = (axis for axis in range(3) if axis != drop)
        _film.check_shape(path, shape[second], shape[first])
        plane = np.asarray(image.dataobj).reshape(shape[first], shape[second])
        axes = codes[first], codes[second]
        zooms = (*map(float, image.header.get_zooms()), 0.0)
        across, along = zooms[first], zooms[second]
        unit = image.header.get_xyzt_units()[0]
    except DataError:
        raise
    except Exception as error:  # damaged files make nibabel raise nearly anything
        words = " ".join(str(error).split())[:200] or type(error).__name__
        raise DataError(f"{path}: not NIfTI ({words})") from error
    if axes[::-1] in _HUNG:
        plane, axes, across, along = plane.T, axes[::-1], along, across
    if axes in _HUNG:
        plane = plane[:: -1 if axes[0] == "R" else 1, :: -1 if axes[1] == "S" else 1]
    known = unit == "mm" and min(across, along) > 0
    return plane.T, (along, across) if known else None


def _bare(name: str) -> str:
    ending = next(ending for ending in ENDINGS if name.endswith(ending))
    return name.removesuffix(ending)


def _mask(path: Path, shape: Shape | None) -> Mask:
    mask = np.asarray(values(path)[0] != 0)
    if shape is not None and mask.shape != shape:
        raise DataError(
            f"{path}: the mask is {mask.shape[0]} × {mask.shape[1]}, its film "
            f"{shape[0]} × {shape[1]}"
        )
    return mask

"""One NIfTI volume a finding and film, a single slice, with the film's spacing.

The slice is coronal, as a frontal film is hung: columns run to the patient's left, rows
to the feet. Without a known spacing, a pixel counts one unit and the unit is left open.
"""

from __future__ import annotations

import gzip
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path, PurePath
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from napari_wsseg.export import File, Found, Item, Note, Shape, formats, importers
from napari_wsseg.export.exporting.selection import Selection
from napari_wsseg.io import folder_files as _folder_files
from napari_wsseg.io.external import label_names, mask_values
from napari_wsseg.io.external import nifti as _nifti
from napari_wsseg.io.external.mask_values import PLAIN, Choice
from napari_wsseg.io.films import limits as _limits
from napari_wsseg.jobs import DataError, naming, one_line
from napari_wsseg.schema import Mask

ENDINGS = (".nii.gz", ".nii")
_ORDERS: tuple[Literal["little", "big"], ...] = ("little", "big")
_NIFTI2 = 540
"""Bytes of a NIfTI-2 header, which are its first word."""


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
def read(path: Path, *, choice: Choice = PLAIN) -> Iterator[Found | Note]:
    """Yield the masks of a folder ``<finding>/<film>.nii.gz``, or of one file."""
    if path.is_file():
        if not path.name.lower().endswith(ENDINGS):
            raise DataError(
                f"{path}: NIfTI files end in .nii or .nii.gz; convert it, or take it "
                "in its own format"
            )
        yield from _found(path, path.name, "", choice)
        return
    for name in _folder_files.files(path):
        finding, _, film = name.partition("/") if "/" in name else ("", "", name)
        if film.lower().endswith(ENDINGS):
            yield from _found(path / name, film, finding, choice)
        elif not label_names.is_table(name):
            yield Note("skipped", f"{name}: does not end in .nii or .nii.gz")


def _found(
    path: Path, film: str, finding: str, choice: Choice
) -> Iterator[Found | Note]:
    named, without = _named_labels(path, film) if choice == PLAIN else ({}, "")
    for label, name in named.items():
        yield _drawing(path, film, name, Choice(value=label))
    if without:
        yield Note("skipped", f"{film}: {without}")
    if not named:
        yield _drawing(path, film, finding, choice)


def _drawing(path: Path, film: str, finding: str, choice: Choice) -> Found:
    remarks: list[str] = []
    draw = partial(_mask, path, choice, remarks)
    guess = "" if finding else path.absolute().parent.name
    return Found(_bare(film), finding, draw, guess=guess, remarks=remarks)


def _named_labels(path: Path, film: str) -> tuple[Mapping[int, str], str]:
    """Return names by label, as a table has them, and which labels it leaves out."""
    names, table = label_names.beside(path, _bare(PurePath(film).name))
    try:
        present = mask_values.label_numbers(slice_of(path).values) if names else []
    except DataError:
        return {}, ""  # it is read again, and then told, when it is drawn
    named = {label: names[label] for label in present if label in names}
    strange = [str(label) for label in present if label not in names]
    if not named or not strange:
        return named, ""
    return named, f"labels that {table} does not name were left out: " + ", ".join(
        strange
    )


def encode(mask: NDArray[Any], spacing: tuple[float, float] | None) -> bytes:
    """Return (H, W) values as the bytes of a NIfTI slice, compressed.

    Parameters
    ----------
    spacing
        Millimetres between rows and between columns.
    """
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


class Slice(NamedTuple):
    """A slice as it is hung.

    Parameters
    ----------
    values
        (H, W), real where the file scales them.
    spacing
        Millimetres between rows and between columns, ``None`` where they are unknown.
    turned
        Whether the file has it another way.
    """

    values: NDArray[Any]
    spacing: tuple[float, float] | None
    turned: bool


def values(path: Path) -> tuple[NDArray[Any], tuple[float, float] | None]:
    """Return the values and the spacing of a slice; see `slice_of`."""
    return slice_of(path)[:2]


def slice_of(path: Path) -> Slice:
    """Return a single slice as it is hung.

    The affine says where its axes run to. Columns of a coronal or axial slice run to
    the patient's left, its rows to the feet or to the back; a sagittal one, and one
    that has no affine of its own, is taken with its first axis as columns.

    Raises
    ------
    DataError
        Not NIfTI 1 or 2, damaged, too large, or with more than one slice.
    """
    from nibabel import orientations

    data = _nifti.bounded(path)
    try:
        image = _loaded(data)
        shape = (*map(int, image.shape), 1, 1)[: max(3, image.ndim)]
        codes = orientations.aff2axcodes(image.affine)
        flat = [axis for axis in range(3) if shape[axis] == 1]
        if not flat or max(shape[3:], default=1) > 1:
            raise DataError(f"{path}: {image.shape} is not a single slice")
        # The axis from front to back is the one to drop, if it may be.
        drop = max(flat, key=lambda axis: (codes[axis] in ("A", "P"), axis))
        first, second = (axis for axis in range(3) if axis != drop)
        with naming(path):
            _limits.check_shape(shape[second], shape[first])
        plane = np.asarray(image.dataobj).reshape(shape[first], shape[second])
        zooms = (*map(float, image.header.get_zooms()), 0.0)
        spacing = (zooms[second], zooms[first])
        unit = image.header.get_xyzt_units()[0]
        oriented = bool(image.header["sform_code"] or image.header["qform_code"])
    except DataError:
        raise
    except Exception as error:  # damaged files make nibabel raise nearly anything
        raise DataError(f"{path}: not NIfTI ({one_line(error)})") from error
    known = unit == "mm" and min(spacing) > 0
    axes = (codes[first], codes[second]) if oriented else ("", "")
    return hung(plane, spacing if known else None, axes)


def hung(
    plane: NDArray[Any], spacing: tuple[float, float] | None, axes: tuple[str, str]
) -> Slice:
    """Return a plane as a film is hung: to the patient's left, and to the feet.

    Parameters
    ----------
    plane : (columns, rows)
        As the file has it.
    spacing
        Millimetres between rows and between columns of the plane; ``None`` where they
        are unknown.
    axes
        Which way the plane's axes run: one of L and R and one of A, P, I and S, in any
        order. With others the plane is taken as it is.
    """
    seen, turned = plane.T, False
    if not (set(axes) & {"L", "R"} and set(axes) & {"I", "S", "A", "P"}):
        return Slice(seen, spacing, turned)
    if axes[1] in ("L", "R"):
        seen, axes, turned = seen.T, axes[::-1], True
        spacing = None if spacing is None else spacing[::-1]
    mirrored, flipped = axes[0] == "R", axes[1] in ("S", "A")
    seen = seen[:: -1 if flipped else 1, :: -1 if mirrored else 1]
    return Slice(seen, spacing, turned or mirrored or flipped)


def _loaded(data: bytes) -> Any:
    """Return the image of NIfTI 1 or 2, by its content."""
    import nibabel

    nifti2 = _NIFTI2 in (int.from_bytes(data[:4], way) for way in _ORDERS)
    return (nibabel.Nifti2Image if nifti2 else nibabel.Nifti1Image).from_bytes(data)


def _bare(name: str) -> str:
    ending = next(each for each in ENDINGS if name.lower().endswith(each))
    return name[: -len(ending)]


_OF_SEVERAL = (
    "holds several labels, {}, without their names: label 1 was taken and the others "
    "left out; --set value=NUMBER takes another, and a table beside it that names them "
    "(of ITK-SNAP, Slicer or BIDS, or findings.csv) takes all"
)
"""ITK-SNAP and Slicer save one map for all labels, which are numbered from 1."""


def _mask(path: Path, choice: Choice, remarks: list[str], shape: Shape | None) -> Mask:
    found = slice_of(path)
    try:
        if choice == PLAIN and (labels := mask_values.labels(found.values)):
            remarks.append(_OF_SEVERAL.format(", ".join(map(str, labels))))
            choice = Choice(value=1)
        mask = mask_values.drawn(found.values, choice, remarks)
    except DataError as error:
        raise DataError(f"{path}: {error}") from error
    if shape is not None and mask.shape != shape:
        raise DataError(
            f"{path}: the mask is {mask.shape[0]} × {mask.shape[1]}, its film "
            f"{shape[0]} × {shape[1]}"
        )
    if found.turned:
        remarks.append("turned or mirrored as its affine says")
    return mask

"""Probabilities of another program in npz files, as nnU-Net and numpy write them."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_wsseg.io import folder_files
from napari_wsseg.io.external import mask_values
from napari_wsseg.io.films import limits as _limits
from napari_wsseg.io.guarded.answers import Drawing
from napari_wsseg.jobs import DataError

MAX_BYTES = 2**29
"""Most that the arrays of one film unpack to."""


def drawings(path: str, names: Sequence[str], outputs: Sequence[str]) -> Iterator[Any]:
    """Yield the probabilities of ``<film>.npz``, one file or a folder of them.

    An array a finding, called by it; or one of (findings, H, W) or (findings, 1, H, W),
    as nnU-Net writes it.

    Parameters
    ----------
    path
        The file or the folder.
    names
        The project's findings.
    outputs
        What each channel of a single array is, ``-`` for one that is not wanted; empty:
        `names` in order, or background and those.

    Raises
    ------
    DataError
        If a file is no npz of such arrays.
    """
    place = Path(path)
    is_folder = place.is_dir()
    for file in folder_files.with_ending(place, (".npz",)) if is_folder else [place]:
        film = file.relative_to(place).as_posix() if is_folder else file.name
        yield from _of_file(file, film.removesuffix(".npz"), names, outputs)


def _of_file(
    path: Path, film: str, names: Sequence[str], outputs: Sequence[str]
) -> Iterator[Drawing]:
    arrays = _loaded(path)
    planes = {name: one for name, one in arrays.items() if name in names}
    if not planes:
        if len(arrays) != 1:
            raise DataError(
                f"{path}: arrays {', '.join(arrays) or '(none)'}; call them by the "
                "findings, or leave one"
            )
        planes = _channels(path, next(iter(arrays.values())), names, outputs)
    for name, plane in planes.items():
        if plane.ndim == 3 and len(plane) == 1:
            plane = plane[0]
        if plane.ndim != 2:
            raise DataError(f"{path}, {name!r}: {plane.shape} is not (rows, columns)")
        value = {"film": film, "finding": name, "sop_uid": None, "guess": ""}
        yield Drawing(value, partial(_plane, path, plane), [])


def _channels(
    path: Path, stack: NDArray[Any], names: Sequence[str], outputs: Sequence[str]
) -> dict[str, NDArray[Any]]:
    if stack.ndim == 4 and stack.shape[1] == 1:
        stack = stack[:, 0]
    if stack.ndim == 2:
        stack = stack[None]
    channels = list(outputs)
    if not channels and len(stack) in (len(names), len(names) + 1):
        channels = [*["-"] * (len(stack) - len(names)), *names]
    if len(channels) != len(stack):
        raise DataError(
            f"{path}: {len(stack)} channels, {len(channels) or len(names)} findings; "
            "say what each channel is with --findings=A,B,… (- for one that is not "
            "wanted)"
        )
    named = zip(channels, stack, strict=True)
    return {name: one for name, one in named if name != "-"}


def _plane(
    path: Path, values: NDArray[Any], shape: tuple[int, int] | None
) -> NDArray[Any]:
    if shape is not None and values.shape != shape:
        raise DataError(
            f"{path}: {values.shape[0]} × {values.shape[1]}, its film "
            f"{shape[0]} × {shape[1]}"
        )
    try:
        return mask_values.probabilities(values)
    except DataError as error:
        raise DataError(f"{path}: {error}") from error


def _loaded(path: Path) -> dict[str, NDArray[Any]]:
    """Return the arrays of a file; nothing in it is run, and none is too large."""
    _limits.check_plain(path)
    try:
        with zipfile.ZipFile(path) as archive:
            if sum(member.file_size for member in archive.infolist()) > MAX_BYTES:
                raise DataError(f"{path}: unpacks to over {MAX_BYTES >> 20} MiB")
        with np.load(path, allow_pickle=False) as arrays:
            return {
                name: array
                for name in arrays.files
                if (array := arrays[name]).ndim >= 2 and array.dtype.kind in "biuf"
            }
    except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile) as error:
        raise DataError(f"{path}: not an npz file of arrays ({error})") from error

"""3D Slicer's ``.seg.nrrd``: one file a film, a segment a finding; they may overlap.

Each segment is a layer of its own; ``SegmentN_Name`` and its label say which finding it
is. A ``.nrrd`` without segments is read as one mask, or as a label map that is refused.
The slice is coronal, as a frontal film is hung.
"""

from __future__ import annotations

import io
import re
import zlib
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import ImageColor

from napari_wsseg.export import File, Found, Item, Note, Shape, formats, importers
from napari_wsseg.export.exporting import several_files
from napari_wsseg.export.exporting.selection import Selection
from napari_wsseg.export.nifti import hung
from napari_wsseg.io import folder_files as _folder_files
from napari_wsseg.io.external import mask_values
from napari_wsseg.io.external.mask_values import PLAIN, Choice
from napari_wsseg.io.films import limits as _limits
from napari_wsseg.jobs import DataError, one_line
from napari_wsseg.schema import Case, Mask

ENDING = ".seg.nrrd"

_NAME = re.compile(r"(Segment\d+)_Name")
_TYPES = {
    **dict.fromkeys(("signed char", "int8", "int8_t"), "i1"),
    **dict.fromkeys(("uchar", "unsigned char", "uint8", "uint8_t"), "u1"),
    **dict.fromkeys(("short", "short int", "int16", "int16_t"), "i2"),
    **dict.fromkeys(("ushort", "unsigned short", "uint16", "uint16_t"), "u2"),
    **dict.fromkeys(("int", "signed int", "int32", "int32_t"), "i4"),
    **dict.fromkeys(("uint", "unsigned int", "uint32", "uint32_t"), "u4"),
    **{"float": "f4", "double": "f8"},
}
_MOST_LAYERS = 64


@formats.register("seg_nrrd")
def write(chosen: Selection) -> Iterator[Item]:
    """Yield ``<film>.seg.nrrd``."""
    colours = {one.name: one.colour for one in chosen.project.findings}
    for case, masks in chosen.each():
        yield case
        draw = partial(_encoded, case, masks, colours)
        yield File(chosen.place(case, ENDING), draw)
    yield Note("lost", "which way the patient faced: every slice is written as coronal")


@importers.register("seg_nrrd")
def read(path: Path, *, choice: Choice = PLAIN) -> Iterator[Found | Note]:
    """Yield the masks of a file, or of every file in a folder."""
    files = _folder_files.with_ending(path, (".nrrd",)) if path.is_dir() else [path]
    root = path if path.is_dir() else path.parent
    yield from several_files.each(
        path,
        files,
        lambda file: _found(file, file.relative_to(root).as_posix(), choice),
    )


def _encoded(
    case: Case, masks: Mapping[str, Mask], colours: Mapping[str, str]
) -> bytes:
    import nrrd

    row, column = case.spacing_mm or (1.0, 1.0)
    header: dict[str, Any] = {
        "space": "left-posterior-superior",
        "kinds": ["list", "domain", "domain", "domain"],
        "space directions": np.array(
            [[np.nan] * 3, [column, 0, 0], [0, 0, -row], [0, 1, 0]]
        ),
        "space origin": np.zeros(3),
        "encoding": "gzip",
        "Segmentation_MasterRepresentation": "Binary labelmap",
        "ResearchUseOnly": "not a medical device",
    }
    columns, rows = case.shape[1] - 1, case.shape[0] - 1
    for layer, finding in enumerate(masks):
        shares = [level / 255 for level in ImageColor.getrgb(colours[finding])[:3]]
        header |= {
            f"Segment{layer}_ID": f"Segment_{layer + 1}",
            f"Segment{layer}_Name": finding,
            f"Segment{layer}_Color": " ".join(f"{share:.6f}" for share in shares),
            f"Segment{layer}_LabelValue": "1",
            f"Segment{layer}_Layer": str(layer),
            f"Segment{layer}_Extent": f"0 {columns} 0 {rows} 0 0",
        }
    layers = np.stack([mask.T[:, :, None] for mask in masks.values()])
    file = io.BytesIO()
    nrrd.write(file, layers.astype(np.uint8), header)
    return file.getvalue()


def _found(path: Path, film: str, choice: Choice) -> Iterator[Found]:
    header, layers = _opened(path)
    bare = re.sub(r"(\.seg)?\.nrrd$", "", film, flags=re.IGNORECASE)
    segments = [name for key in header if (name := _NAME.fullmatch(key))]
    remarks: list[str] = []
    if not segments:
        if len(layers) > 1:
            raise DataError(f"{path}: {len(layers)} layers and no segment is named")
        draw = partial(_of_values, path, choice, remarks)
        yield Found(bare, "", draw, guess=path.parent.name, remarks=remarks)
        return
    placed: dict[str, tuple[int, int]] = {}
    for segment in segments:
        key = segment[1]
        layer = _number(path, header, f"{key}_Layer", "0")
        value = _number(path, header, f"{key}_LabelValue", "1")
        if not 0 <= layer < len(layers):
            raise DataError(f"{path}: {key} is in layer {layer} of {len(layers)}")
        placed[segment[0]] = (layer, value)
    for key, (layer, value) in placed.items():
        named = [other for place, other in placed.values() if place == layer]
        remarks = []
        draw = partial(_labelled, path, layer, value, named, remarks)
        yield Found(bare, str(header[key]), draw, remarks=remarks)


def _number(path: Path, header: Mapping[str, Any], key: str, otherwise: str) -> int:
    try:
        return int(header.get(key, otherwise))
    except (TypeError, ValueError) as error:
        raise DataError(f"{path}: {key} is not a number") from error


def _of_values(
    path: Path,
    choice: Choice,
    remarks: list[str],
    shape: Shape | None,
) -> Mask:
    _, (values,) = _opened(path)
    try:
        mask = mask_values.drawn(values, choice, remarks)
    except DataError as error:
        raise DataError(f"{path}: {error}") from error
    return _fitting(path, mask, shape)


def _labelled(
    path: Path,
    layer: int,
    value: int,
    named: Sequence[int],
    remarks: list[str],
    shape: Shape | None,
) -> Mask:
    _, layers = _opened(path)
    try:
        remarks += mask_values.unnamed(layers[layer], named, "the header")
    except DataError as error:
        raise DataError(f"{path}: {error}") from error
    return _fitting(path, np.asarray(layers[layer] == value), shape)


def _fitting(path: Path, mask: Mask, shape: Shape | None) -> Mask:
    if shape is not None and mask.shape != shape:
        raise DataError(
            f"{path}: the mask is {mask.shape[0]} × {mask.shape[1]}, its film "
            f"{shape[0]} × {shape[1]}; save it at the film's size, not cropped to the "
            "segments"
        )
    return mask


def _opened(path: Path) -> tuple[Mapping[str, Any], list[NDArray[Any]]]:
    """Return a file's header, and its layers (H, W) as they are hung.

    The last one is kept while the file is the same.
    """
    _limits.check_file(path)
    state = path.stat()
    return _parsed(path, state.st_mtime_ns, state.st_size)


@lru_cache(maxsize=1)
def _parsed(
    path: Path, changed: int, size: int
) -> tuple[Mapping[str, Any], list[NDArray[Any]]]:
    import nrrd

    try:
        with path.open("rb") as file:
            header = nrrd.read_header(file)
            values = _values(path, header, file)
        return header, _layers(path, header, values)
    except DataError:
        raise
    except Exception as error:  # damaged files make nrrd raise nearly anything
        raise DataError(f"{path}: not NRRD ({one_line(error)})") from error


def _values(path: Path, header: Mapping[str, Any], file: BinaryIO) -> NDArray[Any]:
    """Unpack no more than the header promises."""
    if "data file" in header or "datafile" in header:
        raise DataError(f"{path}: its data lie in another file; save it as one file")
    sizes = [int(size) for size in header["sizes"]]
    kind = _TYPES.get(str(header["type"]))
    encoding = str(header["encoding"]).lower()
    if kind is None or encoding not in ("raw", "gzip", "gz"):
        raise DataError(f"{path}: {header['type']} in {encoding}; save it as gzip")
    if min(sizes) < 1 or int(np.prod(sizes, dtype=object)) > _limits.MAX_PIXELS * 4:
        raise DataError(f"{path}: {sizes} is more than films have")
    order = ">" if str(header.get("endian", "little")).lower() == "big" else "<"
    dtype = np.dtype(order + kind)
    expected = int(np.prod(sizes)) * dtype.itemsize
    data = file.read()
    if encoding != "raw":
        data = zlib.decompressobj(wbits=47).decompress(data, expected + 1)
    if len(data) < expected:
        raise DataError(f"{path}: truncated: {len(data)} of {expected} bytes")
    if len(data) > expected:
        raise DataError(f"{path}: holds more than the {expected} bytes of {sizes}")
    return np.frombuffer(data[:expected], dtype).reshape(sizes, order="F")


def _layers(
    path: Path, header: Mapping[str, Any], values: NDArray[Any]
) -> list[NDArray[Any]]:
    codes = _axes(header, values.ndim)
    if values.ndim == 2:
        codes = ["", *codes]
        values = values[None]
    elif values.ndim == 3:
        codes = ["", *codes]
        values = values[None]
    flat = [axis for axis in range(1, values.ndim) if values.shape[axis] == 1]
    if values.ndim == 4:
        if not flat:
            raise DataError(f"{path}: {values.shape} is not a single slice")
        drop = max(flat, key=lambda axis: (codes[axis] in ("A", "P"), axis))
        values = np.take(values, 0, axis=drop)
        codes.pop(drop)
    if values.ndim != 3 or len(values) > _MOST_LAYERS:
        raise DataError(f"{path}: {values.shape} is not a single slice")
    axes = (codes[1], codes[2])
    return [hung(layer, None, axes).values for layer in values]


def _axes(header: Mapping[str, Any], count: int) -> list[str]:
    """Return where each axis runs to, empty where nothing says so."""
    space = str(header.get("space", "")).lower()
    names = {"lps": "left-posterior-superior", "ras": "right-anterior-superior"}
    named = [word[:1].upper() for word in names.get(space, space).split("-")[:3]]
    directions = header.get("space directions")
    if directions is None or len(named) != 3 or not set(named) <= set("LRAPSI"):
        return [""] * count
    opposite = dict(zip("LRAPSI", "RLPAIS", strict=True))
    codes = []
    for direction in directions:
        if direction is None or not np.isfinite(direction).all():
            codes.append("")
            continue
        axis = int(np.argmax(np.abs(direction)))
        codes.append(named[axis] if direction[axis] > 0 else opposite[named[axis]])
    return codes if len(codes) == count else [""] * count

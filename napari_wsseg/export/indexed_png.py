"""One indexed PNG a film, a colour a finding, for findings that do not overlap.

Index 1 is the project's first finding and so on; ``findings.csv`` says which. The PNG
itself says in a text chunk which findings were drawn, so that one found absent is told
from one that nobody looked for.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageColor, PngImagePlugin

from napari_wsseg.export import File, Found, Item, Note, Shape, formats, importers
from napari_wsseg.export.exporting.selection import Selection
from napari_wsseg.io import folder_files as _folder_files
from napari_wsseg.io.external import mask_values, tables
from napari_wsseg.io.external import spreadsheet as _spreadsheet
from napari_wsseg.io.films import limits as _limits
from napari_wsseg.jobs import DataError, naming, one_line
from napari_wsseg.schema import Finding, Mask

CHUNK = "wsseg findings"
"""Key of the text chunk: JSON, index to finding."""

_MOST = 255
_NAMED = 10


@formats.register("indexed_png")
def write(chosen: Selection) -> Iterator[Item]:
    """Yield ``<film>.png`` and ``findings.csv``.

    Raises
    ------
    DataError
        Findings overlap; names the films and how many pixels are contested.
    """
    if len(chosen.findings) > _MOST:
        raise DataError(f"an indexed PNG holds {_MOST} findings; export as png")
    refuse_overlaps(chosen, "an indexed PNG")
    findings = chosen.project.findings
    yield File("findings.csv", partial(_table, findings))
    for case, masks in chosen.each():
        yield case
        yield File(chosen.place(case, ".png"), partial(_png, findings, masks))


@importers.register("indexed_png")
def read(path: Path) -> Iterator[Found | Note]:
    """Yield the masks of a file, or of every file in a folder."""
    for file in _folder_files.with_ending(path, (".png",)) if path.is_dir() else [path]:
        film = file.relative_to(path) if path.is_dir() else Path(file.name)
        named = film.as_posix()[: -len(film.suffix)]
        try:
            findings = names(file)
        except DataError as error:
            if file == path:
                raise
            yield Note("skipped", str(error))
            continue
        remarks: list[str] = []
        for index, finding in findings.items():
            draw = partial(_mask, file, index, [*findings], remarks)
            yield Found(named, finding, draw, remarks=remarks)


def names(path: Path) -> dict[int, str]:
    """Return finding by index, of the file itself or of ``findings.csv`` beside it.

    Raises
    ------
    DataError
        Not an indexed PNG, or nothing says what its indices are.
    """
    text = _opened(path).info.get(CHUNK)
    table = path.parent / "findings.csv"
    try:
        if isinstance(text, str):
            return {int(index): str(name) for index, name in json.loads(text).items()}
        with tables.opened(table) as file:
            rows = tables.named(table, file)
            found = [(int(r["index"]), _spreadsheet.uncell(r["finding"])) for r in rows]
        named = dict(found)
        if len(named) < len(set(found)):
            raise DataError(f"{table}: one index has two findings")
        return named
    except (OSError, ValueError, KeyError, AttributeError, TypeError) as error:
        raise DataError(
            f"{path}: nothing says which finding an index is; put a findings.csv with "
            "the columns index and finding beside it"
        ) from error


def indices(path: Path) -> NDArray[np.uint8]:
    """Return the (H, W) indices of a film; `DataError` if it is not an indexed PNG."""
    return np.asarray(_opened(path), np.uint8)


def refuse_overlaps(chosen: Selection, what: str) -> None:
    """Refuse findings that overlap; `DataError` with films and contested pixels."""
    contested: dict[str, int] = {}
    for case, masks in chosen.each():
        depth = sum((mask.astype(np.uint8) for mask in masks.values()), np.uint8(0))
        count = int(np.count_nonzero(np.asarray(depth) > 1))
        if count:
            contested[case.name] = count
    if contested:
        listed = ", ".join(f"{n} ({c} px)" for n, c in [*contested.items()][:_NAMED])
        more = len(contested) - _NAMED
        raise DataError(
            f"findings overlap on {len(contested)} films, in "
            f"{sum(contested.values())} pixels, and {what} holds one finding a pixel; "
            f"export as png or coco, or part them: {listed}"
            + (f" and {more} more" if more > 0 else "")
        )


def _png(findings: tuple[Finding, ...], masks: Mapping[str, Mask]) -> bytes:
    names = [finding.name for finding in findings]
    shape = next(iter(masks.values())).shape
    values = np.zeros(shape, np.uint8)
    for name, mask in masks.items():
        values[mask] = names.index(name) + 1
    image = Image.fromarray(values).convert("P")
    colours = [ImageColor.getrgb(finding.colour)[:3] for finding in findings]
    image.putpalette([0, 0, 0, *(level for colour in colours for level in colour)])
    info = PngImagePlugin.PngInfo()
    info.add_itxt(CHUNK, json.dumps({names.index(name) + 1: name for name in masks}))
    file = io.BytesIO()
    image.save(file, "PNG", pnginfo=info)
    return file.getvalue()


def _table(findings: tuple[Finding, ...]) -> bytes:
    rows = [
        [index, finding.name, finding.colour]
        for index, finding in enumerate(findings, start=1)
    ]
    return _spreadsheet.table(["index", "finding", "colour"], rows)


def _mask(
    path: Path,
    index: int,
    named: Sequence[int],
    remarks: list[str],
    shape: Shape | None,
) -> Mask:
    values = indices(path)
    if shape is not None and values.shape != shape:
        raise DataError(
            f"{path}: the masks are {values.shape[0]} × {values.shape[1]}, their film "
            f"{shape[0]} × {shape[1]}; export them at the film's size"
        )
    try:
        remarks += mask_values.unnamed(values, named, "the table of findings")
    except DataError as error:
        raise DataError(f"{path}: {error}") from error
    return np.asarray(values == index)


def _opened(path: Path) -> Image.Image:
    _limits.check_file(path)
    try:
        with Image.open(path, formats=["PNG"]) as image:
            with naming(path):
                _limits.check_shape(image.height, image.width)
            image.load()
    except DataError:
        raise
    except Exception as error:  # damaged files make decoders raise nearly anything
        raise DataError(f"{path}: not an indexed PNG ({one_line(error)})") from error
    if image.mode != "P":
        raise DataError(f"{path}: a PNG of kind {image.mode}, not an indexed one")
    return image

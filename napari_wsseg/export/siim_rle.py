"""The run lengths of the SIIM-ACR pneumothorax challenge.

Pixels are counted down the columns. A run is a pair: the gap since the end of the run
before, then its length. An empty mask is ``-1``. The challenge's own encoder drops a
run that reaches the last pixel; ours keeps it, and any decoder reads it.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from napari_wsseg.export import File, Found, Item, Note, Shape, formats, importers
from napari_wsseg.export.exporting import several_files
from napari_wsseg.export.exporting.selection import Selection
from napari_wsseg.io import folder_files as _folder_files
from napari_wsseg.io.external import spreadsheet as _spreadsheet
from napari_wsseg.io.external import stated_size, tables
from napari_wsseg.io.external.stated_size import StatedSizes
from napari_wsseg.jobs import DataError
from napari_wsseg.ops import run_lengths
from napari_wsseg.schema import Mask

SHAPE = stated_size.STATED
"""The challenge's films; taken where nothing else says a size."""

_CLASS = re.compile("class|label|finding|categor|patholog|diseas", re.IGNORECASE)
"""What a column of findings may be called."""

_COLUMNS = ("ImageId", "EncodedPixels")

encode = run_lengths.siim_encode
"""From a (H, W) mask to its run lengths."""

decode = run_lengths.siim_decode
"""From run lengths and a shape to the mask."""


@formats.register("siim_rle")
def write(chosen: Selection) -> Iterator[Item]:
    """Yield ``<finding>.csv`` with the header ``ImageId,EncodedPixels``."""
    rows: dict[str, list[tuple[str, str]]] = {}
    for case, drawn in chosen.each():
        yield case
        for finding, mask in drawn.items():
            rows.setdefault(finding, []).append((chosen.name(case), encode(mask)))
    for finding, lines in rows.items():
        yield File(f"{finding}.csv", partial(_csv, lines))
    yield Note("lost", "the films' sizes: who reads the run lengths has to know them")


@importers.register("siim_rle")
def read(path: Path) -> Iterator[Found | Note]:
    """Yield the masks of a csv, which is one finding's, or of a folder of them.

    A film may have several rows, which are united.
    """
    files = _folder_files.with_ending(path, (".csv",)) if path.is_dir() else [path]
    yield from several_files.each(path, files, _found)


def is_one(header: str) -> bool:
    """Whether the first line of a file is that of such a csv."""
    names = [name.strip().strip('"') for name in header.lstrip("\ufeff").split(",")]
    return set(_COLUMNS) <= set(names)


def _found(file: Path) -> Iterator[Found | Note]:
    films = _rows(file)
    if run_lengths.are_starts(run for runs in films.values() for run in runs):
        raise DataError(
            f"{file}: its run lengths count from the first pixel on, where those of "
            "the SIIM challenge count from the end of the run before; subtract that"
        )
    ends = run_lengths.siim_ends(run for runs in films.values() for run in runs)
    sizes = StatedSizes(
        lambda shape: (end > shape[0] * shape[1] for end in ends), copies=False
    )
    for film, runs in films.items():
        if not any(run.strip() for run in runs):
            yield Note("skipped", f"{film}: {file.name} has no run lengths of it")
            continue
        remarks: list[str] = []
        draw = partial(_mask, runs, sizes, remarks)
        yield Found(film, "", draw, guess=file.stem, remarks=remarks)


def _mask(
    runs: Sequence[str], sizes: StatedSizes, remarks: list[str], shape: Shape | None
) -> Mask:
    """Return the union of a film's rows; one that is off costs that row alone.

    Where most of the file's rows end beyond a square film, they are the challenge's.
    """
    shape = shape or SHAPE
    size = sizes.size(shape)
    drawn: list[Mask] = []
    bad: list[str] = []
    for run in filter(str.strip, runs):
        try:
            drawn.append(decode(run, size))
        except DataError as error:
            bad.append(str(error))
    if not drawn:
        raise DataError("; ".join(bad[:3]))
    remarks += [f"a row was left out: {reason}" for reason in bad]
    if shape[0] == shape[1]:  # a copy of the challenge's film may be
        remarks += stated_size.remarks(shape, size)
    return stated_size.scaled(np.asarray(np.logical_or.reduce(drawn)), shape)


def _rows(path: Path) -> dict[str, list[str]]:
    rows: dict[str, list[str]] = {}
    try:
        with tables.opened(path) as file:
            for row in tables.named(path, file):
                named = {key.strip(): value for key, value in row.items() if key}
                if set(_COLUMNS) - set(named):
                    raise DataError(
                        f"{path.name} has no columns {' and '.join(_COLUMNS)}"
                    )
                if class_columns := [name for name in named if _CLASS.search(name)]:
                    raise DataError(
                        f"{path.name} has a column {class_columns[0]!r}: make a file "
                        "of each finding, for one file is of one"
                    )
                name, runs = (named[column] or "" for column in _COLUMNS)
                rows.setdefault(_spreadsheet.uncell(name.strip()), []).append(runs)
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path}: {tables.not_csv(path, error)}") from error
    return rows


def _csv(lines: Sequence[tuple[str, str]]) -> bytes:
    # Run lengths are numbers; those of an empty mask begin with a minus sign.
    numbers = (
        (name, int(runs) if runs == run_lengths.EMPTY else runs) for name, runs in lines
    )
    return _spreadsheet.table(_COLUMNS, numbers)

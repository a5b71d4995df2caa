"""One 1-bit PNG a finding and film, and ``labels.csv``: what ``wsseg init`` reads.

An empty mask is written too: it says that the reader saw nothing, which a missing file
does not.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from napari_wsseg.export import File, Found, Item, Note, formats, importers
from napari_wsseg.export.exporting.selection import Selection
from napari_wsseg.io import folder_files as _folder_files
from napari_wsseg.io.external import mask_files
from napari_wsseg.io.external import spreadsheet as _spreadsheet
from napari_wsseg.io.external.mask_values import PLAIN, Choice
from napari_wsseg.io.project_folder import mask_store as _mask_store

LABELS = "labels.csv"


@formats.register("png")
def write(chosen: Selection) -> Iterator[Item]:
    """Yield ``<finding>/<film>.png`` and ``labels.csv``.

    Films keep their sub-folders, so that no two masks meet.
    """
    yield File(LABELS, partial(_labels, chosen))
    for case, drawn in chosen.each():
        yield case
        for finding, mask in drawn.items():
            path = f"{finding}/{chosen.place(case, '.png')}"
            yield File(path, partial(_mask_store.encode, mask))


@importers.register("png")
def read(path: Path, *, choice: Choice = PLAIN) -> Iterator[Found | Note]:
    """Yield the masks of a folder ``<finding>/<film>.png``, or of one file.

    TIFF, GIF, BMP and JPEG are taken, too.
    """
    if path.is_file():
        yield _found(path, path.stem, "", choice)
        return
    for name in _folder_files.files(path):
        # Masks in the folder itself are of what it is called, or as a person says.
        finding, _, film = name.partition("/") if "/" in name else ("", "", name)
        stem, ending = os.path.splitext(film)
        if ending.lower() in mask_files.ENDINGS:
            guess = "" if finding else path.absolute().name
            yield _found(path / name, stem, finding, choice, guess)
        elif name != LABELS:
            yield Note("skipped", f"{name}: not an image, so no mask")


def _found(
    path: Path, film: str, finding: str, choice: Choice, guess: str = ""
) -> Found:
    remarks: list[str] = []
    draw = partial(mask_files.read, path, choice=choice, remarks=remarks)
    return Found(film, finding, draw, guess=guess, remarks=remarks)


def _labels(chosen: Selection) -> bytes:
    rows = []
    for case in chosen.every_case:
        values = [case.labels.get(name) for name in chosen.findings]
        blanks = ("" if value is None else value for value in values)
        rows.append([_spreadsheet.path(case.path), *blanks, case.split])
    return _spreadsheet.table(["image", *chosen.findings, "split"], rows)

"""One 1-bit PNG a finding and film, and ``labels.csv``: what ``wsseg init`` reads.

An empty mask is written too: it says that the reader saw nothing, which a missing file
does not.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from napari_wsseg.export import File, Found, Item, Note, formats, importers
from napari_wsseg.export.exporting import spreadsheet as _sheet
from napari_wsseg.export.exporting.selection import Selection
from napari_wsseg.io import mask_files as masks
from napari_wsseg.io.project_folder import mask_store as _masks


@formats.register("png")
def write(chosen: Selection) -> Iterator[Item]:
    """Yield ``<finding>/<film>.png`` and ``labels.csv``.

    Films keep their sub-folders, so that no two masks meet.
    """
    yield File("labels.csv", partial(_labels, chosen))
    for case, drawn in chosen.each():
        yield case
        for finding, mask in drawn.items():
            path = f"{finding}/{chosen.place(case, '.png')}"
            yield File(path, partial(_masks.encode, mask))


@importers.register("png")
def read(path: Path) -> Iterator[Found | Note]:
    """Yield the masks of a folder ``<finding>/<film>.png``, or of one file."""
    if path.is_file():
        yield Found(path.stem, "", partial(masks.read, path))
        return
    for file in sorted(path.glob("*/**/*.png")):
        finding, *film = file.relative_to(path).with_suffix("").parts
        yield Found("/".join(film), finding, partial(masks.read, file))


def _labels(chosen: Selection) -> bytes:
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["image", *chosen.findings, "split"])
    for case in chosen.project.cases():
        values = [case.labels.get(name) for name in chosen.findings]
        writer.writerow(
            [
                _sheet.path(case.path),
                *("" if v is None else v for v in values),
                case.split,
            ]
        )
    return text.getvalue().encode()

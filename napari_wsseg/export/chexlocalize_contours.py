"""CheXlocalize's JSON of contours, one file for all films.

``{film: {img_size, finding: [contour, …]}}``, as ``gt_annotations_val.json``; a contour
is a list of [x, y], the pixels that it goes through being part of the mask.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

from napari_wsseg.export import File, Item, chexlocalize, formats, importers
from napari_wsseg.export.exporting.selection import Selection
from napari_wsseg.io.external import json_masks
from napari_wsseg.ops import outlines

importers.register("chexlocalize_contours")(chexlocalize.read)


@formats.register("chexlocalize_contours")
def write(chosen: Selection) -> Iterator[Item]:
    """Yield ``gt_annotations_wsseg.json``; a hole is told by cutting round it."""
    films: dict[str, dict[str, Any]] = {}
    for case, masks in chosen.each():
        yield case
        entry: dict[str, Any] = {json_masks.SIZE: list(case.shape)}
        for finding, mask in masks.items():
            name = chexlocalize.written_name(chosen, finding)
            entry[name] = [one.tolist() for one in outlines.borders(mask)]
        films[chexlocalize.key(chosen, case)] = entry
    yield from chexlocalize.unmarked(chosen)
    yield File("gt_annotations_wsseg.json", partial(chexlocalize.dumped, films))

"""COCO's JSON with polygons along the pixels' edges, one annotation a finding and film.

Polygons of one annotation are united, so a hole is told by cutting round it.
"""

from __future__ import annotations

from collections.abc import Iterator

from napari_wsseg.export import Item, coco, formats, importers
from napari_wsseg.export.exporting.selection import Selection
from napari_wsseg.ops import outlines
from napari_wsseg.schema import Mask

importers.register("coco_polygons")(coco.read)


@formats.register("coco_polygons")
def write(chosen: Selection) -> Iterator[Item]:
    """Yield ``annotations.json``."""
    yield from coco.document(chosen, _polygons)


def _polygons(mask: Mask) -> list[list[int]]:
    return [one.ravel().tolist() for one in outlines.edges(mask)]

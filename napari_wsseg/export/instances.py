"""One 16-bit PNG a finding and film in which every lesion has a number of its own.

Lesions that touch are parted where an IRNet in use has learned a displacement field
(recipe ``irnet`` with ``displacement=true``); elsewhere a lesion is what hangs
together.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np
from numpy.typing import NDArray

from napari_wsseg.export import File, Item, formats
from napari_wsseg.export.exporting.film_png import png
from napari_wsseg.export.exporting.selection import Selection
from napari_wsseg.io import stages
from napari_wsseg.io.project import Project
from napari_wsseg.ops import geometry, instances, masks
from napari_wsseg.schema import Case, Mask


@formats.register("instances")
def write(chosen: Selection) -> Iterator[Item]:
    """Yield ``<finding>/<film>.png``: 0 outside, 1, 2, 3 … for each lesion."""
    run = chosen.project.adopted("irnet")
    for case, drawn in chosen.each():
        yield case
        field = _field(chosen.project, case, run)
        for finding, mask in drawn.items():
            path = f"{finding}/{chosen.place(case, '.png')}"
            yield File(path, partial(_png, mask, field))


def _png(mask: Mask, field: NDArray[np.float32] | None) -> bytes:
    return png(_lesions(mask, field).astype(np.uint16))


def _lesions(mask: Mask, field: NDArray[np.float32] | None) -> NDArray[np.int32]:
    """Give every lesion of a mask a number; (H, W), 0 outside."""
    regions, count = masks.components(mask)
    if field is None or not count:
        return regions
    parted = instances.split(mask, field)
    # A centroid may gather what does not hang together: both have to agree.
    both = regions.astype(np.int64) * (int(parted.max()) + 1) + parted
    _, numbers = np.unique(both[mask], return_inverse=True)
    regions[mask] = numbers + 1
    return regions


def _field(project: Project, case: Case, run: str | None) -> NDArray[np.float32] | None:
    """Return the displacement field (2, h, w) over the film, margins taken off."""
    maps = None if run is None else stages.read(project.folder, "irnet", run, case.id)
    found = None if maps is None else maps.extra.get("displacement")
    if found is None:
        return None
    _, _, height, width = geometry.content_box(case.shape, found.shape[-1])
    over_film = (
        geometry.unletterbox(plane.astype(np.float32), case.shape, grid=(height, width))
        for plane in found
    )
    return np.stack(list(over_film))

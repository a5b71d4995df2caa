"""One DICOM presentation state a film: outlines, for viewers that show no segmentation.

Each finding is a layer of its colour. The outlines follow the edges of the pixels, so
that they enclose the mask exactly; a hole is cut open by a line to the outside.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

import numpy as np

from napari_wsseg.export import File, Item, Note, formats, with_identity
from napari_wsseg.export.exporting import dicom_objects as _dicom_objects
from napari_wsseg.export.exporting.dicom_objects import Source
from napari_wsseg.export.exporting.selection import Selection
from napari_wsseg.ops import outlines
from napari_wsseg.schema import Case, Mask

ENDING = ".pr.dcm"


@formats.register("dicom_gsps")
@with_identity
def write(chosen: Selection) -> Iterator[Item]:
    """Yield ``<film>.pr.dcm``; a film without a drawn finding has none."""
    yield from _dicom_objects.per_film(chosen, partial(_files, chosen))


def _files(
    chosen: Selection, case: Case, source: Source, masks: Mapping[str, Mask]
) -> Iterator[Item]:
    drawn = {finding: mask for finding, mask in masks.items() if mask.any()}
    if source.image.get("SamplesPerPixel", 1) != 1:
        reason = "is in colour, which no such state can show"
        yield Note("skipped", f"{case.name}: {reason}")
    elif not drawn:
        reason = "no finding is drawn, so there is nothing to outline"
        yield Note("skipped", f"{case.name}: {reason}")
    else:
        made = partial(state, chosen, case, source, drawn)
        yield File(chosen.place(case, ENDING), _dicom_objects.file(made))


def state(
    chosen: Selection, case: Case, source: Source, masks: Mapping[str, Mask]
) -> Any:
    """Return the presentation state of a film (PS3.3 A.33.1).

    Parameters
    ----------
    chosen
        Whose project has the findings' colours.
    case
        The film.
    source
        What the object refers to, see `dicom_objects.films`.
    masks
        Finding to (H, W) mask on the film's own grid, at least one.

    Returns
    -------
    pydicom Dataset
        Ready to be encoded.
    """
    import highdicom as hd

    colours = {one.name: one.colour for one in chosen.project.findings}
    layers = {
        finding: hd.pr.GraphicLayer(
            layer_name=f"FINDING_{number}",
            order=number,
            description=finding[:64],
            display_color=_dicom_objects.colour(colours[finding]),
        )
        for number, finding in enumerate(masks, start=1)
    }
    inverse = source.image.get("PhotometricInterpretation") == "MONOCHROME1"
    made = hd.pr.GrayscaleSoftcopyPresentationState(
        referenced_images=[source.image],
        content_label="FINDINGS",
        content_description="Research use only",
        series_description="Outlines. Research use only.",
        graphic_layers=[*layers.values()],
        graphic_annotations=[
            _annotation(chosen, case, source, finding, mask, layers[finding])
            for finding, mask in masks.items()
        ],
        presentation_lut_transformation=hd.PresentationLUTTransformation(
            presentation_lut_shape="INVERSE" if inverse else "IDENTITY"
        ),
        specific_character_set="ISO_IR 192",
        **_dicom_objects.common(chosen, case, source, "outlines").arguments,
    )
    made.Laterality = None  # type 2C; the film says it
    return source.finish(made)


def _annotation(
    chosen: Selection, case: Case, source: Source, finding: str, mask: Mask, layer: Any
) -> Any:
    import highdicom as hd

    objects = [
        hd.pr.GraphicObject(
            graphic_type="POLYLINE",
            graphic_data=np.vstack([points, points[:1]]).astype(np.float32),
            units="PIXEL",
            tracking_id=finding,
            tracking_uid=_dicom_objects.tracking_uid(chosen, case, finding),
        )
        for points in outlines.edges(mask)
    ]
    return hd.pr.GraphicAnnotation(
        referenced_images=[source.image], graphic_layer=layer, graphic_objects=objects
    )

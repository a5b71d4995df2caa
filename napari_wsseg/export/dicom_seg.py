"""One DICOM segmentation a film, a binary segment a finding; findings may overlap.

It refers to the film by its UIDs and holds nobody's identity. Of a film that is not
DICOM a de-identified secondary capture is written beside it, so that there is an image
to refer to.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from PIL import ImageColor

from napari_wsseg.export import File, Found, Item, Note, Shape, formats, importers
from napari_wsseg.export.exporting import dicom_codes as _codes
from napari_wsseg.export.exporting import stand_in_dicom as _stand_in
from napari_wsseg.export.exporting.selection import Selection
from napari_wsseg.io.films import limits as _film
from napari_wsseg.jobs import DataError
from napari_wsseg.schema import Annotation, Case, Mask

ENDING = ".seg.dcm"
SOP_CLASSES = ("1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.66.7")
"""Segmentation Storage, and the one of label maps."""

_MOST_FRAMES = 512


@formats.register("dicom_seg")
def write(chosen: Selection) -> Iterator[Item]:
    """Yield ``<film>.seg.dcm``, and ``<film>.dcm`` of films that are not DICOM."""
    captured = 0
    for case, masks in chosen.each():
        yield case
        try:
            source = _stand_in.of(chosen.project, case)
            if source is None:
                captured += 1
                source = _stand_in.capture(chosen.project, case)
                capture = partial(_stand_in.encoded, source)
                yield File(chosen.place(case, ".dcm"), capture)
        except DataError as error:
            yield Note("skipped", str(error))
            continue
        annotations = chosen.annotations(case)
        data = partial(_encoded, chosen, case, source, annotations, masks)
        yield File(chosen.place(case, ENDING), data)
    if captured:
        yield Note(
            "warning",
            f"{captured} films are not DICOM: their pixels are written as secondary "
            "captures; look at them for names burned in before they go anywhere",
        )
    if captured < len(chosen.cases):
        yield Note(
            "warning",
            "the UIDs of study, series and film are kept, which lead who has the "
            "archive back to the patient",
        )


@importers.register("dicom_seg")
def read(path: Path) -> Iterator[Found | Note]:
    """Yield the masks of a file, or of every segmentation in a folder."""
    files = sorted(path.rglob("*")) if path.is_dir() else [path]
    for file in files:
        if path.is_file() or (file.is_file() and is_one(file)):
            yield from _found(file)


def is_one(path: Path) -> bool:
    """Whether a file is a DICOM segmentation, by its first bytes."""
    try:
        with path.open("rb") as file:
            head = file.read(1024)
    except (OSError, ValueError):
        return False
    return head[128:132] == b"DICM" and any(
        uid.encode() + end in head for uid in SOP_CLASSES for end in (b"\0", b"\x02")
    )


def _encoded(
    chosen: Selection,
    case: Case,
    source: Any,
    annotations: Mapping[str, Annotation],
    masks: Mapping[str, Mask],
) -> bytes:
    import highdicom
    from pydicom.uid import generate_uid

    colours = {one.name: one.colour for one in chosen.project.findings}
    segments = [
        _segment(number, chosen, annotations[finding], colours[finding])
        for number, finding in enumerate(masks, start=1)
    ]
    made = highdicom.seg.Segmentation(
        source_images=[source],
        pixel_array=np.stack([*masks.values()], axis=-1)[None].astype(np.uint8),
        segmentation_type="BINARY",
        segment_descriptions=segments,
        series_instance_uid=str(generate_uid()),
        series_number=1,
        sop_instance_uid=str(generate_uid()),
        instance_number=1,
        manufacturer=_stand_in.MANUFACTURER,
        manufacturer_model_name="wsseg",
        software_versions=version("napari-wsseg"),
        device_serial_number="0",
        content_label="FINDINGS",
        content_description="Research use only",
        series_description="Findings. Research use only.",
        omit_empty_frames=False,
        specific_character_set="ISO_IR 192",
    )
    _stand_in.mark(made)
    _codes.declare(made)
    return _stand_in.encoded(made)


def _segment(number: int, chosen: Selection, one: Annotation, colour: str) -> Any:
    import highdicom
    from pydicom.sr.codedict import codes

    kind, run = _codes.algorithm(chosen.project, one)
    red, green, blue = ImageColor.getrgb(colour)[:3]
    algorithm = None
    if run:
        algorithm = highdicom.AlgorithmIdentificationSequence(
            name=run, family=codes.DCM.ArtificialIntelligence, version="1"
        )
    return highdicom.seg.SegmentDescription(
        segment_number=number,
        segment_label=one.finding,
        segmented_property_category=_codes.category(one.finding),
        segmented_property_type=_codes.property_type(one.finding),
        algorithm_type=kind,
        algorithm_identification=algorithm,
        tracking_uid=None,
        display_color=highdicom.color.CIELabColor.from_rgb(red, green, blue),
    )


def _found(path: Path) -> Iterator[Found]:
    segmentation = _opened(path)
    film = str(segmentation.get("PatientID") or path.name.split(".")[0])
    uids = [str(uid) for _, _, uid in segmentation.get_source_image_uids()]
    for number in segmentation.segment_numbers:
        told = segmentation.get_segment_description(number)
        for uid in uids:
            draw = partial(_mask, path, segmentation, uid, int(number))
            meaning = str(told.segmented_property_type.meaning)
            label = str(told.segment_label)
            yield Found(film, label, draw, sop_uid=uid, guess=meaning)


def _opened(path: Path) -> Any:
    import highdicom
    from pydicom import dcmread

    _film.check_file(path)
    try:
        dataset = dcmread(path)
        if str(dataset.get("SOPClassUID")) not in SOP_CLASSES:
            raise DataError(f"{path}: DICOM, but not a segmentation")
        _film.check_shape(path, int(dataset.Rows), int(dataset.Columns))
        frames = int(dataset.get("NumberOfFrames") or 1)
        if frames > _MOST_FRAMES:
            raise DataError(
                f"{path}: {frames} frames; a film's segmentation has one a finding"
            )
        bits = frames * dataset.Rows * dataset.Columns * dataset.BitsAllocated
        native = not dataset.file_meta.TransferSyntaxUID.is_encapsulated
        if native and len(dataset.PixelData) * 8 < bits:
            raise DataError(f"{path}: its pixels break off; export it again")
        _without_bare_spacing(dataset)
        return highdicom.seg.Segmentation.from_dataset(dataset, copy=False)
    except DataError:
        raise
    except Exception as error:  # damaged files make pydicom raise nearly anything
        words = " ".join(str(error).split())[:200] or type(error).__name__
        raise DataError(f"{path}: not a DICOM segmentation ({words})") from error


def _without_bare_spacing(dataset: Any) -> None:
    """Drop a spacing without a slice thickness, which highdicom writes but rejects."""
    for group in dataset.get("SharedFunctionalGroupsSequence", ()):
        measures = group.get("PixelMeasuresSequence", ())
        if any("SliceThickness" not in one for one in measures):
            del group.PixelMeasuresSequence


def _mask(
    path: Path, segmentation: Any, uid: str, number: int, shape: Shape | None
) -> Mask:
    size = (int(segmentation.Rows), int(segmentation.Columns))
    if shape is not None and size != shape:
        raise DataError(
            f"{path}: the masks are {size[0]} × {size[1]}, their film {shape[0]} × "
            f"{shape[1]}"
        )
    try:
        frames = segmentation.get_pixels_by_source_instance(
            [uid],
            segment_numbers=[number],
            ignore_spatial_locations=True,
            assert_missing_frames_are_empty=True,
        )
    except Exception as error:  # see above
        words = " ".join(str(error).split())[:200] or type(error).__name__
        raise DataError(f"{path}: segment {number} cannot be read ({words})") from error
    # A fractional segment counts where it is likelier than not.
    return np.asarray(frames[0, ..., 0] > 0.5)

"""One DICOM segmentation a film, a binary segment a finding; findings may overlap.

De-identified, it refers to a secondary capture that is written beside it, and nothing
in either leads back to the patient. For the archive that has the film, it is of the
same patient and study, and refers to the film itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np

from napari_wsseg.export import (
    Found,
    Item,
    Note,
    Shape,
    formats,
    importers,
    with_identity,
)
from napari_wsseg.export.exporting import dicom_objects as _dicom_objects
from napari_wsseg.export.exporting import several_files
from napari_wsseg.export.exporting.selection import Selection
from napari_wsseg.io import folder_files as _folder_files
from napari_wsseg.io.dicom import guard
from napari_wsseg.io.films import limits as _limits
from napari_wsseg.jobs import DataError, naming, one_line
from napari_wsseg.schema import Mask

ENDING = ".seg.dcm"
SOP_CLASSES = ("1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.66.7")
"""Segmentation Storage, and the one of label maps."""

_MOST_FRAMES = 512


@formats.register("dicom_seg")
@with_identity
def write(chosen: Selection) -> Iterator[Item]:
    """Yield ``<film>.seg.dcm``; de-identified, the film as ``<film>.dcm``, too."""
    files = partial(_dicom_objects.segmentation_file, chosen, ENDING)
    yield from _dicom_objects.per_film(chosen, files)


@importers.register("dicom_seg")
def read(path: Path) -> Iterator[Found | Note]:
    """Yield the masks of a file, or of every segmentation in a folder."""
    if path.is_dir():
        below = (path / name for name in _folder_files.files(path))
        files = [file for file in below if is_one(file)]
    else:
        files = [path]
    yield from several_files.each(path, files, _found)


def is_one(path: Path) -> bool:
    """Whether a file is a DICOM segmentation, by its first bytes."""
    if not path.is_file():
        return False  # opening a pipe would wait for its writer
    try:
        with path.open("rb") as file:
            head = file.read(1024)
    except (OSError, ValueError):
        return False
    return head[128:132] == b"DICM" and any(
        uid.encode() + end in head for uid in SOP_CLASSES for end in (b"\0", b"\x02")
    )


def _found(path: Path) -> Iterator[Found | Note]:
    segmentation = _opened(path)
    named = path.name.lower().endswith(ENDING)
    film = path.name[: -len(ENDING)] if named else path.stem
    frames = _frames(segmentation)
    sources = dict.fromkeys(uid for _, _, uids in frames for uid in uids)
    films: list[str | None] = [*sources] or [None]
    described = {int(number) for number in segmentation.segment_numbers}
    drawn = {number for _, segments, _ in frames for number in segments}
    if strange := sorted(drawn - described):
        text = f"{film}: frames of segment {strange[0]}, which {path.name} does not"
        yield Note("skipped", f"{text} describe")
        # Nobody can say whether they are of one that is described and has none.
        described &= drawn
    for number in sorted(described):
        description = segmentation.get_segment_description(number)
        meaning = str(description.segmented_property_type.meaning)
        label = str(description.segment_label)
        for uid in films:
            # A segment without a frame of a film is empty there (PS3.3 C.8.20.2).
            own = [
                frame
                for frame, segments, uids in frames
                if number in segments and (uid is None or uid in uids)
            ]
            draw = partial(_mask, path, own, number)
            yield Found(film, label, draw, sop_uid=uid, guess=meaning)


def _frames(segmentation: Any) -> list[tuple[int, list[int], list[str]]]:
    """Return each frame with the segments in it and the films that it was drawn on.

    A film is named by frame or for all frames (Derivation Image, PS3.3 C.7.6.16.2.6),
    else for the whole file, as source, reference, or in the list of the series.
    """
    shared: Any = next(iter(segmentation.get("SharedFunctionalGroupsSequence", ())), {})
    numbers = [int(number) for number in segmentation.segment_numbers]
    for_all = _instances(shared) or _of_file(segmentation)
    frames = []
    per_frame = segmentation.get("PerFrameFunctionalGroupsSequence", ())
    for frame in range(1, int(segmentation.get("NumberOfFrames") or 1) + 1):
        group = per_frame[frame - 1] if frame <= len(per_frame) else {}
        named = [
            int(item.ReferencedSegmentNumber)
            for source in (group, shared)
            for item in source.get("SegmentIdentificationSequence", ())
        ]
        frames.append((frame, named[:1] or numbers, _instances(group) or for_all))
    return frames


def _instances(group: Any) -> list[str]:
    """Return the films that a functional group says its frames were derived from."""
    return [
        str(source.ReferencedSOPInstanceUID)
        for item in group.get("DerivationImageSequence", ())
        for source in item.get("SourceImageSequence", ())
        if "ReferencedSOPInstanceUID" in source
    ]


def _of_file(segmentation: Any) -> list[str]:
    items = [
        item
        for keyword in ("SourceImageSequence", "ReferencedImageSequence")
        for item in segmentation.get(keyword, ())
    ]
    series = [*segmentation.get("ReferencedSeriesSequence", ())]
    for study in segmentation.get(
        "StudiesContainingOtherReferencedInstancesSequence", ()
    ):
        series += study.get("ReferencedSeriesSequence", ())
    for one in series:
        items += one.get("ReferencedInstanceSequence", ())
    for item in segmentation.get("SourceImageEvidenceSequence", ()):
        for one in item.get("ReferencedSeriesSequence", ()):
            items += one.get("ReferencedSOPSequence", ())
    found = (str(item.get("ReferencedSOPInstanceUID", "")) for item in items)
    return [*filter(None, dict.fromkeys(found))]


def _opened(path: Path) -> Any:
    """Return a file's segmentation; the last one is kept while the file is the same."""
    _dicom_objects.need_highdicom()
    _limits.check_file(path)
    state = path.stat()
    return _parsed(path, state.st_mtime_ns, state.st_size)


@lru_cache(maxsize=1)
def _parsed(path: Path, changed: int, size: int) -> Any:
    import highdicom
    from pydicom import dcmread

    try:
        with path.open("rb") as file, naming(path):
            guard.check(file)
            guard.check_items(file)
        dataset = dcmread(path)
        if str(dataset.get("SOPClassUID")) not in SOP_CLASSES:
            raise DataError(f"{path}: DICOM, but not a segmentation")
        with naming(path):
            _limits.check_shape(int(dataset.Rows), int(dataset.Columns))
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
        raise DataError(
            f"{path}: not a DICOM segmentation ({one_line(error)})"
        ) from error


def _without_bare_spacing(dataset: Any) -> None:
    """Drop a spacing without a slice thickness, which highdicom writes but rejects."""
    for group in dataset.get("SharedFunctionalGroupsSequence", ()):
        measures = group.get("PixelMeasuresSequence", ())
        if any("SliceThickness" not in one for one in measures):
            del group.PixelMeasuresSequence


def _mask(path: Path, frames: Sequence[int], number: int, shape: Shape | None) -> Mask:
    segmentation = _opened(path)
    size = (int(segmentation.Rows), int(segmentation.Columns))
    if shape is not None and size != shape:
        raise DataError(
            f"{path}: the masks are {size[0]} × {size[1]}, their film {shape[0]} × "
            f"{shape[1]}"
        )
    mask = np.zeros(size, bool)
    kind = str(segmentation.SegmentationType)
    most = float(segmentation.get("MaximumFractionalValue") or 1)
    highest = 0.0
    try:
        for frame in frames:
            values = segmentation.get_stored_frame(frame)
            # A fractional segment counts where it is likelier than not.
            drawn = values == number if kind == "LABELMAP" else values > most / 2
            mask |= np.asarray(drawn).reshape(size)
            highest = max(highest, float(values.max()))
    except Exception as error:  # see above
        raise DataError(
            f"{path}: segment {number} cannot be read ({one_line(error)})"
        ) from error
    if kind == "FRACTIONAL" and highest and not mask.any():
        raise DataError(
            f"{path}: segment {number}: no fraction is above one half, the highest is "
            f"{highest:g} of {most:g}; export it as a binary segmentation"
        )
    return mask

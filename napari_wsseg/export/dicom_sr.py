"""One DICOM measurement report (TID 1500) a film, beside the segmentation it is about.

A finding's area is in square millimetres where the film says its pixels' size, and
says whether that is at the detector or calibrated; else in pixels. With it go the
reader, the decision, and where the mask came from.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from importlib.metadata import version
from typing import Any

from napari_wsseg.export import File, Item, formats, with_identity
from napari_wsseg.export.exporting import dicom_codes as _dicom_codes
from napari_wsseg.export.exporting import dicom_objects as _dicom_objects
from napari_wsseg.export.exporting import stand_in_dicom as _stand_in_dicom
from napari_wsseg.export.exporting.dicom_objects import Source
from napari_wsseg.export.exporting.identity import header as header_of
from napari_wsseg.export.exporting.identity import made_uid
from napari_wsseg.export.exporting.selection import Selection
from napari_wsseg.io.dicom import geometry
from napari_wsseg.schema import Annotation, Case, Decision, Mask

ENDING = ".sr.dcm"

_CHEST_RADIOGRAPH = ("399208008", "SCT", "Plain chest X-ray")

_METHODS = {
    "detector": ("AT_DETECTOR", "At the detector, magnified (imager pixel spacing)"),
    "pixel": ("CALIBRATED", "By the film's calibrated pixel spacing"),
}

_VERDICTS = {
    "accept": ("ACCEPTED", "Accepted"),
    "accept with edits": ("ACCEPTED_EDITED", "Accepted with edits"),
    "reject": ("REJECTED", "Rejected"),
    "flag": ("FLAGGED", "Flagged for another look"),
}


@formats.register("dicom_sr")
@with_identity
def write(chosen: Selection) -> Iterator[Item]:
    """Yield ``<film>.sr.dcm`` and the ``<film>.seg.dcm`` that it is about."""
    yield from _dicom_objects.per_film(chosen, partial(_files, chosen))


def _files(
    chosen: Selection, case: Case, source: Source, masks: Mapping[str, Mask]
) -> Iterator[Item]:
    yield from _dicom_objects.segmentation_file(chosen, ".seg.dcm", case, source, masks)
    made = partial(report, chosen, case, source, masks)
    yield File(chosen.place(case, ENDING), _dicom_objects.file(made))


def report(
    chosen: Selection, case: Case, source: Source, masks: Mapping[str, Mask]
) -> Any:
    """Return the measurement report of a film (PS3.16 TID 1500).

    Parameters
    ----------
    chosen
        Whose project has the decision and whose masks are measured.
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
    from pydicom.sr.codedict import codes

    segmented = _dicom_objects.segmentation(chosen, case, source, masks)
    annotations = chosen.annotations(case)
    decision = chosen.project.decision(case.id, reader=chosen.scope.reader)
    groups = [
        _group(chosen, case, source, segmented, number, annotations[finding], decision)
        for number, finding in enumerate(masks, start=1)
    ]
    reader = decision.reader if decision else next(iter(annotations.values())).reader
    content = hd.sr.MeasurementReport(
        observation_context=hd.sr.ObservationContext(
            observer_person_context=_person(reader),
            observer_device_context=_device(chosen),
        ),
        procedure_reported=hd.sr.CodedConcept(*_CHEST_RADIOGRAPH),
        imaging_measurements=groups,
        title=codes.DCM.ImagingMeasurementReport,
    )
    shared = _dicom_objects.common(
        chosen,
        case,
        source,
        "report",
        *([f"decision {decision.id}"] if decision else []),
    )
    made = hd.sr.Comprehensive3DSR(
        evidence=[source.image, segmented],
        content=content[0],
        series_description="Findings, measured. Research use only.",
        is_complete=True,
        specific_character_set="ISO_IR 192",
        **shared.arguments,
    )
    if shared.earlier:
        made.PredecessorDocumentsSequence = [_predecessor(made, shared.earlier[-1])]
    return source.finish(made)


def _group(
    chosen: Selection,
    case: Case,
    source: Source,
    segmented: Any,
    number: int,
    one: Annotation,
    decision: Decision | None,
) -> Any:
    """Return what is measured of one finding."""
    import highdicom as hd

    kind, run = _dicom_codes.algorithm(chosen.project, one)
    evaluations = [_evaluation("ORIGIN", "How the mask was made", (kind, kind.title()))]
    if decision is not None:
        verdict = _VERDICTS[decision.verdict]
        evaluations.append(_evaluation("DECISION", "Reader's decision", verdict))
    segment = hd.sr.ReferencedSegmentationFrame(
        sop_class_uid=segmented.SOPClassUID,
        sop_instance_uid=segmented.SOPInstanceUID,
        frame_number=number,
        segment_number=number,
        source_image=hd.sr.SourceImageForSegmentation.from_source_image(source.image),
    )
    # A segment is named by its frame or by its number, not by both (PS3.3 C.18.4).
    del segment[0].ReferencedSOPSequence[0].ReferencedFrameNumber
    return hd.sr.PlanarROIMeasurementsAndQualitativeEvaluations(
        tracking_identifier=hd.sr.TrackingIdentifier(
            uid=_dicom_objects.tracking_uid(chosen, case, one.finding),
            identifier=one.finding,
        ),
        referenced_segment=segment,
        finding_type=chosen.codes.code(one.finding).type,
        algorithm_id=_algorithm(run) if run else None,
        measurements=[_area(case, one, _spacing(chosen, case, source))],
        qualitative_evaluations=evaluations,
    )


def _algorithm(run: str) -> Any:
    import highdicom as hd
    from pydicom.sr.codedict import codes

    return hd.sr.AlgorithmIdentification(
        name=run,
        version=version("napari-wsseg"),
        family=codes.DCM.ArtificialIntelligence,
        manufacturer=_stand_in_dicom.MANUFACTURER,
    )


def _area(case: Case, one: Annotation, kind: str | None) -> Any:
    import highdicom as hd
    from pydicom.sr.codedict import codes

    if case.spacing_mm is None or kind is None:
        pixels = hd.sr.CodedConcept("{pixels}", "UCUM", "Pixels")
        return hd.sr.Measurement(codes.SCT.Area, value=one.area_px, unit=pixels)
    value, meaning = _METHODS[kind]
    row, column = case.spacing_mm
    return hd.sr.Measurement(
        codes.SCT.Area,
        value=round(one.area_px * row * column, 3),
        unit=codes.UCUM.SquareMillimeter,
        method=hd.sr.CodedConcept(value, _dicom_codes.SCHEME, meaning),
    )


def _spacing(chosen: Selection, case: Case, source: Source) -> str | None:
    """Return what the film's spacing is measured on."""
    tags = ("PixelSpacing", "ImagerPixelSpacing", "NominalScannedPixelSpacing")
    header = source.film or header_of(chosen.project.image_path(case), tags)
    return geometry.spacing(header)[1] if header is not None else "pixel"


def _evaluation(value: str, meaning: str, answer: tuple[str, str]) -> Any:
    import highdicom as hd

    return hd.sr.QualitativeEvaluation(
        name=hd.sr.CodedConcept(value, _dicom_codes.SCHEME, meaning),
        value=hd.sr.CodedConcept(answer[0], _dicom_codes.SCHEME, answer[1]),
    )


def _person(reader: str) -> Any:
    import highdicom as hd
    from pydicom.sr.codedict import codes

    return hd.sr.ObserverContext(
        observer_type=codes.DCM.Person,
        observer_identifying_attributes=hd.sr.PersonObserverIdentifyingAttributes(
            name=_plain_name(reader)
        ),
    )


def _plain_name(reader: str) -> str:
    """Return a reader's name as DICOM's person names may be: a family name."""
    plain = "".join(" " if sign in "\\=^" else sign for sign in reader)
    return f"{plain.strip()[:63] or 'reader'}^"


def _device(chosen: Selection) -> Any:
    import highdicom as hd
    from pydicom.sr.codedict import codes

    return hd.sr.ObserverContext(
        observer_type=codes.DCM.Device,
        observer_identifying_attributes=hd.sr.DeviceObserverIdentifyingAttributes(
            uid=made_uid(chosen.project.secret, chosen.identity, "device"),
            manufacturer_name=_stand_in_dicom.MANUFACTURER,
            model_name="wsseg",
        ),
    )


def _predecessor(made: Any, before: str) -> Any:
    from pydicom.dataset import Dataset

    document, series, study = Dataset(), Dataset(), Dataset()
    document.ReferencedSOPClassUID = made.SOPClassUID
    document.ReferencedSOPInstanceUID = before
    series.SeriesInstanceUID = made.SeriesInstanceUID
    series.ReferencedSOPSequence = [document]
    study.StudyInstanceUID = made.StudyInstanceUID
    study.ReferencedSeriesSequence = [series]
    return study

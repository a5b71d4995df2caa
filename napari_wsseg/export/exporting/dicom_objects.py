"""What DICOM objects of a film have in common: whose it is, UIDs, history."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from typing import Any

import numpy as np
from PIL import ImageColor

from napari_wsseg.export.exporting import dicom_codes as _dicom_codes
from napari_wsseg.export.exporting import stand_in_dicom as _stand_in_dicom
from napari_wsseg.export.exporting.identity import made_uid
from napari_wsseg.export.exporting.items import File, Item, Note
from napari_wsseg.export.exporting.selection import Selection
from napari_wsseg.jobs import DataError, JobFailed
from napari_wsseg.schema import Annotation, Case, Mask

SEGMENTATION = "1.2.840.10008.5.1.4.1.1.66.4"

SERIES = {"masks": 9001, "report": 9002, "outlines": 9003}
"""Series numbers behind whatever a study has, by what we call a series."""

_DE_IDENTIFIED = (
    "identity: de-identified. Every film is written as a secondary capture beside its "
    "masks, both with new UIDs and no patient; look at the pixels for names burned in. "
    "The archive that has the films cannot attach these masks: for that, choose the "
    "identity “same-patient”"
)
_SAME_PATIENT = (
    "identity: same-patient. Name, id and study of every patient are in these files, "
    "as in the films: store them in the archive that has the films, and nowhere else"
)


@dataclass(frozen=True, slots=True)
class Source:
    """The film that objects refer to.

    Parameters
    ----------
    image
        Its UIDs and size; the whole secondary capture if it is de-identified.
    film
        Header with whose it is; ``None`` if it is de-identified.
    """

    image: Any
    film: Any | None

    def finish(self, dataset: Any) -> Any:
        """Return a data set that is this patient's, or says that it is nobody's."""
        if self.film is None:
            _stand_in_dicom.mark(dataset)
        else:
            _stand_in_dicom.join(dataset, self.film)
        _dicom_codes.declare(dataset)
        return dataset


def need_highdicom() -> None:
    """Stop before any film is looked at where the package is missing.

    On Python 3.14 it is an extra: it requires pyjpegls, which has no wheels there and
    which nothing here uses.

    Raises
    ------
    JobFailed
        highdicom is not installed.
    """
    if importlib.util.find_spec("highdicom") is None:
        raise JobFailed(
            "DICOM segmentations, reports and outlines need highdicom, which is not "
            "installed: pip install 'napari-wsseg[seg]', or where there is no C++ "
            "compiler pip install --no-deps highdicom (Python 3.14 has no wheel of its "
            "requirement pyjpegls, which nothing here uses)"
        )


def films(chosen: Selection) -> Iterator[Item | tuple[Case, Source, dict[str, Mask]]]:
    """Yield each film with its source and masks, behind the items that come first."""
    need_highdicom()
    same = chosen.identity == "same-patient"
    yield Note("warning", _SAME_PATIENT if same else _DE_IDENTIFIED)
    for case, masks in chosen.each():
        yield case
        try:
            if same:
                film = _stand_in_dicom.of_same_patient(chosen, case)
                source = Source(_stand_in_dicom.bare(film), film)
            else:
                source = Source(_stand_in_dicom.capture(chosen.project, case), None)
                capture = partial(_stand_in_dicom.encoded, source.image)
                yield File(chosen.place(case, ".dcm"), capture)
        except DataError as error:
            yield Note("skipped", str(error))
            continue
        yield case, source, masks


def file(made: Callable[[], Any]) -> Callable[[], bytes]:
    """Return what makes the bytes of the file of the data set that `made` makes."""
    return lambda: _stand_in_dicom.encoded(made())


def uid(chosen: Selection, case: Case, *parts: str) -> str:
    """Return a UID that the same masks get again, and other masks never."""
    return made_uid(chosen.project.secret, chosen.identity, case.id, *parts)


def versions(annotations: Mapping[str, Annotation]) -> list[str]:
    """Return what tells these versions of masks from all others."""
    return [f"{one.id} {one.mask_sha}" for one in annotations.values()]


@dataclass(frozen=True, slots=True)
class Common:
    """What every object of highdicom's takes, and what was stored before it.

    Parameters
    ----------
    arguments
        Keywords: UIDs, numbers, who made it.
    earlier
        UIDs in the same series of the archive that is stored to, oldest first.
    """

    arguments: dict[str, Any]
    earlier: tuple[str, ...]


def common(
    chosen: Selection, case: Case, source: Source, kind: str, *parts: str
) -> Common:
    """Return what an object is called.

    Parameters
    ----------
    chosen
        Whose project, identity and archive count.
    case
        The film.
    source
        What the object refers to.
    kind
        Which series it goes to, one of `SERIES`.
    *parts
        What else, beside the masks, it is made of: other words, another UID.
    """
    series = uid(chosen, case, kind)
    # Masks had their UIDs before other kinds came: those that are stored stay theirs.
    begin = () if kind == "masks" else (kind, "of", *parts)
    own = uid(chosen, case, *begin, *versions(chosen.annotations(case)))
    earlier = _earlier(chosen, str(source.image.StudyInstanceUID), series, own)
    arguments = {
        "series_instance_uid": series,
        "series_number": SERIES[kind],
        "sop_instance_uid": own,
        "instance_number": 1 + len(earlier),
        "manufacturer": _stand_in_dicom.MANUFACTURER,
        "manufacturer_model_name": "wsseg",
        "software_versions": version("napari-wsseg"),
        "device_serial_number": "0",
    }
    return Common(arguments, tuple(earlier))


def _earlier(chosen: Selection, study: str, series: str, own: str) -> list[str]:
    """Return the UIDs of a series before our own, oldest first; an archive knows."""
    if chosen.archive is None:
        return []
    uids = [each for each, _ in chosen.archive.series(study, series)]
    return uids[: uids.index(own)] if own in uids else uids


def per_film(
    chosen: Selection,
    write: Callable[[Case, Source, Mapping[str, Mask]], Iterator[Item]],
) -> Iterator[Item]:
    """Yield what is written of each film, and what `films` says besides.

    Parameters
    ----------
    chosen
        What is exported.
    write
        Yields a film's files, of what `films` yields of it.
    """
    for one in films(chosen):
        if isinstance(one, tuple):
            yield from write(*one)
        else:
            yield one


def segmentation_file(
    chosen: Selection,
    ending: str,
    case: Case,
    source: Source,
    masks: Mapping[str, Mask],
) -> Iterator[Item]:
    """Yield the file of a film's segmentation.

    Parameters
    ----------
    chosen, case, source, masks
        As in `segmentation`.
    ending
        Of the file's name.
    """
    made = partial(segmentation, chosen, case, source, masks)
    yield File(chosen.place(case, ending), file(made))


def segmentation(
    chosen: Selection, case: Case, source: Source, masks: Mapping[str, Mask]
) -> Any:
    """Return a segmentation of a film (PS3.3 A.51), a binary segment a finding.

    Parameters
    ----------
    chosen
        Whose project has the findings' colours and the masks' histories.
    case
        The film.
    source
        What the object refers to, see `films`.
    masks
        Finding to (H, W) mask on the film's own grid, at least one; segments are
        numbered from 1 in this order.

    Returns
    -------
    pydicom Dataset
        Ready to be encoded.
    """
    import highdicom
    from pydicom.pixels.utils import pack_bits

    annotations = chosen.annotations(case)
    shared = common(chosen, case, source, "masks")
    colours = {one.name: one.colour for one in chosen.project.findings}
    made = highdicom.seg.Segmentation(
        source_images=[source.image],
        pixel_array=np.stack([*masks.values()], axis=-1)[None].astype(np.uint8),
        segmentation_type="BINARY",
        segment_descriptions=[
            _segment(number, chosen, case, annotations[finding], colours[finding])
            for number, finding in enumerate(masks, start=1)
        ],
        content_label="FINDINGS",
        content_description="Research use only",
        series_description="Findings. Research use only.",
        omit_empty_frames=False,
        specific_character_set="ISO_IR 192",
        **shared.arguments,
    )
    made.PatientOrientation = None  # type 2C; the film says it
    # Frames follow each other without a gap (PS3.5 8.1.1), those under a byte, too.
    made.PixelData = pack_bits(np.stack([*masks.values()]).ravel().astype(np.uint8))
    # A spacing without a slice's thickness, which no projection has, is unreadable to
    # highdicom itself; the film says its spacing.
    for group in made.SharedFunctionalGroupsSequence:
        group.pop("PixelMeasuresSequence", None)
    # Projections have no place in space, but share what they have with the film.
    film = source.film
    if film is not None and film.get("FrameOfReferenceUID"):
        made.FrameOfReferenceUID = film.FrameOfReferenceUID
        made.PositionReferenceIndicator = film.get("PositionReferenceIndicator")
    if shared.earlier:
        made.ReferencedImageSequence = [_predecessor(shared.earlier[-1])]
    return source.finish(made)


def _predecessor(before: str) -> Any:
    from pydicom.dataset import Dataset

    item = Dataset()
    item.ReferencedSOPClassUID = SEGMENTATION
    item.ReferencedSOPInstanceUID = before
    item.PurposeOfReferenceCodeSequence = [
        _dicom_codes.item(
            "PREDECESSOR", _dicom_codes.SCHEME, "Earlier version that this replaces"
        )
    ]
    return item


def tracking_uid(chosen: Selection, case: Case, finding: str) -> str:
    """Return the UID of a finding on a film, the same for all versions of its mask.

    In a segmentation it is the segment's Tracking UID (0062,0021).

    Parameters
    ----------
    chosen
        Whose project and identity count: another identity has other UIDs.
    case
        The film.
    finding
        The project's name of it.
    """
    return uid(chosen, case, "finding", finding)


def colour(value: str) -> Any:
    """Return a colour as DICOM has it."""
    import highdicom

    red, green, blue = ImageColor.getrgb(value)[:3]
    return highdicom.color.CIELabColor.from_rgb(red, green, blue)


def _segment(
    number: int, chosen: Selection, case: Case, one: Annotation, colour_name: str
) -> Any:
    import highdicom
    from pydicom.sr.codedict import codes

    kind, run = _dicom_codes.algorithm(chosen.project, one)
    algorithm = None
    if run:
        algorithm = highdicom.AlgorithmIdentificationSequence(
            name=run,
            family=codes.DCM.ArtificialIntelligence,
            version=version("napari-wsseg"),
            source=_stand_in_dicom.MANUFACTURER,
        )
    code = chosen.codes.code(one.finding)
    return highdicom.seg.SegmentDescription(
        segment_number=number,
        segment_label=one.finding,
        segmented_property_category=code.category,
        segmented_property_type=code.type,
        algorithm_type=kind,
        algorithm_identification=algorithm,
        tracking_id=one.finding,
        tracking_uid=tracking_uid(chosen, case, one.finding),
        display_color=colour(colour_name),
    )

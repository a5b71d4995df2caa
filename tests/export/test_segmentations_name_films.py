"""A DICOM segmentation is of the film that it names, whatever its file is called."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from helpers.export_project import INDEXED_SHAPE as SHAPE
from helpers.foreign_masks import BOX, drawn, only, take
from helpers.small_project import dicom_film, grey, save_dicom
from napari_wsseg.io.project import Project
from napari_wsseg.jobs import DataError
from napari_wsseg.schema import Case


@pytest.fixture
def films(tmp_path: Path) -> Iterator[Project]:
    """Return a project of two DICOM films."""
    images = tmp_path / "dicom"
    images.mkdir()
    with Project.create(
        tmp_path / "p", findings=["nodule", "mass"], images=images
    ) as made:
        for number in range(2):
            dataset = _film(number)
            save_dicom(dataset, images / f"film{number}.dcm")
            name = f"film{number}.dcm"
            made.add_case(Case(f"{number:016}", name, SHAPE, None, "train", {}))
        yield made


def _film(number: int) -> Any:
    return dicom_film(
        grey(number, SHAPE),
        SOPInstanceUID=f"1.2.3.4.5.6.7.{number}",
        StudyInstanceUID="1.2.3.4.5.6.8",
        SeriesInstanceUID="1.2.3.4.5.6.9",
        PatientID="P1",
        PatientName="Invented",
        PatientBirthDate="",
        PatientSex="",
        StudyDate="",
        StudyTime="",
        StudyID="",
        AccessionNumber="",
        ReferringPhysicianName="",
        FrameOfReferenceUID="1.2.3.4.5.6.10",
        ImageType=["ORIGINAL", "PRIMARY"],
        PatientOrientation=["L", "F"],
    )


def _seg(number: int, path: Path) -> Any:
    import highdicom
    from pydicom.sr.codedict import codes

    segment = highdicom.seg.SegmentDescription(
        segment_number=1,
        segment_label="nodule",
        segmented_property_category=codes.SCT.MorphologicallyAbnormalStructure,
        segmented_property_type=codes.SCT.Nodule,
        algorithm_type="MANUAL",
    )
    made = highdicom.seg.Segmentation(
        source_images=[_film(number)],
        pixel_array=BOX.astype(np.uint8)[None],
        segmentation_type="BINARY",
        segment_descriptions=[segment],
        series_instance_uid="1.2.3.4.5.6.11",
        series_number=1,
        sop_instance_uid="1.2.3.4.5.6.12",
        instance_number=1,
        manufacturer="Somebody",
        manufacturer_model_name="x",
        software_versions="1",
        device_serial_number="1",
    )
    made.save_as(path)
    return made


def test_a_segmentation_is_of_the_film_that_it_names_whatever_it_is_called(
    films: Project, place: Path
) -> None:
    _seg(1, place / "film0.seg.dcm")
    take(films, "dicom_seg", place / "film0.seg.dcm")
    assert only(films, "film1.dcm")


def test_a_segmentation_of_a_strange_film_is_nobodys(
    films: Project, place: Path
) -> None:
    _seg(5, place / "film0.seg.dcm")
    with pytest.raises(DataError, match="none of this project's"):
        take(films, "dicom_seg", place)
    assert not drawn(films)


def _only_place(made: Any, keyword: str) -> None:
    """Leave the film's UID in one of the places where the standard lets it stand."""
    from pydicom.dataset import Dataset
    from pydicom.sequence import Sequence

    for group in [*made.SharedFunctionalGroupsSequence]:
        group.pop("DerivationImageSequence", None)
    for group in made.PerFrameFunctionalGroupsSequence:
        group.pop("DerivationImageSequence", None)
    for each in (
        "ReferencedSeriesSequence",
        "SourceImageSequence",
        "ReferencedImageSequence",
    ):
        made.pop(each, None)
    source = Dataset()
    source.ReferencedSOPClassUID = "1.2.840.10008.5.1.4.1.1.1.1"
    source.ReferencedSOPInstanceUID = "1.2.3.4.5.6.7.1"
    series, study = Dataset(), Dataset()
    series.SeriesInstanceUID, study.StudyInstanceUID = "1.2.3.4", "1.2.3.5"
    if keyword == "shared derivation":
        derivation = Dataset()
        derivation.SourceImageSequence = Sequence([source])
        made.SharedFunctionalGroupsSequence[0].DerivationImageSequence = Sequence(
            [derivation]
        )
    elif keyword in ("SourceImageSequence", "ReferencedImageSequence"):
        setattr(made, keyword, Sequence([source]))
    elif keyword == "ReferencedSeriesSequence":
        series.ReferencedInstanceSequence = Sequence([source])
        made.ReferencedSeriesSequence = Sequence([series])
    elif keyword == "StudiesContainingOtherReferencedInstancesSequence":
        series.ReferencedInstanceSequence = Sequence([source])
        study.ReferencedSeriesSequence = Sequence([series])
        setattr(made, keyword, Sequence([study]))
    else:
        series.ReferencedSOPSequence = Sequence([source])
        study.ReferencedSeriesSequence = Sequence([series])
        made.SourceImageEvidenceSequence = Sequence([study])


@pytest.mark.parametrize(
    "keyword",
    [
        "shared derivation",
        "SourceImageSequence",
        "ReferencedImageSequence",
        "ReferencedSeriesSequence",
        "StudiesContainingOtherReferencedInstancesSequence",
        "SourceImageEvidenceSequence",
    ],
)
def test_a_segmentation_names_its_film_in_any_place_of_the_standard(
    keyword: str, films: Project, place: Path
) -> None:
    path = place / "X.SEG.DCM"
    made = _seg(1, path)
    _only_place(made, keyword)
    made.save_as(path)
    take(films, "dicom_seg", path)
    assert only(films, "film1.dcm")

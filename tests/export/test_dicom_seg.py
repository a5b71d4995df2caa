"""DICOM segmentations: what the standard asks for, provenance, and nobody's name."""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom.dataset import Dataset

from helpers.named_dicom import CANARY, COLUMNS, ROWS, film
from napari_wsseg import jobs
from napari_wsseg.export import (
    IDENTITIES,
    Found,
    Identity,
    Note,
    dicom_seg,
    reading_back,
    writing,
)
from napari_wsseg.export.exporting import dicom_codes as _dicom_codes
from napari_wsseg.io import images
from napari_wsseg.io.project import Project
from napari_wsseg.jobs import DataError, JobFailed, UsageError
from napari_wsseg.schema import Case

FINDINGS = ["pneumothorax", "odd thing of a very long name", "heart"]


def blob() -> np.ndarray:
    mask = np.zeros((ROWS, COLUMNS), bool)
    mask[3:9, 2:11] = True
    return mask


@pytest.fixture
def dicoms(tmp_path: Path) -> Iterator[Project]:
    """Make a project of one DICOM film with a mask of each kind of provenance."""
    films = tmp_path / "films"
    films.mkdir()
    film(films / "one.dcm", 1)
    place = tmp_path / "p"
    with Project.create(place, findings=FINDINGS, images=films) as made:
        read = images.read(films / "one.dcm")
        case = Case(read.uid[:16], "one.dcm", (ROWS, COLUMNS), None, "train", {})
        made.add_case(case)
        mask = blob()
        made.put_mask(case.id, FINDINGS[0], mask, reader="ann", tool="brush")
        draft = made.put_mask(
            case.id,
            FINDINGS[1],
            mask,
            reader="ann",
            tool="accepted irnet",
            source_run="irnet-1",
        )
        made.put_mask(
            case.id, FINDINGS[1], ~mask, reader="ann", tool="brush", parent=draft.id
        )
        made.put_mask(
            case.id,
            FINDINGS[2],
            mask,
            reader="ann",
            tool="accepted irnet",
            source_run="irnet-1",
        )
        yield made


def exported(
    project: Project, out: Path, identity: Identity = "same-patient"
) -> pydicom.Dataset:
    summary = writing.export(project, "dicom_seg", out, identity=identity)
    assert summary.files[-1].name == "one.seg.dcm"
    return pydicom.dcmread(summary.files[-1])


def test_it_refers_to_the_film_and_has_what_the_standard_requires(
    dicoms: Project, tmp_path: Path
) -> None:
    source = pydicom.dcmread(dicoms.images / "one.dcm")
    made = exported(dicoms, tmp_path / "out")
    # PS3.3 C.8.20.1, C.8.20.2, A.51.3: type 1 attributes.
    assert (made.Modality, made.SegmentationType) == ("SEG", "BINARY")
    assert (made.BitsAllocated, made.BitsStored, made.HighBit) == (1, 1, 0)
    assert (made.SamplesPerPixel, made.PixelRepresentation) == (1, 0)
    assert made.PhotometricInterpretation == "MONOCHROME2"
    assert list(made.ImageType) == ["DERIVED", "PRIMARY"]
    assert made.LossyImageCompression == "00"
    assert made.SegmentsOverlap == "YES"
    for word in (
        *("ContentLabel", "InstanceNumber", "ContentDate", "ContentTime"),
        *("Manufacturer", "ManufacturerModelName", "DeviceSerialNumber"),
        *("SoftwareVersions", "DimensionOrganizationSequence"),
        *("DimensionIndexSequence", "SharedFunctionalGroupsSequence"),
    ):
        assert word in made, word
    assert made.StudyInstanceUID == source.StudyInstanceUID
    assert made.SeriesInstanceUID != source.SeriesInstanceUID
    assert made.SOPInstanceUID != source.SOPInstanceUID
    [series] = made.ReferencedSeriesSequence
    [referred] = series.ReferencedInstanceSequence
    assert series.SeriesInstanceUID == source.SeriesInstanceUID
    assert referred.ReferencedSOPInstanceUID == source.SOPInstanceUID
    assert referred.ReferencedSOPClassUID == source.SOPClassUID
    for number, frame in enumerate(made.PerFrameFunctionalGroupsSequence, start=1):
        [segment] = frame.SegmentIdentificationSequence
        assert segment.ReferencedSegmentNumber == number
        [derived] = frame.DerivationImageSequence
        [image] = derived.SourceImageSequence
        assert image.ReferencedSOPInstanceUID == source.SOPInstanceUID
        assert "DimensionIndexValues" in frame.FrameContentSequence[0]


def test_segments_say_what_they_are_and_how_they_were_made(
    dicoms: Project, tmp_path: Path
) -> None:
    from pydicom.sr.codedict import codes

    first, second, third = exported(dicoms, tmp_path / "out").SegmentSequence
    stated = [
        (one.SegmentLabel, one.SegmentAlgorithmType, one.get("SegmentAlgorithmName"))
        for one in (first, second, third)
    ]
    assert stated == [
        (FINDINGS[0], "MANUAL", None),
        (FINDINGS[1], "SEMIAUTOMATIC", "irnet-1"),
        (FINDINGS[2], "AUTOMATIC", "irnet-1"),
    ]
    kind = first.SegmentedPropertyTypeCodeSequence[0]
    assert (kind.CodeValue, kind.CodingSchemeDesignator) == ("36118008", "SCT")
    kind = second.SegmentedPropertyTypeCodeSequence[0]
    assert (kind.CodingSchemeDesignator, kind.CodeMeaning) == ("99WSSEG", FINDINGS[1])
    assert len(kind.CodeValue) <= 16
    [category] = third.SegmentedPropertyCategoryCodeSequence
    assert category.CodeValue == codes.SCT.AnatomicalStructure.value


def test_pixels_are_those_that_plain_pydicom_unpacks(
    dicoms: Project, tmp_path: Path
) -> None:
    made = exported(dicoms, tmp_path / "out")
    bits = np.unpackbits(np.frombuffer(made.PixelData, np.uint8), bitorder="little")
    frames = bits[: 3 * ROWS * COLUMNS].reshape(3, ROWS, COLUMNS).astype(bool)
    masks = dicoms.expert_masks(dicoms.cases()[0].id)
    np.testing.assert_array_equal(frames, np.stack([*masks.values()]))


UIDS = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")


def test_de_identified_nothing_leads_back_to_the_patient(
    dicoms: Project, tmp_path: Path
) -> None:
    source = pydicom.dcmread(dicoms.images / "one.dcm")
    made = exported(dicoms, tmp_path / "out", "de-identified")
    stand_in = pydicom.dcmread(tmp_path / "out" / "one.dcm")
    assert CANARY.encode() in (dicoms.images / "one.dcm").read_bytes()
    for name in ("one.dcm", "one.seg.dcm"):
        data = (tmp_path / "out" / name).read_bytes()
        for word in (CANARY, "19620304", *(str(source[uid].value) for uid in UIDS)):
            assert word.encode() not in data, (name, word)
    assert made.PatientIdentityRemoved == stand_in.PatientIdentityRemoved == "YES"
    assert made.PatientID == stand_in.PatientID
    assert made.StudyInstanceUID == stand_in.StudyInstanceUID
    [series] = made.ReferencedSeriesSequence
    [referred] = series.ReferencedInstanceSequence
    assert referred.ReferencedSOPInstanceUID == stand_in.SOPInstanceUID
    seen = dicoms.radiograph(dicoms.cases()[0]).pixels
    np.testing.assert_allclose(stand_in.pixel_array / 255, seen, atol=0.5 / 255 + 1e-6)


def test_the_same_patient_is_the_films_word_for_word(
    dicoms: Project, tmp_path: Path
) -> None:
    path = dicoms.images / "one.dcm"
    source = pydicom.dcmread(path)
    source.SpecificCharacterSet = ["", "ISO 2022 IR 87"]
    source.PatientName = "Yamada^Tarou=山田^太郎"
    source.PatientSex, source.PatientAge = "X", "042Y"  # X is no defined term
    source.IssuerOfPatientID, source.StudyTime = "WARD", "101112.5"
    source.save_as(path)
    made = exported(dicoms, tmp_path / "out")
    for word in (
        *("PatientName", "PatientID", "IssuerOfPatientID", "PatientBirthDate"),
        *("PatientSex", "PatientAge", "StudyInstanceUID", "StudyID", "StudyDate"),
        *("StudyTime", "StudyDescription", "AccessionNumber"),
        "ReferringPhysicianName",
    ):
        assert made.get(word) == source.get(word), word
    assert "PatientIdentityRemoved" not in made
    assert "DeidentificationMethodCodeSequence" not in made
    # What is of the film's making is nobody's business.
    for word in ("OperatorsName", "InstitutionName", "StationName"):
        assert word not in made


@pytest.mark.parametrize("identity", IDENTITIES)
def test_one_study_has_one_patient_whichever_identity_is_chosen(
    tmp_path: Path, identity: Identity
) -> None:
    """Two films of one study, one of another patient, one that is no DICOM."""
    films = tmp_path / "films"
    films.mkdir()
    for seed, name in enumerate(("pa", "lateral", "other")):
        film(films / f"{name}.dcm", seed)
    first, second = (pydicom.dcmread(films / f"{n}.dcm") for n in ("pa", "lateral"))
    second.StudyInstanceUID = first.StudyInstanceUID
    second.save_as(films / "lateral.dcm")
    other = pydicom.dcmread(films / "other.dcm")
    other.PatientID = "somebody else"
    other.save_as(films / "other.dcm")
    Image.fromarray(np.arange(260, dtype=np.uint8).reshape(20, 13)).save(
        films / "p.png"
    )
    with Project.create(tmp_path / "p", findings=["heart"], images=films) as made:
        for path in sorted(films.iterdir()):
            read = images.read(path)
            case = Case(read.uid[:16], path.name, (ROWS, COLUMNS), None, "train", {})
            made.add_case(case)
            made.put_mask(case.id, "heart", blob(), reader="ann", tool="brush")
        found = writing.export(made, "dicom_seg", tmp_path / "out", identity=identity)
    patients = defaultdict(set)
    everything = [*found.files]
    if identity == "same-patient":
        everything += films.glob("*.dcm")
    for path in everything:
        header = pydicom.dcmread(path)
        patients[header.StudyInstanceUID].add((header.PatientID, header.PatientName))
    assert all(len(names) == 1 for names in patients.values())
    assert len(patients) == (2 if identity == "same-patient" else 3)
    assert len(found.skipped) == (identity == "same-patient")


def test_the_same_masks_are_the_same_instance_and_new_ones_another(
    dicoms: Project, tmp_path: Path
) -> None:
    first = exported(dicoms, tmp_path / "a")
    again = exported(dicoms, tmp_path / "b")
    dicoms.put_mask(
        dicoms.cases()[0].id, FINDINGS[0], ~blob(), reader="ann", tool="brush"
    )
    later = exported(dicoms, tmp_path / "c")
    assert first.SOPInstanceUID == again.SOPInstanceUID != later.SOPInstanceUID
    assert first.SeriesInstanceUID == later.SeriesInstanceUID
    tracked = [
        [segment.TrackingUID for segment in one.SegmentSequence]
        for one in (first, later)
    ]
    assert tracked[0] == tracked[1]
    assert len(set(tracked[0])) == len(FINDINGS)


def test_an_identity_is_refused_where_nobody_is_named(
    dicoms: Project, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match="no patient"):
        writing.export(dicoms, "png", tmp_path / "out", identity="same-patient")


@pytest.mark.parametrize("identity", IDENTITIES)
def test_it_finds_its_film_by_uid_whatever_either_is_called(
    dicoms: Project, tmp_path: Path, identity: Identity
) -> None:
    exported(dicoms, tmp_path / "out", identity)
    strange = (tmp_path / "out" / "one.seg.dcm").rename(tmp_path / "IM7")
    taken = jobs.finish(reading_back.steps(dicoms, "dicom_seg", strange, reader="bea"))
    assert (taken.masks, taken.rejected) == (3, ())
    case = dicoms.cases()[0]
    for finding in FINDINGS:
        theirs = dicoms.latest(case.id, finding, reader="bea")
        ours = dicoms.latest(case.id, finding, reader="ann")
        assert theirs is not None
        assert ours is not None
        assert theirs.mask_sha == ours.mask_sha


def test_a_spacing_without_a_thickness_does_not_hinder_reading(
    dicoms: Project, tmp_path: Path
) -> None:
    made = exported(dicoms, tmp_path / "out")
    measures = Dataset()
    measures.PixelSpacing = [0.2, 0.3]
    made.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence = [measures]
    made.save_as(tmp_path / "theirs.dcm")
    steps = reading_back.steps(
        dicoms, "dicom_seg", tmp_path / "theirs.dcm", reader="bea"
    )
    assert jobs.finish(steps).masks == 3


def test_a_film_without_the_uids_is_left_out_and_said(
    dicoms: Project, tmp_path: Path
) -> None:
    path = dicoms.images / "one.dcm"
    source = pydicom.dcmread(path)
    del source.StudyInstanceUID
    source.save_as(path)
    found = writing.export(
        dicoms, "dicom_seg", tmp_path / "out", identity="same-patient"
    )
    assert found.files == ()
    assert "StudyInstanceUID" in found.skipped[0]


def test_films_that_may_have_names_burned_in_are_told(
    dicoms: Project, tmp_path: Path
) -> None:
    found = writing.export(dicoms, "png", tmp_path / "out", dry_run=True)
    assert "burned into their pixels" in found.warnings[0]
    table = writing.export(dicoms, "csv", tmp_path / "out", dry_run=True)
    assert table.warnings == (), "no pixel of a film goes out with a table"
    path = dicoms.images / "one.dcm"
    source = pydicom.dcmread(path)
    source.BurnedInAnnotation = "NO"
    source.save_as(path)
    found = writing.export(dicoms, "png", tmp_path / "out", dry_run=True)
    assert found.warnings == ()


@pytest.mark.parametrize("keep", [0, 200, 900, -20])
def test_a_damaged_or_foreign_file_is_refused_in_words(
    dicoms: Project, tmp_path: Path, keep: int
) -> None:
    exported(dicoms, tmp_path / "out")
    data = (tmp_path / "out" / "one.seg.dcm").read_bytes()
    broken = tmp_path / "broken.dcm"
    broken.write_bytes(data[:keep])
    for path in (broken, dicoms.images / "one.dcm"):
        with pytest.raises(DataError):
            jobs.finish(reading_back.steps(dicoms, "dicom_seg", path, reader="bea"))


def _changed(dicoms: Project, place: Path, **values: object) -> Path:
    """Return an exported segmentation with other values."""
    writing.export(dicoms, "dicom_seg", place)
    path = next(place.glob("*.seg.dcm"))
    dataset = pydicom.dcmread(path)
    for keyword, value in values.items():
        setattr(dataset, keyword, value)
    dataset.save_as(path)
    return path


@pytest.mark.parametrize(("value", "drawn"), [(200, True), (127, False)])
def test_fractions_are_cut_at_one_half_and_deny_nothing(
    dicoms: Project, tmp_path: Path, value: int, drawn: bool
) -> None:
    path = _changed(
        dicoms,
        tmp_path / "out",
        SegmentationType="FRACTIONAL",
        SegmentationFractionalType="PROBABILITY",
        MaximumFractionalValue=255,
        BitsAllocated=8,
        BitsStored=8,
        HighBit=7,
        PixelData=(blob() * np.uint8(value)).tobytes() * 3,
    )
    found = [one for one in dicom_seg.read(path) if isinstance(one, Found)]
    if drawn:
        assert np.array_equal(found[0].mask((ROWS, COLUMNS)), blob())
    else:
        with pytest.raises(DataError, match="one half, the highest is 127 of 255"):
            found[0].mask((ROWS, COLUMNS))


def test_frames_of_a_segment_that_is_not_described_deny_no_other(
    dicoms: Project, tmp_path: Path
) -> None:
    path = _changed(dicoms, tmp_path / "out")
    dataset = pydicom.dcmread(path)
    first = dataset.PerFrameFunctionalGroupsSequence[0]
    first.SegmentIdentificationSequence[0].ReferencedSegmentNumber = 9
    dataset.save_as(path)
    found = [*dicom_seg.read(path)]
    assert [one.finding for one in found if isinstance(one, Found)] == FINDINGS[1:]
    (note,) = (one for one in found if isinstance(one, Note))
    assert "frames of segment 9" in note.text


@pytest.mark.parametrize("keyword", sorted(set(_dicom_codes.KEYWORDS.values())))
def test_every_code_is_in_the_standards_context_groups(keyword: str) -> None:
    from pydicom.sr.codedict import codes

    assert getattr(codes.SCT, keyword).scheme_designator == "SCT"


@pytest.mark.parametrize("keyword", sorted(set(_dicom_codes.DICOM_KEYWORDS.values())))
def test_the_standards_own_codes_are_in_its_dictionary(keyword: str) -> None:
    from pydicom.sr.codedict import codes

    assert getattr(codes.DCM, keyword).scheme_designator == "DCM"


@pytest.mark.parametrize(("value", "meaning"), sorted(_dicom_codes.SNOMED.values()))
def test_no_code_of_ours_says_what_the_dictionary_says_otherwise(
    value: str, meaning: str
) -> None:
    """A code that the shipped dictionary has belongs among its keywords."""
    from pydicom.sr._concepts_dict import concepts

    listed = [entry for each in concepts["SCT"].values() for entry in each.items()]
    assert len(listed) > 10_000
    assert value not in {code for code, _ in listed}
    assert meaning.casefold() not in {names[0].casefold() for _, names in listed}


def test_the_documentation_lists_every_code_and_what_vouches_for_it() -> None:
    from pydicom.sr.codedict import codes

    page = (Path(__file__).parents[2] / "docs/pacs.md").read_text()
    for table, scheme in (
        (_dicom_codes.KEYWORDS, codes.SCT),
        (_dicom_codes.DICOM_KEYWORDS, codes.DCM),
    ):
        for finding, keyword in table.items():
            code = getattr(scheme, keyword)
            row = next(line for line in page.splitlines() if f"{code.value} |" in line)
            assert finding in row
            assert "PS3.16" in row
    for finding, (value, meaning) in _dicom_codes.SNOMED.items():
        row = next(line for line in page.splitlines() if f"{value} |" in line)
        assert finding in row
        assert meaning in row
        assert "check" in row


def test_a_segmentation_is_known_by_its_first_bytes(
    dicoms: Project, tmp_path: Path
) -> None:
    exported(dicoms, tmp_path / "out")
    assert dicom_seg.is_one(tmp_path / "out" / "one.seg.dcm")
    assert not dicom_seg.is_one(dicoms.images / "one.dcm")
    assert not dicom_seg.is_one(tmp_path)


@pytest.mark.parametrize("name", ["dicom_seg", "dicom_sr", "dicom_gsps"])
def test_where_highdicom_is_missing_it_says_what_to_install_before_it_writes(
    name: str, dicoms: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "highdicom", None)
    with pytest.raises(JobFailed, match=r"pip install 'napari-wsseg\[seg\]'"):
        writing.export(dicoms, name, tmp_path / "out")
    assert not [*(tmp_path / "out").glob("*")]


def test_where_highdicom_is_missing_no_segmentation_is_called_damaged(
    dicoms: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    exported(dicoms, tmp_path / "out")
    monkeypatch.setitem(sys.modules, "highdicom", None)
    for path in (tmp_path / "out", tmp_path / "out" / "one.seg.dcm"):
        with pytest.raises(JobFailed, match=r"napari-wsseg\[seg\]"):
            [*dicom_seg.read(path)]

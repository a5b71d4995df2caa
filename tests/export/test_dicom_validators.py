"""Segmentations, reports and presentation states, before readers that are not ours."""

from __future__ import annotations

import hashlib
import itertools
import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pydicom
import pytest

from helpers.dicom_project import add_film
from helpers.named_dicom import film
from napari_wsseg.export import IDENTITIES, Identity, reading_back, writing
from napari_wsseg.io.project import Project
from napari_wsseg.jobs import DataError, finish
from napari_wsseg.schema import Case, Mask

FORMATS = ("dicom_seg", "dicom_sr", "dicom_gsps")
FORMS = ("overlapping", "empty", "rotated")
SIZES = (
    *((2, 2), (2, 9), (7, 2), (8, 8), (13, 20), (20, 13)),
    *((31, 33), (64, 48), (127, 65), (100, 256), (255, 255), (301, 200)),
)
NODE = Path(__file__).parents[2] / ".node"


def _masks(form: str, shape: tuple[int, int], seed: int) -> dict[str, Mask]:
    rng = np.random.default_rng(seed)
    noise = rng.random(shape) < 0.5
    if form == "empty":
        return {"heart": np.zeros(shape, bool), "pneumothorax": noise}
    if form == "overlapping":
        return {"heart": noise, "pneumothorax": np.ones(shape, bool)}
    corner = np.zeros(shape[::-1], bool)
    corner[: shape[1] // 2 + 1, :1] = True
    return {"heart": np.rot90(corner), "pneumothorax": ~np.rot90(corner)}


def _project(folder: Path, sizes: tuple[tuple[int, int], ...]) -> Project:
    """Make a project of a DX film a size and form, all accepted."""
    films = folder / "films"
    films.mkdir()
    made = Project.create(
        folder / "p", findings=["heart", "pneumothorax"], images=films
    )
    every = [(size, form) for size in sizes for form in FORMS]
    for number, (shape, form) in enumerate(every):
        path = films / f"{form}_{shape[0]}x{shape[1]}.dcm"
        film(path, number)
        header = pydicom.dcmread(path)
        header.PatientID, header.PatientName = f"P{number}", "Lee^Ann"
        header.ReferringPhysicianName = "Doe^Jo"
        header.Rows, header.Columns = shape
        header.ImagerPixelSpacing = header.PixelSpacing
        header.FrameOfReferenceUID = pydicom.uid.generate_uid()
        header.PatientOrientation = ["F", "R"] if form == "rotated" else ["L", "F"]
        rng = np.random.default_rng(number)
        pixels = rng.integers(0, 256, shape, np.uint8)
        # Films of one pixel would be one film to us.
        pixels.flat[0] = number
        header.PixelData = pixels.tobytes() + b"\0" * (pixels.size % 2)
        header.save_as(path)
        case = add_film(made, path)
        for finding, mask in _masks(form, shape, number).items():
            made.put_mask(case.id, finding, mask, reader="ann", tool="brush")
        made.decide(case.id, "accept", reader="ann")
    return made


def _errors(path: Path) -> list[str]:
    program = shutil.which("dciodvfy")
    assert program, "dciodvfy is not installed: apt-get install dicom3tools"
    result = subprocess.run(
        [program, "-new", str(path)], capture_output=True, text=True, check=False
    ).stderr
    lines = result.splitlines()
    assert any(not line.startswith(("Error", "Warning")) for line in lines if line)
    return [line for line in lines if line.startswith("Error")]


def _check(project: Project, out: Path, identity: Identity) -> int:
    count = 0
    for name in FORMATS:
        made = writing.export(project, name, out / name, identity=identity)
        for path in made.files:
            assert _errors(path) == [], path
            count += 1
    for case in project.cases():
        masks = project.expert_masks(case.id)
        stem = case.path.removesuffix(".dcm")
        _check_masks(out / "dicom_seg" / f"{stem}.seg.dcm", masks)
        _check_report(project, case, out / "dicom_sr", stem)
        state = out / "dicom_gsps" / f"{stem}.pr.dcm"
        _check_outlines(state, masks)
    return count


def _check_masks(path: Path, masks: dict[str, Mask]) -> None:
    """Read a segmentation as highdicom does."""
    import highdicom

    found = highdicom.seg.segread(path)
    for number, (finding, mask) in enumerate(masks.items(), start=1):
        description = found.get_segment_description(number)
        assert description.segment_label == finding
        assert (found.get_stored_frame(number).astype(bool) == mask).all()
    source = found.PerFrameFunctionalGroupsSequence[0].DerivationImageSequence[0]
    assert source.SourceImageSequence[0].PurposeOfReferenceCodeSequence
    (series,) = found.ReferencedSeriesSequence
    assert series.SeriesInstanceUID


def _check_report(project: Project, case: Case, out: Path, stem: str) -> None:
    import highdicom

    found = highdicom.sr.srread(out / f"{stem}.sr.dcm")
    segmented = pydicom.dcmread(out / f"{stem}.seg.dcm")
    groups = found.content.get_planar_roi_measurement_groups()
    assert len(groups) == 2
    assert case.spacing_mm is not None
    row, column = case.spacing_mm
    for number, (group, one) in enumerate(
        zip(groups, project.expert_annotations(case.id).values(), strict=True)
    ):
        (area,) = group.get_measurements()
        assert area.value == pytest.approx(one.area_px * row * column, abs=1e-3)
        assert area.unit.value == "mm2"
        segment = segmented.SegmentSequence[number]
        assert group.tracking_uid == segment.TrackingUID
    assert segmented.SOPInstanceUID in str(found)
    assert "ann^" in str(found)
    assert "ACCEPTED" in str(found)


def _check_outlines(path: Path, masks: dict[str, Mask]) -> None:
    """Fill the outlines of a presentation state: they are the masks."""
    drawn = {finding: mask for finding, mask in masks.items() if mask.any()}
    if not drawn:
        assert not path.exists()
        return
    found = pydicom.dcmread(path)
    layers = {one.GraphicLayer: one for one in found.GraphicLayerSequence}
    for one in found.GraphicAnnotationSequence:
        mask = drawn.pop(layers[one.GraphicLayer].GraphicLayerDescription)
        filled = np.zeros(mask.shape, bool)
        for item in one.GraphicObjectSequence:
            points = np.reshape(item.GraphicData, (-1, 2))
            filled |= _inside(points, mask.shape)
        assert (filled == mask).all()
    assert drawn == {}


def _inside(points: np.ndarray, shape: tuple[int, int]) -> Mask:
    """Fill a polygon by counting, in each row, the edges left of a pixel's centre."""
    rows = np.arange(shape[0]) + 0.5
    columns = np.arange(shape[1]) + 0.5
    inside = np.zeros(shape, bool)
    for (x, y), (x2, y2) in itertools.pairwise(points):
        if x == x2:
            crossed = (min(y, y2) < rows) & (rows < max(y, y2))
            inside ^= crossed[:, None] & (columns > x)
    return inside


@pytest.mark.programs
@pytest.mark.parametrize("identity", IDENTITIES)
def test_other_readers_find_no_error_and_the_same_pixels(
    tmp_path: Path, identity: Identity
) -> None:
    with _project(tmp_path, SIZES[4:6]) as project:
        assert _check(project, tmp_path / "out", identity) >= 24


@pytest.mark.slow
@pytest.mark.parametrize("identity", IDENTITIES)
def test_other_readers_find_no_error_at_any_size(
    tmp_path: Path, identity: Identity
) -> None:
    with _project(tmp_path, SIZES) as project:
        assert _check(project, tmp_path / "out", identity) >= 3 * len(SIZES) * 3


@pytest.mark.slow
@pytest.mark.parametrize("identity", IDENTITIES)
def test_a_reader_of_browsers_sees_the_same_pixels(
    tmp_path: Path, identity: Identity
) -> None:
    node = shutil.which("node")
    assert node, "node is not installed: apt-get install nodejs npm"
    assert (NODE / "node_modules" / "dcmjs").is_dir(), (
        "dcmjs is not installed: npm install --prefix .node dcmjs"
    )
    script = Path(__file__).parents[1] / "helpers" / "read_dicom.mjs"
    with _project(tmp_path, SIZES) as project:
        made = writing.export(project, "dicom_seg", tmp_path / "out", identity=identity)
        segmented = [path for path in made.files if path.name.endswith(".seg.dcm")]
        result = subprocess.run(
            [node, str(script), str(NODE), *map(str, segmented)],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for path, found in zip(segmented, json.loads(result), strict=True):
            stem = path.name.removesuffix(".seg.dcm")
            case = next(c for c in project.cases() if c.path == f"{stem}.dcm")
            masks = project.expert_masks(case.id)
            assert (found["rows"], found["columns"]) == case.shape
            assert found["masks"] == {
                finding: hashlib.sha256(mask.astype(np.uint8).tobytes()).hexdigest()
                for finding, mask in masks.items()
            }


def test_a_projects_own_table_of_codes_counts(tmp_path: Path) -> None:
    with _project(tmp_path, SIZES[:1]) as project:
        table = project.folder / "codes.csv"
        table.write_text(
            "finding,scheme,code,meaning,category\n"
            "Pneumothorax,RADLEX,RID5352,pneumothorax,abnormality\n"
        )
        made = writing.export(project, "dicom_seg", tmp_path / "out")
        found = pydicom.dcmread(made.files[1])
        types = [
            one.SegmentedPropertyTypeCodeSequence[0] for one in found.SegmentSequence
        ]
        assert [(x.CodingSchemeDesignator, x.CodeValue) for x in types] == [
            ("SCT", "80891009"),
            ("RADLEX", "RID5352"),
        ]
        assert _errors(made.files[1]) == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("finding,code\n", "header is"),
        ("finding,scheme,code,meaning\nheart,SCT,,Heart\n", "code is blank"),
        ("finding,scheme,code,meaning\nheart,SCT,12345678901234567,H\n", "16 char"),
        ("finding,scheme,code,meaning,category\nheart,SCT,1,H,organ\n", "anatomy"),
        ("finding,scheme,code,meaning\nh,SCT,1,H\nH,SCT,2,H\n", "twice"),
    ],
)
def test_a_table_of_codes_that_is_off_is_told(
    tmp_path: Path, text: str, message: str
) -> None:
    with _project(tmp_path, SIZES[:1]) as project:
        (project.folder / "codes.csv").write_text(text)
        with pytest.raises(DataError, match=message):
            writing.export(project, "dicom_seg", tmp_path / "out")


def test_masks_come_back_from_the_segmentation_beside_a_report(tmp_path: Path) -> None:
    with _project(tmp_path, SIZES[4:5]) as project:
        out = tmp_path / "out"
        writing.export(project, "dicom_sr", out, identity="same-patient")
        taken = finish(reading_back.steps(project, "dicom_seg", out, reader="bob"))
        assert (taken.masks, taken.rejected) == (6, ())

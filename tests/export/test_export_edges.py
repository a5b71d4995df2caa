"""Exports of films that are gone or alike, and files at the edge of their formats."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import nrrd
import numpy as np
import pydicom
import pytest
from PIL import Image

from helpers.dicom_project import add_film
from helpers.export_project import INDEXED_SHAPE as SHAPE
from helpers.export_project import indexed_films, make_project
from helpers.named_dicom import COLUMNS, ROWS, film
from napari_wsseg.export import Found, Note, formats, importers, writing
from napari_wsseg.export.exporting import dicom_codes, film_png, identity
from napari_wsseg.export.exporting.dicom_codes import CodeTable
from napari_wsseg.export.exporting.selection import Selection
from napari_wsseg.io.films import limits
from napari_wsseg.io.project import Project
from napari_wsseg.jobs import DataError
from napari_wsseg.schema import Case

BOX = np.zeros(SHAPE, bool)
BOX[10:20, 5:25] = True


def _mask(name: str, path: Path) -> np.ndarray:
    (found,) = (one for one in importers[name](path) if isinstance(one, Found))
    return found.mask(SHAPE)


@pytest.fixture
def gone(tmp_path: Path) -> Project:
    """Return a project whose films are not where they were."""
    with indexed_films(tmp_path, ["a.dcm", "b.png"], {"nodule": 1}) as made:
        for case in made.cases():
            made.put_mask(case.id, "nodule", BOX, reader="ann")
    return Project.open(tmp_path / "project")


@pytest.mark.parametrize(
    ("name", "left"), [("monai", "the film is not there"), ("nnunet", "its masks are")]
)
def test_films_that_are_gone_are_told_by_formats_that_hold_films(
    gone: Project, tmp_path: Path, name: str, left: str
) -> None:
    with gone:
        summary = writing.export(gone, name, tmp_path / "out")
    assert sum(left in one for one in summary.skipped) == 2
    assert not [*(tmp_path / "out").rglob("*image*/*.png")]


def test_of_a_film_whose_name_cannot_be_found_nothing_is_said(
    gone: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    def without_a_key(*_: object) -> Path:
        raise DataError("the key file is not here")

    monkeypatch.setattr(Project, "image_path", without_a_key)
    with gone:
        cases = [*gone.cases()]
        assert identity.sop_uid(gone, cases[0]) == ""
        assert not film_png.is_there(gone, cases[0])
        assert [*identity.warnings(gone, cases)] == []


def test_films_of_one_bare_name_are_called_by_their_paths(tmp_path: Path) -> None:
    with indexed_films(tmp_path, ["x/a.png", "y/a.png", "b.png"], {}) as project:
        chosen = Selection(project)
        names = {case.path: chosen.name(case) for case in project.cases()}
    assert names == {"x/a.png": "x/a", "y/a.png": "y/a", "b.png": "b"}


def test_what_chexpert_calls_otherwise_is_called_so_and_comes_back(
    tmp_path: Path,
) -> None:
    (tmp_path / "images").mkdir()
    with Project.create(
        tmp_path / "p", findings=["Lung Opacity"], images=tmp_path / "images"
    ) as project:
        project.add_case(Case("0" * 16, "a.png", SHAPE, None, "train", {}))
        project.put_mask("0" * 16, "Lung Opacity", BOX, reader="ann")
        summary = writing.export(project, "chexlocalize", tmp_path / "out")
    (masks,) = (p for p in summary.files if p.suffix == ".json")
    assert "Airspace Opacity" in json.loads(masks.read_text())["a"]
    assert np.array_equal(_mask("chexlocalize", masks), BOX)


def test_an_indexed_png_holds_as_many_findings_as_a_byte(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    names = [f"f{number}" for number in range(256)]
    with (
        Project.create(tmp_path / "p", findings=names, images=tmp_path) as project,
        pytest.raises(DataError, match="holds 255 findings; export as png"),
    ):
        [*formats["indexed_png"](Selection(project))]


def test_a_finding_is_called_by_dicoms_own_words_where_it_has_them(
    tmp_path: Path,
) -> None:
    with indexed_films(tmp_path, ["a.png"], {}) as project:
        table = CodeTable(project)
        assert table.code("nodule").type.scheme_designator == "SCT"
        assert table.code("infiltration").type.scheme_designator == "DCM"
        (project.folder / dicom_codes.FILE).write_text(
            "finding,scheme,code,meaning\n\n,,,\nnodule,99X,n,My nodule\n"
        )
        assert CodeTable(project).code("nodule").type.value == "n"


@pytest.mark.parametrize("name", ["nifti", "png", "nnunet", "indexed_png"])
def test_what_has_more_pixels_than_a_film_is_refused_in_those_words(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "masks"
    with make_project(tmp_path / "p", overlap=False) as project:
        writing.export(project, name, place)
    monkeypatch.setattr(limits, "MAX_PIXELS", 100)
    first = next(iter(importers[name](place)))
    if isinstance(first, Note):
        assert "pixels, over the cap" in first.text
    else:
        assert isinstance(first, Found)
        with pytest.raises(DataError, match="pixels, over the cap"):
            first.mask(None)


def test_a_damaged_label_map_beside_its_table_is_told_where_it_is_drawn(
    tmp_path: Path,
) -> None:
    (tmp_path / "a.nii").write_bytes(b"no NIfTI")
    (tmp_path / "a.label").write_text('1 255 0 0 1 1 1 "nodule"\n')
    (found,) = importers["nifti"](tmp_path / "a.nii")
    assert isinstance(found, Found)
    with pytest.raises(DataError, match="not NIfTI"):
        found.mask(SHAPE)


def _nrrd(values: np.ndarray, longer: bytes = b"") -> Callable[[Path], Path]:
    def make(place: Path) -> Path:
        path = place / "a.seg.nrrd"
        header = {"encoding": "raw", "Segment0_Name": "nodule"}
        nrrd.write(str(path), values, header)
        path.write_bytes(path.read_bytes() + longer)
        return path

    return make


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (_nrrd(BOX.T.astype("u1"), b"more"), "holds more than the 3072 bytes"),
        (_nrrd(np.ones((1, 1, 1, 48, 64), "u1")), "not a single slice"),
    ],
)
def test_a_segmentation_that_is_none_of_a_film_is_refused(
    make: Callable[[Path], Path], message: str, tmp_path: Path
) -> None:
    with pytest.raises(DataError, match=message):
        _mask("seg_nrrd", make(tmp_path))


def test_a_row_of_run_lengths_that_is_off_costs_that_one(tmp_path: Path) -> None:
    path = tmp_path / "nodule.csv"
    path.write_text("ImageId,EncodedPixels\na,0 5\na,x\n")
    (found,) = importers["siim_rle"](path)
    assert isinstance(found, Found)
    assert found.mask(SHAPE).sum() == 5
    assert "a row was left out" in found.remarks[0]
    path.write_text("ImageId,EncodedPixels\na,x\n")
    with pytest.raises(DataError, match="are not numbers"):
        _mask("siim_rle", path)


def test_yolos_list_of_what_was_drawn_is_by_film(tmp_path: Path) -> None:
    (tmp_path / "data.yaml").write_text("names: [nodule]\n")
    (tmp_path / "a.txt").write_text("0 0.5 0.5 0.5 0.5 0.5 0.5\n")
    with pytest.raises(DataError, match="hold no pixel"):
        _mask("yolo_seg", tmp_path / "a.txt")
    (tmp_path / "drawn.json").write_text("[1]")
    with pytest.raises(DataError, match="not findings by film"):
        [*importers["yolo_seg"](tmp_path)]


def test_what_is_no_image_among_masks_is_told_but_for_our_own_table(
    tmp_path: Path,
) -> None:
    (tmp_path / "nodule").mkdir()
    Image.fromarray(BOX).save(tmp_path / "nodule" / "a.png")
    (tmp_path / "labels.csv").write_text("image,nodule\na.png,1\n")
    (tmp_path / "readme.txt").write_text("read me")
    notes = [one.text for one in importers["png"](tmp_path) if isinstance(one, Note)]
    assert notes == ["readme.txt: not an image, so no mask"]


def test_labelme_needs_points(tmp_path: Path) -> None:
    shape = {"label": "nodule", "points": "many"}
    record = {"imagePath": "a.png", "imageHeight": 64, "imageWidth": 48}
    (tmp_path / "a.json").write_text(json.dumps({**record, "shapes": [shape]}))
    with pytest.raises(DataError, match="points that are not x and y"):
        _mask("labelme", tmp_path / "a.json")


def test_a_report_names_the_run_and_a_film_in_colour_has_no_outlines(
    tmp_path: Path,
) -> None:
    films = tmp_path / "films"
    films.mkdir()
    colours = np.random.default_rng(0).integers(0, 256, (ROWS, COLUMNS, 3), np.uint8)
    film(films / "a.dcm", 1)
    film(
        films / "b.dcm",
        2,
        SamplesPerPixel=3,
        PlanarConfiguration=0,
        PhotometricInterpretation="RGB",
        PixelData=colours.tobytes(),
    )
    with Project.create(tmp_path / "p", findings=["heart"], images=films) as project:
        for path in sorted(films.iterdir()):
            case = add_film(project, path)
            mask = np.zeros(case.shape, bool)
            mask[3:9, 2:11] = True
            run = "irnet-20261121-000000-aaaa"
            how = {"tool": "accepted irnet", "source_run": run}
            project.put_mask(case.id, "heart", mask, reader="ann", **how)
        report = writing.export(project, "dicom_sr", tmp_path / "sr")
        outlines = writing.export(
            project, "dicom_gsps", tmp_path / "gsps", identity="same-patient"
        )
    path = next(p for p in report.files if p.name == "a.sr.dcm")
    assert "Algorithm Name" in str(pydicom.dcmread(path))
    assert any("is in colour" in one for one in outlines.skipped)
    assert [p.name for p in outlines.files if p.name.endswith(".pr.dcm")] == [
        "a.pr.dcm"
    ]

"""What single formats promise beyond coming back to the pixel."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import nibabel
import numpy as np
import pytest
from PIL import Image

from helpers.export_project import SHAPE, make_project, special_masks
from napari_wsseg import jobs
from napari_wsseg.cli import main
from napari_wsseg.export import reading_back, writing
from napari_wsseg.io.project import Project
from napari_wsseg.jobs import DataError
from napari_wsseg.schema import Case


@pytest.mark.parametrize("name", ["coco", "coco_polygons"])
def test_pycocotools_reads_the_same_masks(
    project: Project, tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    from pycocotools.coco import COCO  # brings matplotlib

    writing.export(project, name, tmp_path / "out")
    coco = COCO(str(tmp_path / "out" / "annotations.json"))
    names = {one["id"]: one["name"] for one in coco.dataset["categories"]}
    seen = 0
    for image in coco.dataset["images"]:
        mask = special_masks()[Path(image["file_name"]).stem]
        for one in coco.imgToAnns[image["id"]]:
            if names[one["category_id"]] == "mass":
                np.testing.assert_array_equal(coco.annToMask(one), mask)
                assert one["area"] == mask.sum()
                x, y, width, height = one["bbox"]
                assert mask[y : y + height, x : x + width].sum() == mask.sum()
                seen += 1
    assert seen == 6, "all but the empty one"


@pytest.mark.parametrize("address", ["https://pacs.example/dicom-web", "dimse://A@h:4"])
def test_an_address_is_no_folder(project: Project, address: str) -> None:
    with pytest.raises(DataError, match="is an address; name a folder"):
        writing.export(project, "png", Path(address))
    assert not Path(address).exists()


def test_findings_that_overlap_are_refused_by_film_and_pixels(
    project: Project, tmp_path: Path
) -> None:
    with pytest.raises(DataError, match=r"6 films.*full \(176 px\)"):
        writing.export(project, "indexed_png", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_an_indexed_png_of_others_needs_its_table(tmp_path: Path) -> None:
    with make_project(tmp_path, overlap=False) as project:
        out = tmp_path / "out"
        writing.export(project, "indexed_png", out)
        with Image.open(out / "ward" / "ring.png") as image:
            image.load()
        image.info = {}
        image.save(tmp_path / "ring.png")
        with pytest.raises(DataError, match=r"findings\.csv"):
            jobs.finish(
                reading_back.steps(
                    project, "indexed_png", tmp_path / "ring.png", reader="bea"
                )
            )
        (out / "findings.csv").rename(tmp_path / "findings.csv")
        steps = reading_back.steps(
            project, "indexed_png", tmp_path / "ring.png", reader="bea"
        )
        assert jobs.finish(steps).masks == 2


def test_several_rows_of_a_film_are_united(project: Project, tmp_path: Path) -> None:
    path = tmp_path / "mass.csv"
    path.write_text("ImageId, EncodedPixels\nring, 0 2\nring, 174 2\nfull,  -1\n")
    steps = reading_back.steps(project, "siim_rle", path, reader="bea")
    assert jobs.finish(steps).masks == 2
    by_name = {case.name: case.id for case in project.cases()}
    one = project.latest(by_name["ring"], "mass", reader="bea")
    assert one is not None
    flat = project.read_mask(one).T.ravel()
    assert np.flatnonzero(flat).tolist() == [0, 1, 174, 175]


def test_a_nifti_slice_has_the_films_spacing(tmp_path: Path) -> None:
    with Project.create(tmp_path / "p", findings=["mass"], images=tmp_path) as project:
        case = Case("0" * 16, "a.png", SHAPE, (0.2, 0.3), "train", {})
        project.add_case(case)
        project.put_mask(case.id, "mass", np.eye(*SHAPE, dtype=bool), reader="ann")
        writing.export(project, "nifti", tmp_path / "out")
    image = nibabel.load(tmp_path / "out" / "mass" / "a.nii.gz")
    assert image.shape == (SHAPE[1], SHAPE[0], 1)
    np.testing.assert_allclose(image.header.get_zooms()[:2], (0.3, 0.2), rtol=1e-6)
    assert image.header.get_xyzt_units()[0] == "mm"
    assert nibabel.aff2axcodes(image.affine)[:2] == ("L", "I")


def test_the_table_measures_and_names_no_formula(tmp_path: Path) -> None:
    with Project.create(tmp_path / "p", findings=["mass"], images=tmp_path) as project:
        case = Case("0" * 16, "a.png", SHAPE, (0.5, 0.2), "test", {"mass": 1})
        project.add_case(case)
        mask = np.zeros(SHAPE, bool)
        mask[1:3, 1:6] = mask[8, 8] = True
        project.put_mask(case.id, "mass", mask, reader="ann", tool="brush")
        project.decide(
            case.id,
            "accept with edits",
            reader="ann",
            confidence=4,
            seconds=12.34,
            comment='=HYPERLINK("x")',
        )
        writing.export(project, "csv", tmp_path / "out")
    with (tmp_path / "out" / "measurements.csv").open(newline="") as file:
        [row] = csv.DictReader(file)
    assert (row["area_px"], row["area_mm2"], row["regions"]) == ("11", "1.10", "2")
    assert (row["reader"], row["version"], row["made_with"]) == ("ann", "1", "brush")
    assert (row["decision"], row["confidence"]) == ("accept with edits", "4")
    assert (row["seconds"], row["label"], row["split"]) == ("12.3", "1", "test")
    assert row["comment"] == '\'=HYPERLINK("x")'


def test_the_command_tells_what_would_be_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with make_project(tmp_path, overlap=True) as project:
        place = str(project.folder)
    out = tmp_path / "out"
    arguments = ["export", "coco", "-p", place, "-o", str(out), "--dry-run", "--json"]
    assert main(arguments) == 0
    output = json.loads(capsys.readouterr().out)
    assert output["files"] == [str(out / "annotations.json")]
    assert (output["dry_run"], output["cases"], output["masks"]) == (True, 7, 14)
    assert not out.exists()
    assert main([word for word in arguments if word != "--dry-run"]) == 0
    taken = ["import", "coco", str(out), "-p", place, "--reader", "bea", "--json"]
    capsys.readouterr()
    assert main(taken) == 0
    assert json.loads(capsys.readouterr().out)["imported"] == 14
    assert main(["export", "model", "-p", place, "-o", str(out)]) == 3
    assert "no segmenter is in use" in capsys.readouterr().err
    assert main([*arguments[:6], "--run", "x"]) == 2

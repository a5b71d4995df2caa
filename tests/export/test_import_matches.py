"""What an import takes, unites, refuses and tells, whatever the format."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import nibabel
import numpy as np
import pytest
from PIL import Image

from helpers.export_project import INDEXED_SHAPE as SHAPE
from helpers.export_project import indexed_films
from napari_wsseg import jobs
from napari_wsseg.cli import main
from napari_wsseg.export import reading_back
from napari_wsseg.io.project import Project
from napari_wsseg.jobs import DataError
from napari_wsseg.ops.run_lengths import siim_encode

A, B = np.zeros(SHAPE, bool), np.zeros(SHAPE, bool)
A[10:20, 10:20] = B[30:40, 30:40] = True
A_POLYGON = [10, 10, 20, 10, 20, 20, 10, 20]
B_POLYGON = [30, 30, 40, 30, 40, 40, 30, 40]


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    labels = {"nodule": 1, "mass": None}
    with indexed_films(tmp_path, ("a0.png", "a1.png"), labels) as made:
        yield made


def take(
    project: Project, name: str, path: Path, finding: str | None = None
) -> reading_back.ImportedMasks:
    return jobs.finish(
        reading_back.steps(project, name, path, reader="bea", finding=finding)
    )


def got(project: Project, finding: str = "nodule") -> np.ndarray | None:
    one = project.latest("0" * 16, finding, reader="bea")
    return None if one is None else project.read_mask(one)


def coco(path: Path, *annotations: tuple[int, int, object], **more: object) -> Path:
    document = {
        "images": [{"id": 1, "file_name": "a0.png", "height": 64, "width": 48}],
        "categories": [{"id": 1, "name": "nodule"}, {"id": 2, "name": "mass"}],
        "annotations": [
            {"id": n, "image_id": image, "category_id": category, "segmentation": drawn}
            for n, (image, category, drawn) in enumerate(annotations)
        ],
    }
    path.write_text(json.dumps(document | more), encoding="utf-8-sig")
    return path


def test_folders_that_differ_in_case_are_united(
    project: Project, tmp_path: Path
) -> None:
    for name, mask in (("nodule/a0.PNG", A), ("Nodule/a0.gif", B)):
        path = tmp_path / "masks" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(mask.astype(np.uint8) * 255).save(path)
    taken = take(project, "png", tmp_path / "masks")
    np.testing.assert_array_equal(got(project), A | B)
    assert taken.masks == 1
    assert any("2 masks, united" in warning for warning in taken.warnings)


def test_tables_that_differ_in_case_are_united(
    project: Project, tmp_path: Path
) -> None:
    for name, mask in (("nodule", A), ("NODULE", B)):
        text = f"\ufeffImageId,EncodedPixels\na0,{siim_encode(mask)}\na1,\n"
        (tmp_path / f"{name}.csv").write_text(text, encoding="utf-8")
    taken = take(project, "siim_rle", tmp_path)
    np.testing.assert_array_equal(got(project), A | B)
    assert taken.masks == 1, "a blank cell is not an empty mask"


def test_a_film_that_is_listed_twice_has_one_mask(
    project: Project, tmp_path: Path
) -> None:
    image = {"file_name": "a0.png", "height": 64, "width": 48}
    images = [{**image, "id": 1}, {**image, "id": "2"}]
    drawn = [(1, 1, [A_POLYGON]), (2, 1, [B_POLYGON])]
    take(project, "coco", coco(tmp_path / "c.json", *drawn, images=images))
    np.testing.assert_array_equal(got(project), A | B)


def test_one_id_of_two_films_is_of_neither(project: Project, tmp_path: Path) -> None:
    image = {"id": 1, "height": 64, "width": 48}
    images = [{**image, "file_name": f"a{n}.png"} for n in range(2)]
    path = coco(tmp_path / "c.json", (1, 1, [A_POLYGON]), images=images)
    with pytest.raises(DataError, match="several films have this id"):
        take(project, "coco", path)


def test_one_bad_annotation_costs_that_one_alone(
    project: Project, tmp_path: Path
) -> None:
    bad: list[object] = [[], [[1, 1]], [[900, 900, 950, 900, 950, 950]], "x", {"a": 1}]
    drawn = [(1, 1, [A_POLYGON]), *((1, 1, one) for one in bad), (1, 2, [])]
    taken = take(project, "coco", coco(tmp_path / "c.json", *drawn))
    np.testing.assert_array_equal(got(project), A)
    assert sum("left out" in warning for warning in taken.warnings) == len(bad)
    assert got(project, "mass") is None, "a box alone is not an empty mask"
    assert any("a box alone is no mask" in warning for warning in taken.rejected)


def test_the_files_own_findings_stay_apart(project: Project, tmp_path: Path) -> None:
    path = coco(tmp_path / "c.json", (1, 1, [A_POLYGON]), (1, 2, [B_POLYGON]))
    take(project, "coco", path, "nodule")
    np.testing.assert_array_equal(got(project), A)
    np.testing.assert_array_equal(got(project, "mass"), B)


def test_strange_findings_are_what_a_person_says(
    project: Project, tmp_path: Path
) -> None:
    path = coco(
        tmp_path / "c.json",
        (1, 1, [A_POLYGON]),
        categories=[{"id": 1, "name": "Segment_1"}],
    )
    with pytest.raises(DataError, match="name the finding with --finding"):
        take(project, "coco", path)
    take(project, "coco", path, "mass")
    np.testing.assert_array_equal(got(project, "mass"), A)


@pytest.mark.parametrize(
    ("stored", "affine"),
    [
        (A.T[:, :, None], np.diag([-1.0, -1, 1, 1])),
        (A.T[:, ::-1, None], np.diag([-1.0, 1, 1, 1])),
        (A.T[::-1, ::-1, None], np.eye(4)),
        (
            A[::-1, :, None],
            np.array([[0.0, -1, 0, 0], [1, 0, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]),
        ),
    ],
)
@pytest.mark.parametrize("kind", [nibabel.Nifti1Image, nibabel.Nifti2Image])
def test_an_axial_slice_follows_its_affine(
    project: Project, tmp_path: Path, stored: np.ndarray, affine: np.ndarray, kind: type
) -> None:
    image = kind(np.ascontiguousarray(stored.astype(np.uint8)), affine)
    nibabel.save(image, tmp_path / "x.nii.gz")
    (tmp_path / "x.nii.gz").rename(tmp_path / "a0.NII.GZ")
    take(project, "nifti", tmp_path / "a0.NII.GZ", "nodule")
    np.testing.assert_array_equal(got(project), A)


def test_films_that_their_reader_accepted_elsewhere_are_decided(
    project: Project, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = coco(tmp_path / "a.json", (1, 1, [A_POLYGON]), (1, 2, [B_POLYGON]))
    project.close()
    arguments = ["-p", str(project.folder), "--reader", "bea"]
    assert main(["import", "coco", str(file), *arguments]) == 0
    with Project.open(project.folder) as seen:
        assert seen.decisions() == {}
    assert main(["import", "coco", str(file), *arguments, "--accept"]) == 0
    with Project.open(project.folder) as seen:
        ((film, decision),) = seen.decisions().items()
        assert film == "0" * 16
        assert (decision.verdict, decision.reader) == ("accept with edits", "bea")
    assert main(["import", "labels", str(file), *arguments, "--accept"]) == 2
    assert "--accept" in capsys.readouterr().err

"""What every export format keeps to, and the PNG one's way back."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from napari_wsseg.datasets.folder import import_folder
from napari_wsseg.export import formats
from napari_wsseg.io import images
from napari_wsseg.io.project import Project
from napari_wsseg.jobs import DataError
from napari_wsseg.schema import Case

SHAPE = (16, 11)


def special_masks() -> list[np.ndarray]:
    empty, full = np.zeros(SHAPE, bool), np.ones(SHAPE, bool)
    first, last = empty.copy(), empty.copy()
    first[0, 0] = last[-1, -1] = True
    return [empty, full, first, last]


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    """Make a project whose two findings overlap on every film."""
    source = tmp_path / "images" / "ward"
    source.mkdir(parents=True)
    with Project.create(
        tmp_path / "project", findings=["mass", "nodule"], images=tmp_path / "images"
    ) as made:
        for number, mask in enumerate(special_masks()):
            path = source / f"f{number}.png"
            pixels = np.random.default_rng(number).integers(0, 256, SHAPE, np.uint8)
            Image.fromarray(pixels).save(path)
            case_id = images.read(path).uid[:16]
            labels = {"mass": int(mask.any()), "nodule": 1}
            made.add_case(
                Case(case_id, f"ward/f{number}.png", SHAPE, None, "val", labels)
            )
            made.put_mask(case_id, "mass", mask, reader="ann")
            made.put_mask(case_id, "nodule", special_masks()[1], reader="ann")
        yield made


@pytest.mark.parametrize("name", formats.names())
def test_a_format_names_every_file_that_it_wrote(
    project: Project, tmp_path: Path, name: str
) -> None:
    out = tmp_path / "out"
    written = formats[name](project, out)
    assert written
    assert sorted(written) == sorted(p for p in out.rglob("*") if p.is_file())


@pytest.mark.parametrize("name", formats.names())
def test_a_format_refuses_a_place_it_cannot_write_to(
    project: Project, tmp_path: Path, name: str
) -> None:
    (tmp_path / "out").write_text("a file")
    with pytest.raises(DataError, match="out"):
        formats[name](project, tmp_path / "out")


def test_an_export_as_png_can_be_imported_again(
    project: Project, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    formats["png"](project, out)
    report = import_folder(tmp_path / "again", project.images, out / "labels.csv", out)
    assert (report.imported, report.rejected) == (4, ())
    with Project.open(report.project) as again:
        assert again.findings == project.findings
        assert again.cases() == project.cases()
        for case in project.cases():
            ours, theirs = project.expert_masks(case.id), again.expert_masks(case.id)
            assert list(ours) == list(theirs) == ["mass", "nodule"]
            for finding, mask in ours.items():
                np.testing.assert_array_equal(theirs[finding], mask)

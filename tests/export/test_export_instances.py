"""Lesions get numbers; a learned field parts those that touch."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from helpers import noise_project
from napari_wsseg.export import writing
from napari_wsseg.io.project import Project

ROWS, COLUMNS = noise_project.SHAPE


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Return a project with two lesions, of which one is a pair that touches."""
    place = noise_project.make_project(tmp_path)
    mask = np.zeros((ROWS, COLUMNS), bool)
    mask[10:30, 10:70] = True  # the pair, side by side
    mask[60:80, 30:50] = True
    with Project.open(place, write=True) as project:
        case = project.cases()[0]
        project.put_mask(case.id, "nodule", mask, reader="ann")
        project.put_mask(case.id, "effusion", mask & False, reader="ann")
    return place


def exported(place: Path, out: Path, finding: str = "nodule") -> np.ndarray:
    with Project.open(place) as project:
        written = writing.export(project, "instances", out).files
        film = Path(project.cases()[0].path).stem
    path = out / finding / f"{film}.png"
    assert path in written
    return np.asarray(Image.open(path))


def test_what_hangs_together_is_one_lesion(place: Path, tmp_path: Path) -> None:
    numbers = exported(place, tmp_path / "out")
    assert numbers.dtype == np.uint16
    assert set(np.unique(numbers)) == {0, 1, 2}
    assert numbers[20, 20] == numbers[20, 60] != numbers[70, 40]


def test_an_empty_mask_has_no_lesion(place: Path, tmp_path: Path) -> None:
    assert not exported(place, tmp_path / "out", "effusion").any()


def test_a_learned_field_parts_lesions_that_touch(place: Path, tmp_path: Path) -> None:
    side = 48  # the film's 96 rows at half the size; 40 columns of film inside
    rows, columns = np.indices((side, side), dtype=np.float32)
    centres = np.where(columns < side / 2, 14.0, 34.0)
    field = np.stack([np.where(rows < 22, 10.0, 35.0) - rows, centres - columns])
    extra = {"displacement": field.astype(np.float16)}
    noise_project.add_stage(place, "irnet", "irnet-1", extra=extra)
    noise_project.adopt(place, "irnet", "irnet-1")
    numbers = exported(place, tmp_path / "out")
    assert numbers[20, 20] != numbers[20, 60]
    assert numbers[20, 20]
    assert numbers[20, 60]
    assert (numbers > 0).sum() == 20 * 60 + 20 * 20, "no pixel is lost"

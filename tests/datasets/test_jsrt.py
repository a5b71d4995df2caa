"""JSRT films and SCR masks, made up: the set itself may not be passed on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from napari_wsseg import jobs
from napari_wsseg.datasets import datasets
from napari_wsseg.io import images
from napari_wsseg.io.project import Project
from napari_wsseg.jobs import DataError

SIDE = 2048


def film(path: Path, seed: int) -> np.ndarray:
    path.parent.mkdir(parents=True, exist_ok=True)
    row = np.random.default_rng(seed).integers(0, 4096, SIDE)
    values = np.add.outer(np.arange(SIDE), row) % 4096
    values.astype(">u2").tofile(path)
    return values


def test_a_film_is_read_and_the_lowest_value_is_white(tmp_path: Path) -> None:
    values = film(tmp_path / "JPCLN001.IMG", 1)
    read = images.read(tmp_path / "JPCLN001.IMG")
    np.testing.assert_allclose(read.pixels, 1 - values / 4095, atol=1e-6)
    assert (read.bits, read.spacing_mm) == (12, (0.175, 0.175))


@pytest.mark.parametrize(
    ("data", "message"),
    [(b"\0" * 100, "not a film of the JSRT"), (b"\xff\xff" * SIDE * SIDE, "12 bits")],
)
def test_another_img_is_refused(tmp_path: Path, data: bytes, message: str) -> None:
    (tmp_path / "a.img").write_bytes(data)
    with pytest.raises(DataError, match=message):
        images.read(tmp_path / "a.img")


def test_labels_are_in_the_names_and_masks_at_half_the_size(tmp_path: Path) -> None:
    for number, name in enumerate(("JPCLN001", "JPCNN001")):
        film(tmp_path / "films" / f"{name}.IMG", number)
    half = np.zeros((SIDE // 2, SIDE // 2), bool)
    half[100:300, 50:400] = True
    folder = tmp_path / "scr" / "fold1" / "masks" / "left lung"
    folder.mkdir(parents=True)
    Image.fromarray(half.astype(np.uint8) * 255).save(folder / "JPCLN001.gif")
    Image.fromarray(half.astype(np.uint8) * 255).save(folder / "JPCLN099.gif")
    made = datasets["jsrt"](
        tmp_path / "p", images=tmp_path / "films", masks=tmp_path / "scr"
    )
    report = jobs.finish(made)
    assert [each.reason for each in report.rejected] == ["no film is called JPCLN099"]
    with Project.open(tmp_path / "p") as project:
        cases = {case.name: case for case in project.cases()}
        assert cases["JPCLN001"].labels == {"nodule": 1, "left_lung": 1}
        assert cases["JPCNN001"].labels == {"nodule": 0, "left_lung": None}
        one = project.expert_annotations(cases["JPCLN001"].id)["left_lung"]
        doubled = np.kron(half, np.ones((2, 2), bool))
        np.testing.assert_array_equal(project.read_mask(one), doubled)

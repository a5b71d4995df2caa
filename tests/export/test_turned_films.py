"""Films that lie on their side and say so in EXIF: masks belong to what is seen."""

from __future__ import annotations

import json
from pathlib import Path

import nibabel
import numpy as np
import pytest
from PIL import ExifTags, Image

from napari_wsseg import jobs
from napari_wsseg.datasets.folder import import_folder
from napari_wsseg.export import importers, reading_back, writing
from napari_wsseg.io.films import orientation as _orientation
from napari_wsseg.io.project import Project

FILMS = {
    f"{ending}{orientation}.{ending}": turns
    for ending in ("jpg", "png", "tif")
    for orientation, turns in ((6, -1), (8, 1))
}
"""Quarter turns (counterclockwise) from what is stored to what is seen."""

SEEN = (24, 18)


def painted() -> np.ndarray:
    """Return a mask that no turn or mirror leaves as it is."""
    mask = np.zeros(SEEN, bool)
    mask[2:20, 3] = mask[2, 3:14] = mask[9, 3:9] = mask[-1, -1] = True
    return mask


def stored(number: int, turns: int) -> np.ndarray:
    """Return a smooth film as the scanner stored it."""
    down, across = np.mgrid[: SEEN[0], : SEEN[1]]
    return np.rot90(down * 6 + across * 4 + number, -turns).astype(np.uint8)


@pytest.fixture
def turned(tmp_path: Path) -> Project:
    (tmp_path / "films").mkdir()
    for number, (name, turns) in enumerate(FILMS.items()):
        exif = Image.Exif()
        exif[ExifTags.Base.Orientation] = 6 if turns == -1 else 8
        picture = Image.fromarray(stored(number, turns))
        picture.save(tmp_path / "films" / name, exif=exif)
    (tmp_path / "masks" / "mass").mkdir(parents=True)
    theirs = Image.fromarray(painted())
    theirs.save(tmp_path / "masks" / "mass" / "jpg6.png")
    report = import_folder(tmp_path / "p", tmp_path / "films", masks=tmp_path / "masks")
    assert not report.rejected
    [remark] = [warning for warning in report.warnings if "EXIF" in warning]
    assert remark == f"jpg6.jpg and 5 more: {_orientation.TURNED}"
    return Project.open(report.project, write=True)


def test_a_film_on_its_side_is_seen_upright(turned: Project) -> None:
    with turned:
        for number, (name, turns) in enumerate(FILMS.items()):
            case = next(case for case in turned.cases() if case.path == name)
            pixels = turned.radiograph(case).pixels
            assert case.shape == pixels.shape == SEEN
            seen = np.rot90(stored(number, turns), turns) / 255
            np.testing.assert_allclose(pixels, seen, atol=0.03)
            if name == "jpg6.jpg":  # whoever drew it saw the same
                [mask] = turned.expert_masks(case.id).values()
                np.testing.assert_array_equal(mask, painted())


@pytest.mark.parametrize("name", importers.names())
def test_a_mask_painted_on_what_is_seen_comes_back(
    turned: Project, tmp_path: Path, name: str
) -> None:
    with turned:
        for case in turned.cases():
            turned.put_mask(case.id, "mass", painted(), reader="ann")
        writing.export(turned, name, tmp_path / name)
        steps = reading_back.steps(turned, name, tmp_path / name, reader="bea")
        taken = jobs.finish(steps)
        assert (taken.masks, taken.rejected) == (len(FILMS), ())
        for case in turned.cases():
            back = turned.latest(case.id, "mass", reader="bea")
            assert back is not None
            np.testing.assert_array_equal(turned.read_mask(back), painted())


def test_other_tools_find_the_mask_as_it_is_seen(
    turned: Project, tmp_path: Path
) -> None:
    with turned:
        for case in turned.cases():
            turned.put_mask(case.id, "mass", painted(), reader="ann")
        for name in ("png", "coco", "nifti"):
            writing.export(turned, name, tmp_path / name)
    for film in FILMS:
        bare = Path(film).stem
        with Image.open(tmp_path / "png" / "mass" / f"{bare}.png") as image:
            np.testing.assert_array_equal(np.asarray(image), painted())
        volume = nibabel.load(tmp_path / "nifti" / "mass" / f"{bare}.nii.gz")
        np.testing.assert_array_equal(volume.get_fdata()[:, :, 0].T > 0, painted())
    document = json.loads((tmp_path / "coco" / "annotations.json").read_text())
    assert {(one["height"], one["width"]) for one in document["images"]} == {SEEN}

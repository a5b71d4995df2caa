"""napari's File ▸ Open and File ▸ Save, without a window."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pydicom import dcmread
from pydicom.data import get_testdata_file

from napari_wsseg._reader import get_reader
from napari_wsseg._writer import write_png
from napari_wsseg.datasets.folder import import_folder
from napari_wsseg.jobs import DataError


@pytest.fixture
def film(tmp_path: Path) -> Path:
    """Make a DICOM file out of a small one that pydicom brings along."""
    source = Path(str(get_testdata_file("MR_small.dcm")))
    path = tmp_path / "film.dcm"
    path.write_bytes(source.read_bytes())
    return path


@pytest.mark.parametrize(
    "path", ["nowhere.dat", "notes.txt", "", "a\0b", ".", "nowhere/"]
)
def test_a_path_that_is_not_ours_is_left_to_others(tmp_path: Path, path: str) -> None:
    (tmp_path / "notes.txt").write_text("dear diary")
    assert get_reader(str(tmp_path / path)) is None
    assert get_reader([]) is None


def test_a_dicom_film_becomes_an_image_layer_in_millimetres(film: Path) -> None:
    read = get_reader(str(film))
    assert read is not None
    [(pixels, options, kind)] = read(str(film))
    assert (pixels.shape, pixels.dtype, kind) == ((64, 64), np.float32, "image")
    assert options["name"] == "film"
    assert options["contrast_limits"] == (0.0, 1.0)
    assert options["scale"] == (0.3125, 0.3125)


def test_a_films_name_is_shown_only_if_it_says_that_nobody_is_named(
    film: Path,
) -> None:
    named = film.rename(film.with_name("DOE^JANE.dcm"))
    read = get_reader(str(named))
    assert read is not None
    assert read(str(named))[0][1]["name"] == "film"
    dataset = dcmread(named)
    dataset.PatientIdentityRemoved = "YES"
    dataset.save_as(named)
    assert read(str(named))[0][1]["name"] == "DOE^JANE"


def test_dicom_is_known_without_its_ending(film: Path) -> None:
    nameless = film.rename(film.with_name("IM0001"))
    assert get_reader(str(nameless)) is not None


def test_several_films_become_several_layers(film: Path) -> None:
    read = get_reader([str(film), str(film)])
    assert read is not None
    assert len(read([str(film), str(film)])) == 2


def test_a_broken_film_is_told_not_traced(tmp_path: Path) -> None:
    broken = tmp_path / "film.dcm"
    broken.write_bytes(b"no film")
    read = get_reader(str(broken))
    assert read is not None
    with pytest.raises(DataError, match="not DICOM"):
        read(str(broken))


def test_a_project_folder_shows_its_films(film: Path, tmp_path: Path) -> None:
    (tmp_path / "masks" / "nodule").mkdir(parents=True)
    (tmp_path / "films").mkdir()
    film.rename(tmp_path / "films" / "one.dcm")
    import_folder(tmp_path / "p", tmp_path / "films", masks=tmp_path / "masks")
    read = get_reader(str(tmp_path / "p"))
    assert read is not None
    [(_, options, _)] = read(str(tmp_path / "p"))
    assert options["name"] == "film_0001"


@pytest.mark.parametrize("value", [1, 3, 200])
def test_one_value_is_saved_as_one_bit(tmp_path: Path, value: int) -> None:
    labels = np.zeros((7, 5), np.uint8)
    labels[2:4, 1] = value
    path = str(tmp_path / "mask.png")
    assert write_png(path, labels, {}) == [path]
    with Image.open(path) as image:
        assert image.mode == "1"
        np.testing.assert_array_equal(np.asarray(image), labels > 0)


def test_several_values_are_saved_as_indices_and_not_flattened(tmp_path: Path) -> None:
    labels = np.arange(256, dtype=np.int32).reshape(16, 16)
    write_png(str(tmp_path / "mask.png"), labels, {})
    with Image.open(tmp_path / "mask.png") as image:
        assert image.mode == "P"
        np.testing.assert_array_equal(np.asarray(image), labels)
        assert image.getpalette()[:6] == [0, 0, 0, 0xE6, 0x9F, 0x00]


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (np.zeros((2, 3, 4), np.uint8), "3 dimensions"),
        (np.array([[0, 1, 256]]), "0 to 255"),
        (np.array([[0, 1, -1]]), "0 to 255"),
    ],
)
def test_what_a_png_cannot_hold_is_refused(
    tmp_path: Path, labels: np.ndarray, message: str
) -> None:
    path = tmp_path / "mask.png"
    path.write_bytes(b"an older mask")
    with pytest.raises(DataError, match=message):
        write_png(str(path), labels, {})
    assert path.read_bytes() == b"an older mask"


def test_the_hooks_load_neither_torch_nor_pydicom() -> None:
    script = (
        "import sys, napari_wsseg._reader, napari_wsseg._writer\n"
        "from napari_wsseg import datasets, export\n"
        "sys.exit(any(m in sys.modules for m in ('torch', 'pydicom', 'napari')))"
    )
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0

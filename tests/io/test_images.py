"""Pictures of every depth and kind end as the same greys, or as one reason."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import ExifTags, Image

from helpers import noise_dicom
from helpers.small_project import dicom_film, grey, save_dicom, write_png
from napari_wsseg.io import dicom, images
from napari_wsseg.io.external import mask_files
from napari_wsseg.io.films import limits as _limits
from napari_wsseg.io.films import orientation as _orientation
from napari_wsseg.jobs import DataError

GREY = grey(1)


def save(image: Image.Image, path: Path, **options: Any) -> Path:
    image.save(path, **options)
    return path


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA", "P"])
@pytest.mark.parametrize("ending", ["png", "tif"])
def test_grey_in_any_dress_is_the_same_film(
    tmp_path: Path, mode: str, ending: str
) -> None:
    plain = images.read(save(Image.fromarray(GREY), tmp_path / "plain.png"))
    image = Image.fromarray(GREY)
    image = image.convert("RGB") if mode == "P" else image
    dressed = image.quantize(256) if mode == "P" else image.convert(mode)
    if mode in ("LA", "RGBA"):
        dressed.putalpha(Image.fromarray(grey(2)))
    path = save(dressed, tmp_path / f"film.{ending}")
    film, remarks = images.read_noting(path)
    np.testing.assert_allclose(film.pixels, GREY / 255, atol=1e-6)
    assert (film.uid, film.bits, remarks) == (plain.uid, 8, ())


@pytest.mark.parametrize("bits", [9, 12, 14, 16])
@pytest.mark.parametrize("ending", ["png", "tif"])
def test_a_deep_film_is_scaled_by_the_bits_it_uses(
    tmp_path: Path, bits: int, ending: str
) -> None:
    values = np.linspace(0, 2**bits - 1, 600).round().astype(np.uint16).reshape(20, 30)
    film = images.read(save(Image.fromarray(values), tmp_path / f"film.{ending}"))
    assert film.bits == bits
    np.testing.assert_allclose(film.pixels, values / (2**bits - 1), atol=1e-6)


def test_one_bit_is_black_and_white(tmp_path: Path) -> None:
    film = images.read(save(Image.fromarray(GREY > 99), tmp_path / "film.png"))
    np.testing.assert_array_equal(film.pixels, GREY > 99)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_tiff_whose_white_is_zero_is_turned(tmp_path: Path, dtype: type) -> None:
    values = np.full((20, 30), np.iinfo(dtype).max, dtype)
    values[:, :9] = 0
    path = tmp_path / "film.tif"
    tifffile.imwrite(path, values, photometric="miniswhite")
    film = images.read(path)
    assert film.pixels[0, 0] == 1
    assert film.pixels[0, -1] == 0


def test_a_jpeg_of_grey_has_no_remark_and_a_coloured_one_has(tmp_path: Path) -> None:
    smooth = np.tile(np.arange(64, dtype=np.uint8) * 3, (48, 1))
    image = Image.fromarray(smooth).convert("RGB")
    film, remarks = images.read_noting(save(image, tmp_path / "grey.jpg"))
    assert remarks == ()
    np.testing.assert_allclose(film.pixels, smooth / 255, atol=0.03)
    tinted = Image.fromarray(np.dstack([smooth, smooth // 2, smooth // 3]))
    _, remarks = images.read_noting(save(tinted, tmp_path / "brown.png"))
    assert remarks == ("colour was turned into luminance",)


def test_a_photograph_is_converted_to_colours_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    smooth = np.tile(np.arange(64, dtype=np.uint8) * 3, (48, 1))
    tinted = Image.fromarray(np.dstack([smooth, smooth // 2, smooth // 3]))
    path = save(tinted, tmp_path / "brown.png")
    modes, convert = [], Image.Image.convert

    def counted(image: Image.Image, mode: str, **options: Any) -> Image.Image:
        modes.append(mode)
        return convert(image, mode, **options)

    monkeypatch.setattr(Image.Image, "convert", counted)
    assert images.read(path).colour is not None
    assert modes.count("RGB") == 1


def test_a_file_is_known_by_its_content(tmp_path: Path) -> None:
    png = write_png(tmp_path / "film.png", GREY)
    lying = png.rename(tmp_path / "film.dcm")
    np.testing.assert_allclose(images.read(lying).pixels, GREY / 255, atol=1e-6)
    dcm = save_dicom(dicom_film(GREY), tmp_path / "nameless")
    assert images.is_dicom(dcm)
    assert images.read(dcm).bits == 8
    assert not images.is_dicom(lying)
    assert not images.is_dicom(tmp_path / "nowhere")


def test_the_uid_belongs_to_the_pixels_alone(tmp_path: Path) -> None:
    one = images.read(write_png(tmp_path / "a.png", GREY))
    moved = images.read(write_png(tmp_path / "b" / "c.png", GREY))
    turned = images.read(write_png(tmp_path / "d.png", GREY.reshape(30, 40)))
    assert one.uid == moved.uid != turned.uid
    assert len(one.uid) == 64


def pages(path: Path) -> Path:
    tifffile.imwrite(path, np.zeros((3, 20, 30), np.uint8), photometric="minisblack")
    return path


def animated(path: Path) -> Path:
    frames = [Image.fromarray(grey(n)) for n in range(2)]
    frames[0].save(path, format="PNG", save_all=True, append_images=frames[1:])
    return path


def real(path: Path) -> Path:
    tifffile.imwrite(path, np.full((20, 30), 700.5, np.float32))
    return path


def cut(path: Path) -> Path:
    data = write_png(path.with_suffix(".whole.png"), grey(3, (200, 200))).read_bytes()
    path.write_bytes(data[: len(data) // 2])
    return path


def vast(path: Path) -> Path:
    head = struct.pack(">IIBBBBB", 40_000, 40_000, 8, 0, 0, 0, 0)
    parts = [(b"IHDR", head), (b"IDAT", zlib.compress(bytes(99))), (b"IEND", b"")]
    data = b"".join(
        struct.pack(">I", len(body)) + part + struct.pack(">I", zlib.crc32(part))
        for name, body in parts
        for part in [name + body]
    )
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + data)
    return path


def plain_text(path: Path) -> Path:
    path.write_text("dear diary")
    return path


def nothing(path: Path) -> Path:
    path.touch()
    return path


def inks(path: Path) -> Path:
    Image.new("CMYK", (9, 9)).save(path, format="JPEG")
    return path


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (pages, "3 pages"),
        (animated, "2 pages"),
        (real, "real values"),
        (cut, "damaged image"),
        (vast, "over the cap|bomb"),
        (plain_text, "not a PNG, JPEG, TIFF or DICOM"),
        (nothing, "empty file"),
        (inks, "CMYK"),
    ],
)
def test_what_is_no_film_is_refused_in_one_line(
    tmp_path: Path, make: Any, reason: str
) -> None:
    path = make(tmp_path / "film.png")
    with pytest.raises(DataError, match=reason) as refusal:
        images.read(path)
    assert str(refusal.value).startswith(f"{path}: ")
    assert str(refusal.value).count(str(path)) == 1
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        ({"NumberOfFrames": 7}, "7 frames"),
        ({"BitsStored": 40}, "bits stored"),
        ({"Rows": 60_000, "Columns": 60_000}, "over the cap"),
        ({"PixelData": bytes(8)}, "truncated"),
        ({"PhotometricInterpretation": "PALETTE COLOR"}, "is no film"),
    ],
)
@pytest.mark.parametrize("read", [images.read, dicom.read])
def test_a_dicom_film_that_is_off_is_named_once(
    tmp_path: Path, damage: dict[str, Any], reason: str, read: Any
) -> None:
    dataset = noise_dicom.film(1)
    for keyword, value in damage.items():
        setattr(dataset, keyword, value)
    path = save_dicom(dataset, tmp_path / "film.dcm")
    with pytest.raises(DataError, match=reason) as refusal:
        read(path)
    assert str(refusal.value).startswith(f"{path}: ")
    assert str(refusal.value).count(str(path)) == 1


def test_a_film_over_the_cap_is_refused_before_it_is_decoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_limits, "MAX_PIXELS", 100)
    with pytest.raises(DataError, match="over the cap"):
        images.read(write_png(tmp_path / "a.png", GREY))


def test_a_missing_file_and_a_folder_are_told(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="No such file"):
        images.read(tmp_path / "nowhere.png")
    with pytest.raises(DataError, match="not a file"):
        images.read(tmp_path)


SEEN = {
    1: lambda stored: stored,
    2: np.fliplr,
    3: lambda stored: np.rot90(stored, 2),
    4: np.flipud,
    5: np.transpose,
    6: lambda stored: np.rot90(stored, -1),
    7: lambda stored: np.rot90(stored, 2).T,
    8: np.rot90,
}
"""What is seen of stored pixels, by EXIF orientation (Exif 2.32, 4.6.4)."""


def lying(values: np.ndarray, orientation: int, path: Path) -> Path:
    """Write pixels as they are, with an orientation beside them."""
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    return save(Image.fromarray(values), path, exif=exif)


@pytest.mark.parametrize("orientation", SEEN)
@pytest.mark.parametrize("ending", ["png", "tif", "jpg"])
def test_a_picture_is_turned_as_its_exif_says(
    tmp_path: Path, orientation: int, ending: str
) -> None:
    smooth = np.add.outer(np.arange(48) * 2, np.arange(32) * 4).astype(np.uint8)
    path = lying(smooth, orientation, tmp_path / f"film.{ending}")
    film, remarks = images.read_noting(path)
    expected = SEEN[orientation](smooth) / 255
    np.testing.assert_allclose(film.pixels, expected, atol=0.02)
    assert remarks == (() if orientation == 1 else (_orientation.TURNED,))
    assert film.colour is None


@pytest.mark.parametrize("dtype", [bool, np.uint16])
@pytest.mark.parametrize("ending", ["png", "tif"])
def test_deep_films_and_masks_are_turned_too(
    tmp_path: Path, dtype: type, ending: str
) -> None:
    stored = np.zeros((20, 30), bool)
    stored[2:5, 4:19] = True
    path = lying(stored.astype(dtype) * dtype(1), 6, tmp_path / f"mask.{ending}")
    seen = np.rot90(stored, -1)
    np.testing.assert_array_equal(mask_files.read(path, (30, 20)), seen)
    np.testing.assert_array_equal(mask_files.read(path, None), seen)
    np.testing.assert_array_equal(images.read(path).pixels > 0, seen)
    with pytest.raises(DataError, match="30 × 20, its film 20 × 30"):
        mask_files.read(path, (20, 30))


@pytest.mark.parametrize(
    "exif", [b"Exif\0\0garbage", b"Exif\0\0MM\0*\0\0\0\x08\xff\xff"]
)
@pytest.mark.parametrize("ending", ["png", "jpg"])
def test_a_damaged_orientation_costs_no_film(
    tmp_path: Path, exif: bytes, ending: str
) -> None:
    flat = np.full((20, 30), 99, np.uint8)
    path = save(Image.fromarray(flat), tmp_path / f"film.{ending}", exif=exif)
    film, remarks = images.read_noting(path)
    np.testing.assert_allclose(film.pixels, flat / 255, atol=0.01)
    assert remarks == ()


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA", "I;16"])
def test_a_mask_is_white_on_black_in_any_dress(tmp_path: Path, mode: str) -> None:
    mask = grey(4) > 128
    if mode == "I;16":
        image = Image.fromarray(mask.astype(np.uint16) * 256)
    elif mode == "P":
        image = Image.fromarray(mask.astype(np.uint8) * 3).convert("P")
    else:
        image = Image.fromarray(mask).convert(mode)
    path = save(image, tmp_path / "mask.png")
    np.testing.assert_array_equal(mask_files.read(path, (40, 30)), mask)
    with pytest.raises(DataError, match="40 × 30, its film 30 × 40"):
        mask_files.read(path, (30, 40))


@pytest.mark.data
def test_rgba_films_of_a_public_set_are_read(shared_data: Path) -> None:
    paths = sorted((shared_data / "nih14" / "images").glob("*.png"))
    coloured = [path for path in paths if Image.open(path).mode == "RGBA"]
    assert len(coloured) == 4
    for path in coloured:
        film, remarks = images.read_noting(path)
        assert film.pixels.shape == (1024, 1024)
        assert film.pixels.std() > 0.1
        assert remarks == ()

"""What in a picture is a mask, and what is refused."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from napari_wsseg.io.external import mask_files, mask_values
from napari_wsseg.io.external.mask_values import Choice
from napari_wsseg.io.films import limits
from napari_wsseg.jobs import DataError, UsageError

SHAPE = (64, 48)
TRUTH = np.zeros(SHAPE, bool)
TRUTH[10:20, 5:25] = True


def with_values(inside: float, outside: float, dtype: str) -> np.ndarray:
    return np.where(TRUTH, inside, outside).astype(dtype)


@pytest.mark.parametrize(
    "values",
    [
        TRUTH,
        with_values(1, 0, "u1"),
        with_values(255, 0, "u1"),
        with_values(65535, 3, "u2"),
        with_values(1, -1, "i2"),
        with_values(0.9, 0.01, "f4"),
        with_values(0.7, np.nan, "f4"),
        with_values(3, 1e-5, "f8"),
    ],
)
def test_two_values_are_a_mask(values: np.ndarray) -> None:
    np.testing.assert_array_equal(mask_values.drawn(values), TRUTH)


def test_probabilities_are_cut_at_one_half() -> None:
    noise = np.random.default_rng(0).random(SHAPE) * 0.4
    soft = np.where(TRUTH, 0.55 + noise, noise).astype(np.float32)
    np.testing.assert_array_equal(mask_values.drawn(soft), TRUTH)
    with pytest.raises(DataError, match="no probability is above one half"):
        mask_values.drawn(noise)
    # What is nowhere 0 comes of a network, were it of two values or of one.
    np.testing.assert_array_equal(mask_values.drawn(with_values(0.9, 0.3, "f4")), TRUTH)
    for high, low in ((0.4, 0.01), (0.3, 0.3)):
        with pytest.raises(DataError, match="no probability is above one half"):
            mask_values.drawn(with_values(high, low, "f4"))


@pytest.mark.parametrize("quality", [50, 75, 95])
def test_what_jpeg_leaves_is_cut_and_told(quality: int) -> None:
    file = BytesIO()
    Image.fromarray(with_values(255, 0, "u1")).save(file, "JPEG", quality=quality)
    remarks: list[str] = []
    values = np.asarray(Image.open(file))
    np.testing.assert_array_equal(mask_values.drawn(values, remarks=remarks), TRUTH)
    assert "noise about two values" in remarks[0]


def labels(*values: int) -> np.ndarray:
    made = np.zeros(SHAPE, np.uint8)
    for place, value in enumerate(values):
        made[10 * place : 10 * place + 8, 5:25] = value
    return made


@pytest.mark.parametrize(
    "values",
    [
        labels(1, 2),
        labels(1, 255),
        labels(1, 2, 3, 255),
        np.add.outer(np.arange(64), np.zeros(48, int)),
        with_values(2, 1, "u1"),
        with_values(0, -5, "i2"),
        with_values(np.inf, 0, "f4"),
        np.full(SHAPE, np.nan),
        np.full(SHAPE, -5),
    ],
)
def test_what_is_not_two_values_is_refused(values: np.ndarray) -> None:
    with pytest.raises(DataError):
        mask_values.drawn(values)


def test_a_refusal_says_the_values_and_the_way_out() -> None:
    with pytest.raises(DataError, match=r"0, 1, 2, not two.*value=NUMBER.*cut=NUMBER"):
        mask_values.drawn(labels(1, 2))
    chosen = mask_values.drawn(labels(1, 2), Choice(value=2))
    np.testing.assert_array_equal(chosen, labels(1, 2) == 2)
    assert mask_values.labels(labels(1, 2)) == [1, 2]
    cut = mask_values.drawn(labels(1, 2), Choice(cut=0.5))
    np.testing.assert_array_equal(cut, labels(1, 2) > 0)
    with pytest.raises(DataError, match="no pixel has the value 7"):
        mask_values.drawn(labels(1, 2), Choice(value=7))


@pytest.mark.parametrize("word", ["cut", "cut=x", "cut=nan", "soft=1"])
def test_a_choice_that_is_none_is_told(word: str) -> None:
    with pytest.raises(UsageError, match="say cut=NUMBER or value=NUMBER"):
        mask_values.chosen(Choice(), word)
    with pytest.raises(UsageError, match="one of them once"):
        mask_values.chosen(Choice(cut=1), "value=2")


def coloured(inside: tuple[int, ...], outside: tuple[int, ...]) -> np.ndarray:
    return np.where(TRUTH[..., None], inside, outside).astype(np.uint8)


@pytest.mark.parametrize(
    "image",
    [
        Image.fromarray(coloured((255, 255, 255), (0, 0, 0))).quantize(2),
        Image.fromarray(coloured((255, 0, 0), (0, 0, 0))).quantize(2),
        Image.fromarray(coloured((255, 0, 0), (0, 0, 0))),
        Image.fromarray(coloured((255, 0, 0, 255), (255, 255, 255, 0))),
        Image.fromarray(coloured((0, 0, 0, 255), (0, 0, 0, 0))),
        Image.fromarray(coloured((0, 0, 0, 255), (255, 255, 255, 0))),
        Image.fromarray(coloured((9, 99, 9, 255), (0, 0, 0, 255))),
        Image.fromarray(coloured((255, 255), (0, 255)), "LA"),
        Image.fromarray(coloured((0, 255), (0, 0)), "LA"),
    ],
)
def test_a_mask_is_what_a_viewer_shows(image: Image.Image, tmp_path: Path) -> None:
    image.save(tmp_path / "mask.png")
    np.testing.assert_array_equal(mask_files.read(tmp_path / "mask.png", SHAPE), TRUTH)


@pytest.mark.parametrize("mode", ["P", "L", "1", "RGB"])
def test_black_beside_transparent_white_is_not_guessed(
    mode: str, tmp_path: Path
) -> None:
    path = tmp_path / "mask.png"
    image = Image.fromarray(np.where(TRUTH, 255, 0).astype(np.uint8))
    key = {"P": 255, "L": 255, "1": 1, "RGB": (255, 255, 255)}[mode]
    image.convert(mode).save(path, transparency=key)
    with pytest.raises(DataError, match="black is opaque and its white transparent"):
        mask_files.read(path, SHAPE)
    for value, wanted in ((255, ~TRUTH), (0, TRUTH)):
        made = mask_files.read(path, SHAPE, choice=Choice(value=value))
        np.testing.assert_array_equal(made, wanted)


def test_several_colours_are_no_mask(tmp_path: Path) -> None:
    colours = coloured((255, 0, 0), (0, 0, 0))
    colours[30:40, 5:25] = (0, 255, 0)
    Image.fromarray(colours).save(tmp_path / "mask.png")
    with pytest.raises(DataError, match="several colours"):
        mask_files.read(tmp_path / "mask.png", SHAPE)


@pytest.mark.parametrize("dtype", ["u1", "u2"])
def test_white_that_is_zero_is_white(dtype: str, tmp_path: Path) -> None:
    top = np.iinfo(dtype).max
    stored = with_values(0, top, dtype)
    Image.fromarray(stored).save(tmp_path / "mask.tif", tiffinfo={262: 0})
    seen = mask_files.read(tmp_path / "mask.tif", SHAPE)
    # Pillow stores 8 bits turned, so that they are seen as they were.
    np.testing.assert_array_equal(seen, TRUTH if dtype == "u2" else ~TRUTH)


def test_what_covers_nearly_all_or_contradicts_the_label_is_told() -> None:
    assert mask_values.warn(TRUTH, 1) == []
    assert "absent" in mask_values.warn(TRUTH, 0)[0]
    assert "covers 100%" in mask_values.warn(np.ones(SHAPE, bool), None)[0]


def test_a_mask_file_that_is_none_is_refused_in_its_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refusal(data: bytes | Image.Image | None, name: str = "m.png") -> str:
        path = tmp_path / name
        path.unlink(missing_ok=True)
        if isinstance(data, Image.Image):
            data.save(path)
        elif data is not None:
            path.write_bytes(data)
        with pytest.raises(DataError) as raised:
            mask_files.read(path, (4, 5))
        message = str(raised.value)
        assert message.startswith(f"{path}: ")
        return message.removeprefix(f"{path}: ")

    mask = Image.fromarray(np.eye(4, 5, dtype=np.uint8) * 255)
    assert "cannot be read" in refusal(None)
    assert refusal(b"") == "empty file"
    assert refusal(b"\x89PNG\r\n\x1a\njunk").startswith("not a mask image (")
    assert "the mask is 5 × 4, its film 4 × 5; export" in refusal(mask.transpose(4))
    mask.save(tmp_path / "m.tif", save_all=True, append_images=[mask])
    assert refusal((tmp_path / "m.tif").read_bytes(), "m.tif") == (
        "2 pages; a mask has one"
    )
    mask.save(tmp_path / "m.webp", lossless=True)
    assert "not a mask image" in refusal((tmp_path / "m.webp").read_bytes(), "m.webp")
    assert "its values are" in refusal(
        Image.fromarray(np.arange(20, dtype=np.uint8).reshape(4, 5))
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(limits, "MAX_PIXELS", 19)
        assert "over the cap" in refusal(mask)
    monkeypatch.setattr(limits, "MAX_FILE_BYTES", 10)
    assert "that one film may have" in refusal(mask)


def test_a_mask_of_any_shape_or_turned_as_its_exif_says(tmp_path: Path) -> None:
    mask = np.eye(4, 5, dtype=bool)
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(np.rot90(mask)).save(tmp_path / "m.png", exif=exif)
    assert np.array_equal(mask_files.read(tmp_path / "m.png", None), mask)
    assert np.array_equal(mask_files.read(tmp_path / "m.png", (4, 5)), mask)
    assert mask_files.blank((4, 5)).shape == (4, 5)
    assert not mask_files.blank((4, 5)).any()


def test_white_that_is_zero_turns_reals_about_their_middle(tmp_path: Path) -> None:
    mask = np.eye(4, 5, dtype=bool)
    for values in (np.where(mask, 0.25, 1.0).astype("f4"), np.where(mask, 0, 65535)):
        image = Image.fromarray(
            values.astype(values.dtype if values.dtype.kind == "f" else "u2")
        )
        image.save(tmp_path / "m.tif", tiffinfo={262: 0})
        assert np.array_equal(mask_files.read(tmp_path / "m.tif", (4, 5)), mask)

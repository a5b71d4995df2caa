"""SIIM run lengths: a public line of the challenge, and every mask there and back."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from napari_wsseg.export import Found, siim_rle, writing
from napari_wsseg.io.project import Project
from napari_wsseg.jobs import DataError
from napari_wsseg.schema import Case

PUBLIC = "387620 23 996 33 986 43 977 51 968 58 962 65 956 70 952 74 949 76 946 79"


def official_decode(rle: str, width: int, height: int) -> np.ndarray:
    """Decode as the challenge's notes say: relative starts, down the columns."""
    flat = np.zeros(width * height)
    numbers = np.asarray([int(word) for word in rle.split()])
    place = 0
    for gap, length in zip(numbers[0::2], numbers[1::2], strict=True):
        place += gap
        flat[place : place + length] = 255
        place += length
    return flat.reshape(width, height).T > 0


def test_a_public_line_is_the_mask_that_it_is_known_to_be() -> None:
    mask = siim_rle.decode(PUBLIC, (1024, 1024))
    rows, columns = np.nonzero(mask)
    assert mask.sum() == 572
    assert (rows.min(), rows.max()) == (517, 595)
    assert (columns.min(), columns.max()) == (378, 387)
    np.testing.assert_array_equal(mask, official_decode(PUBLIC, 1024, 1024))
    assert siim_rle.encode(mask) == PUBLIC


@given(hnp.arrays(bool, hnp.array_shapes(min_dims=2, max_dims=2, max_side=12)))
def test_any_mask_comes_back(mask: np.ndarray) -> None:
    rle = siim_rle.encode(mask)
    np.testing.assert_array_equal(siim_rle.decode(rle, mask.shape), mask)
    if mask.any():
        rows, columns = mask.shape
        np.testing.assert_array_equal(official_decode(rle, columns, rows), mask)


def test_a_run_that_reaches_the_last_pixel_is_kept() -> None:
    mask = np.zeros((5, 7), bool)
    mask[-1, -1] = True
    assert siim_rle.encode(mask) == "34 1"
    assert siim_rle.encode(np.ones((5, 7), bool)) == "0 35"


@pytest.mark.parametrize("rle", ["-1", " -1", "-1 ", ""])
def test_empty_is_minus_one_with_or_without_blanks(rle: str) -> None:
    assert not siim_rle.decode(rle, (4, 6)).any()
    assert siim_rle.encode(np.zeros((4, 6), bool)) == "-1"


@pytest.mark.parametrize(
    ("rle", "message"),
    [
        ("1 2 3", "pairs"),
        ("5 0", "pairs"),
        ("1 2 -3 4", "pairs"),
        ("a b", "not numbers"),
        ("20 5", "reach pixel 25 of 24"),
        ("-1 4", "pairs"),
        ("7", "pairs"),
    ],
)
def test_run_lengths_that_cannot_be_are_refused(rle: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        siim_rle.decode(rle, (4, 6))


@given(st.text(max_size=30))
def test_any_text_ends_in_a_mask_or_a_reason(text: str) -> None:
    try:
        mask = siim_rle.decode(text, (4, 6))
    except DataError:
        return
    assert mask.shape == (4, 6)


@pytest.mark.parametrize("start", ["\n", "\r\n\r\n", ",\n", '"",""\n \n'])
def test_blank_lines_before_the_header_are_none(start: str, tmp_path: Path) -> None:
    path = tmp_path / "nodule.csv"
    path.write_text(f"{start}ImageId,EncodedPixels\na.png,0 3\n", newline="")
    (found,) = siim_rle.read(path)
    assert isinstance(found, Found)
    assert found.film == "a.png"


def test_the_csv_has_one_line_a_film(tmp_path: Path) -> None:
    with Project.create(
        tmp_path / "p", findings=["pneumothorax", "mass"], images=tmp_path
    ) as project:
        for number in range(2):
            case = Case(f"{number:016d}", f"f{number}.png", (4, 6), None, "train", {})
            project.add_case(case)
        mask = np.zeros((4, 6), bool)
        project.put_mask(f"{0:016d}", "pneumothorax", mask, reader="ann")
        mask[1:3, 2] = True
        project.put_mask(f"{1:016d}", "pneumothorax", mask, reader="ann")
        written = writing.export(project, "siim_rle", tmp_path / "out").files
    assert [path.name for path in written] == ["pneumothorax.csv"]
    assert written[0].read_text() == "ImageId,EncodedPixels\nf0,-1\nf1,9 2\n"


def _drawn(place: Path, shape: tuple[int, int], *rles: str) -> tuple[np.ndarray, str]:
    rows = "".join(f"film{n},{rle}\n" for n, rle in enumerate(rles))
    place.write_text("ImageId,EncodedPixels\n" + rows)
    first = next(iter(siim_rle.read(place)))
    assert isinstance(first, Found)
    return first.mask(shape), "; ".join(first.remarks)


@pytest.mark.parametrize("side", [128, 512])
def test_the_challenges_csv_is_scaled_to_copies_of_its_films(
    tmp_path: Path, side: int
) -> None:
    """Most of its rows end beyond such a film; one that does not is of 1024, too."""
    large = np.zeros((1024, 1024), bool)
    large[128:256, 64:128] = True
    rles = [siim_rle.encode(each) for each in (large, large[:, ::-1], large[:, ::-1])]
    mask, remarks = _drawn(tmp_path / "a.csv", (side, side), *rles)
    step = 1024 // side
    np.testing.assert_array_equal(mask, large[::step, ::step])
    assert f"scaled to this one's {side} × {side}" in remarks


def test_a_csv_of_films_of_another_size_is_theirs(tmp_path: Path) -> None:
    own = np.zeros((300, 300), bool)
    own[10:200, 20:290] = True
    rles = [siim_rle.encode(own), siim_rle.encode(own), "89999 1000"]
    mask, remarks = _drawn(tmp_path / "a.csv", (300, 300), *rles)
    np.testing.assert_array_equal(mask, own)
    assert "this film's own 300 × 300" in remarks
    mask, remarks = _drawn(tmp_path / "b.csv", (300, 400), *rles[:2])
    assert (mask.shape, remarks) == ((300, 400), "")

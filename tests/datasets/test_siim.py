"""SIIM-ACR: leading blanks, rows that are joined, -1, and the first round's test."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from helpers.dataset_trees import (
    box,
    by_path,
    cases,
    dicom,
    initialised,
    masks,
    run,
    text,
)
from napari_wsseg.jobs import DataError
from napari_wsseg.ops import run_lengths

SHAPE = (24, 20)
UID = "1.2.276.0.7230010.3.1.4.8323329.{}.1517875{}"


def place(root: Path, number: int, part: str = "train") -> Path:
    name = UID.format(number, number)
    study, series = f"{name}.2", f"{name}.3"
    return root / f"dicom-images-{part}" / study / series / f"{name}.dcm"


def name(number: int) -> str:
    return UID.format(number, number)


@pytest.fixture
def siim(tmp_path: Path) -> Path:
    """Make five training films and a test film; 0 has two masks, the rest none."""
    root = tmp_path / "siim"
    for number in range(5):
        dicom(place(root, number), number)
    dicom(place(root, 9, "test"), 9)
    left, right = upper(), lower()
    text(
        root / "train-rle.csv",
        "ImageId, EncodedPixels",
        f"{name(0)}, {run_lengths.siim_encode(left)}",
        f"{name(1)}, -1",
        f"{name(0)}, {run_lengths.siim_encode(right)}",
        f"{name(2)}, -1",
        f"{name(3)}, -1",
        f"{name(3)}, {run_lengths.siim_encode(left)}",
    )
    return root


def upper() -> np.ndarray:
    return box(SHAPE, slice(2, 7), slice(3, 9))


def lower() -> np.ndarray:
    return box(SHAPE, slice(5, 20), slice(8, 20))


def test_rows_of_a_film_are_joined_and_the_order_of_rows_is_no_matter(
    siim: Path, tmp_path: Path
) -> None:
    report = run("siim", tmp_path, images=siim)
    found = cases(report)
    assert report.rejected == ()
    assert report.imported == 6
    drawn = masks(report, found[name(0)])["pneumothorax"]
    np.testing.assert_array_equal(drawn, upper() | lower())
    np.testing.assert_array_equal(
        masks(report, found[name(3)])["pneumothorax"], upper()
    )


def test_minus_one_is_an_empty_mask_and_no_row_is_unknown(
    siim: Path, tmp_path: Path
) -> None:
    report = run("siim", tmp_path, images=siim)
    found = cases(report)
    labels = {key: case.labels["pneumothorax"] for key, case in found.items()}
    assert labels == {
        name(0): 1,
        name(1): 0,
        name(2): 0,
        name(3): 1,
        name(4): None,
        name(9): None,
    }
    assert not masks(report, found[name(1)])["pneumothorax"].any()
    assert masks(report, found[name(4)]) == {}
    assert any("2 films have no row" in warning for warning in report.warnings)
    assert found[name(0)].spacing_mm == (0.168, 0.168)


def test_the_later_table_makes_the_first_rounds_test_ours(
    siim: Path, tmp_path: Path
) -> None:
    text(
        siim / "stage_2_train.csv",
        "ImageId,EncodedPixels",
        *(f"{name(number)},-1" for number in (0, 1, 2, 3)),
        f"{name(9)},{run_lengths.siim_encode(upper())}",
    )
    report = run("siim", tmp_path, images=siim)
    split = {case.name: case.split for case in by_path(report).values()}
    assert split[name(9)] == "test"
    assert split[name(4)] == "train"
    assert sorted(split[name(number)] for number in range(4)) == ["train"] * 3 + ["val"]


def test_the_table_may_lie_elsewhere(siim: Path, tmp_path: Path) -> None:
    table = (siim / "train-rle.csv").rename(tmp_path / "mine.csv")
    assert run("siim", tmp_path, images=siim, labels=table).imported == 6


def test_a_run_beyond_the_film_costs_the_mask_alone(siim: Path, tmp_path: Path) -> None:
    table = siim / "train-rle.csv"
    table.write_text(table.read_text() + f"{name(4)}, 470 100\n")
    report = run("siim", tmp_path, images=siim)
    assert report.imported == 6
    assert len(report.rejected) == 1
    assert name(4) in report.rejected[0].path
    assert "reach pixel 570 of 480" in report.rejected[0].reason


@pytest.mark.parametrize("side", [128, 512, 2048])
def test_runs_on_copies_of_other_sizes_are_scaled_and_that_is_said(
    tmp_path: Path, side: int
) -> None:
    root = tmp_path / "siim"
    dicom(place(root, 1), 1, (side, side))
    mask = box((1024, 1024), slice(128, 192), slice(256, 512))
    row = f"{name(1)}, {run_lengths.siim_encode(mask)}"
    text(root / "train-rle.csv", "ImageId, EncodedPixels", row)
    report = run("siim", tmp_path, images=root)
    drawn = masks(report, cases(report)[name(1)])["pneumothorax"]
    scale = side / 1024
    rows = slice(int(128 * scale), int(192 * scale))
    columns = slice(int(256 * scale), int(512 * scale))
    np.testing.assert_array_equal(drawn, box((side, side), rows, columns))
    message = f"scaled to this one's {side} × {side}"
    assert any(message in warning for warning in report.warnings)


def test_runs_for_a_film_that_is_no_copy_are_rejected(tmp_path: Path) -> None:
    root = tmp_path / "siim"
    dicom(place(root, 1), 1, (512, 400))
    text(root / "train-rle.csv", "ImageId, EncodedPixels", f"{name(1)}, 100 20")
    report = run("siim", tmp_path, images=root)
    assert "is no copy" in report.rejected[0].reason


def test_a_listed_film_that_is_not_there_is_told(siim: Path, tmp_path: Path) -> None:
    place(siim, 2).unlink()
    report = run("siim", tmp_path, images=siim)
    assert [entry.path for entry in report.rejected] == [name(2)]
    assert "line 5 of" in report.rejected[0].reason


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ("ImageId, Pixels", "no column 'EncodedPixels'; its header is ImageId,Pixels"),
        ("", "no column 'ImageId', 'EncodedPixels'"),
    ],
)
def test_a_missing_column_is_named(
    siim: Path, tmp_path: Path, header: str, message: str
) -> None:
    table = siim / "train-rle.csv"
    table.write_text(header + "\n" + "".join(table.read_text().splitlines(True)[1:]))
    with pytest.raises(DataError, match=message):
        run("siim", tmp_path, images=siim)
    assert not (tmp_path / "project").exists()


def test_without_a_table_it_is_said_which_is_wanted(tmp_path: Path) -> None:
    dicom(place(tmp_path / "siim", 1), 1)
    with pytest.raises(DataError, match=r"stage_2_train\.csv or train-rle\.csv"):
        run("siim", tmp_path, images=tmp_path / "siim")


def test_one_command_imports_siim(siim: Path, tmp_path: Path) -> None:
    assert initialised("siim", tmp_path, siim) == 6

"""Montgomery and Shenzhen: the label is the name's last digit, lungs are optional."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from helpers.dataset_trees import box, cases, initialised, masks, picture, run, text
from napari_wsseg.datasets.tuberculosis import FINDING
from napari_wsseg.jobs import DataError

SHAPE = (24, 20)
LEFT, RIGHT = (
    box(SHAPE, slice(3, 20), slice(11, 18)),
    box(SHAPE, slice(3, 20), slice(2, 9)),
)


def lung(path: Path, mask: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(mask).save(path)


@pytest.fixture
def montgomery(tmp_path: Path) -> Path:
    root = tmp_path / "MontgomerySet"
    for number, ill in enumerate((0, 0, 1, 1)):
        name = f"MCUCXR_{number:04}_{ill}"
        picture(root / "CXR_png" / f"{name}.png", number, SHAPE)
        text(root / "ClinicalReadings" / f"{name}.txt", "Patient's Sex: F", "normal")
        lung(root / "ManualMask" / "leftMask" / f"{name}.png", LEFT)
        lung(root / "ManualMask" / "rightMask" / f"{name}.png", RIGHT)
    (root / "CXR_png" / "Thumbs.db").write_bytes(b"litter")
    (root / "NLM-MontgomeryCXRSet-ReadMe.pdf").write_bytes(b"%PDF")
    return root


@pytest.fixture
def shenzhen(tmp_path: Path) -> Path:
    root = tmp_path / "ChinaSet_AllFiles"
    for number, ill in enumerate((0, 1)):
        name = f"CHNCXR_{number:04}_{ill}"
        # Some films of the set are RGB.
        shape = (*SHAPE, 3) if number else SHAPE
        path = picture(root / "CXR_png" / f"{name}.png", 50 + number, SHAPE)
        if len(shape) == 3:
            Image.open(path).convert("RGB").save(path)
        text(root / "ClinicalReadings" / f"{name}.txt", "male 45yrs")
    lung(tmp_path / "mask" / "CHNCXR_0001_1_mask.png", LEFT | RIGHT)
    return root


def test_the_last_digit_is_the_label_and_masks_are_no_films(
    montgomery: Path, tmp_path: Path
) -> None:
    report = run("tuberculosis", tmp_path, images=montgomery)
    assert (report.imported, report.rejected, report.warnings) == (4, (), ())
    for name, case in cases(report).items():
        assert case.labels == {FINDING: int(name[-1])}
        assert masks(report, case) == {}


def test_lungs_are_findings_if_asked_for(montgomery: Path, tmp_path: Path) -> None:
    report = run(
        "tuberculosis",
        tmp_path,
        images=montgomery,
        masks=montgomery / "ManualMask",
    )
    case = cases(report)["MCUCXR_0002_1"]
    assert case.labels == {FINDING: 1, "left_lung": 1, "right_lung": 1}
    drawn = masks(report, case)
    np.testing.assert_array_equal(drawn["left_lung"], LEFT)
    np.testing.assert_array_equal(drawn["right_lung"], RIGHT)
    assert FINDING not in drawn


def test_shenzhens_masks_hold_both_lungs_and_some_films_have_none(
    shenzhen: Path, tmp_path: Path
) -> None:
    report = run("tuberculosis", tmp_path, images=shenzhen, masks=tmp_path / "mask")
    found = cases(report)
    assert report.rejected == ()
    assert found["CHNCXR_0000_0"].labels == {FINDING: 0, "lungs": None}
    assert found["CHNCXR_0001_1"].labels == {FINDING: 1, "lungs": 1}
    drawn = masks(report, found["CHNCXR_0001_1"])["lungs"]
    np.testing.assert_array_equal(drawn, LEFT | RIGHT)


def test_both_sets_go_into_one_project(
    montgomery: Path, shenzhen: Path, tmp_path: Path
) -> None:
    both = tmp_path / "both"
    both.mkdir()
    montgomery.rename(both / montgomery.name)
    shenzhen.rename(both / shenzhen.name)
    assert run("tuberculosis", tmp_path, images=both).imported == 6


def test_a_name_without_a_label_is_rejected(montgomery: Path, tmp_path: Path) -> None:
    picture(montgomery / "CXR_png" / "MCUCXR_0009_2.png", 9, SHAPE)
    report = run("tuberculosis", tmp_path, images=montgomery)
    assert [entry.path for entry in report.rejected] == ["CXR_png/MCUCXR_0009_2.png"]
    assert "neither in _0" in report.rejected[0].reason


def test_a_mask_of_no_film_is_told(montgomery: Path, tmp_path: Path) -> None:
    lung(montgomery / "ManualMask" / "leftMask" / "MCUCXR_0077_0.png", LEFT)
    report = run(
        "tuberculosis", tmp_path, images=montgomery, masks=montgomery / "ManualMask"
    )
    assert [entry.reason for entry in report.rejected] == [
        "no film is called MCUCXR_0077_0"
    ]


def test_a_folder_without_lung_masks_is_refused(
    montgomery: Path, tmp_path: Path
) -> None:
    readings = montgomery / "ClinicalReadings"
    with pytest.raises(DataError, match="no lung mask"):
        run("tuberculosis", tmp_path, images=montgomery, masks=readings)


def test_a_table_is_not_wanted(montgomery: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="in the film's name"):
        run("tuberculosis", tmp_path, images=montgomery, labels=tmp_path / "x.csv")


def test_one_command_imports_tuberculosis(montgomery: Path, tmp_path: Path) -> None:
    assert initialised("tuberculosis", tmp_path, montgomery) == 4

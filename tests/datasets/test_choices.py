"""Every importer's promises, and the choices that `wsseg init --set` makes."""

from __future__ import annotations

import inspect
from pathlib import Path

import pytest

from napari_wsseg.cli import main
from napari_wsseg.datasets import _options, datasets
from napari_wsseg.jobs import DataError, UsageError


@pytest.mark.parametrize("name", datasets.names())
def test_every_importer_refuses_a_folder_that_is_not_there(
    name: str, tmp_path: Path
) -> None:
    job = datasets[name](tmp_path / "project", images=tmp_path / "nowhere")
    with pytest.raises(DataError, match="nowhere: no such image folder"):
        next(job)
    assert [*tmp_path.iterdir()] == []


@pytest.mark.parametrize("name", datasets.names())
def test_every_importer_refuses_a_folder_without_films(
    name: str, tmp_path: Path
) -> None:
    (tmp_path / "images").mkdir()
    job = datasets[name](tmp_path / "project", images=tmp_path / "images")
    with pytest.raises(DataError, match="images"):
        list(job)
    assert [path.name for path in tmp_path.iterdir()] == ["images"]


@pytest.mark.parametrize("name", datasets.names())
def test_every_importer_refuses_a_place_in_use(name: str, tmp_path: Path) -> None:
    (tmp_path / "images" / "JPEGImages").mkdir(parents=True)
    (tmp_path / "project").mkdir()
    (tmp_path / "project" / "thesis.txt").write_text("dear")
    job = datasets[name](tmp_path / "project", images=tmp_path / "images")
    with pytest.raises(DataError, match="not empty"):
        list(job)


@pytest.mark.parametrize("name", datasets.names())
def test_every_choice_is_a_bool_or_a_number_and_off_by_default(name: str) -> None:
    known = {"folder", "images", "labels", "masks", "names", "only"}
    more = {
        each.name: each.default
        for each in inspect.signature(datasets[name]).parameters.values()
        if each.name not in known
    }
    assert tuple(more) == _options.option_names(datasets[name])
    assert set(more.values()) <= {False, None}


def test_a_choice_is_made_in_words() -> None:
    assert _options.option_names(datasets["chexpert"]) == ("lateral", "blanks_absent")
    made = _options.with_options(
        "chexpert", datasets["chexpert"], ["lateral=yes", "blanks_absent=No"]
    )
    assert made.keywords == {  # type: ignore[attr-defined]
        "lateral": True,
        "blanks_absent": False,
    }


@pytest.mark.parametrize(
    ("name", "word", "message"),
    [
        ("chexpert", "sideways=yes", "no choice 'sideways'; it has: lateral"),
        ("siim", "lateral=yes", "no choice 'lateral'; it has none"),
        ("chexpert", "lateral=perhaps", "say lateral=yes or lateral=no"),
        ("chexpert", "lateral", "say lateral=yes or lateral=no"),
    ],
)
def test_a_choice_that_is_none_is_refused(name: str, word: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        _options.with_options(name, datasets[name], [word])


def test_an_unknown_choice_ends_the_command_with_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["init", str(tmp_path / "p"), "--images", str(tmp_path)]
    assert main([*arguments, "--dataset", "siim", "--set", "lateral=yes"]) == 2
    assert "no choice 'lateral'" in capsys.readouterr().err


def test_a_missing_column_ends_the_command_with_3_and_no_traceback(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "train-rle.csv").write_text("ImageId\n1\n")
    arguments = ["init", str(tmp_path / "p"), "--images", str(tmp_path)]
    assert main([*arguments, "--dataset", "siim"]) == 3
    output = capsys.readouterr().err
    assert output.count("\n") == 1
    assert "no column 'EncodedPixels'" in output

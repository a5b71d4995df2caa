"""The sample project is half read, by two simulated readers who disagree."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from napari_wsseg.cli import _open, main
from napari_wsseg.datasets import _sample
from napari_wsseg.datasets import _sample_readings as sample_readings
from napari_wsseg.io import runs, stages, sweeps
from napari_wsseg.io.project import Project
from napari_wsseg.jobs import DataError, finish
from napari_wsseg.pipeline import agreement
from napari_wsseg.pipeline.infer import infer
from napari_wsseg.schema import STAGES


@pytest.fixture(scope="module")
def shipped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the sample project as the package brings it."""
    began = time.process_time()
    out = tmp_path_factory.mktemp("cache")
    folder = finish(sample_readings.half_read_project(out))
    assert time.process_time() - began < 5, "it is unpacked, not made"
    return folder


def test_what_ships_has_two_runs_of_every_stage_and_a_sweep(shipped: Path) -> None:
    done = [info for info in runs.listing(shipped) if info.state == "done"]
    recipes = [info.recipe for info in done]
    for recipe, count in {"segmentation": 2, "irnet": 2, "classifier": 2}.items():
        assert recipes.count(recipe) == count
    assert recipes.count("chexseg") == 3
    [sweep] = (shipped / "sweeps").iterdir()
    assert sweeps.read(sweep)["values"] == [0, 0.5, 1]
    with Project.open(shipped) as project:
        assert project.fsck() == []
        project.verify_audit()
        assert project.synthetic
        films = {case.id for case in project.cases()}
        assert len(films) == sample_readings.FILMS
        in_use = project.runs_in_use()
    assert [*in_use] == [*STAGES]
    for info in done:
        for stage in () if info.recipe == "chexseg" else info.facts.stages:
            if stage in STAGES:
                assert not stages.missing(shipped, stage, info.id, films)


def test_the_first_film_that_nobody_has_read_teaches(shipped: Path) -> None:
    with Project.open(shipped) as project:
        settings, cases = project.settings, project.cases()
        unread = [
            case
            for case in cases
            if not any(
                project.decision(case.id, reader=name)
                for name in (sample_readings.FIRST, sample_readings.SECOND)
            )
        ]
        teaching = unread[0]
        run = project.runs_in_use()["segmentation"]
        assert agreement.disagreement(project)
    assert settings.findings[0].name == sample_readings.TEACHING
    assert cases[0] is not teaching, "some have been read"
    assert len(unread) > 5
    assert teaching.labels[sample_readings.TEACHING] == 1
    maps = stages.read(shipped, "segmentation", run, teaching.id)
    assert maps is not None
    assert maps.score[0].max() > 0.5


def test_maps_that_are_there_need_no_weights(shipped: Path) -> None:
    with Project.open(shipped, write=True) as project:
        in_use = project.runs_in_use()
        for stage, run in in_use.items():
            assert not (shipped / "runs" / run / "best.safetensors").exists()
            assert list(infer(project, stage, run)) == []
        with pytest.raises(DataError, match="Train its stage again"):
            list(infer(project, "cam", in_use["cam"], again=True))


@pytest.mark.slow
def test_what_ships_can_be_trained_on(shipped: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(shipped.parent, tmp_path / "copy")) / shipped.name
    settings = ("size=64", "epochs=1", "batch=8", "labels=auto")
    arguments = ["chexseg", "-p", str(copy), "--json", "--set", *settings]
    done = subprocess.run(
        [sys.executable, "-m", "trainers", *arguments], capture_output=True, text=True
    )
    end = json.loads(done.stdout.splitlines()[-1])
    assert end["status"] == "done", end
    assert "random weights" in (copy / "runs" / end["run"] / "card.md").read_text()


def test_a_place_that_holds_something_else_is_left_alone(tmp_path: Path) -> None:
    mine = sample_readings.place(tmp_path).parent / "notes.txt"
    mine.parent.mkdir()
    mine.write_text("mine")
    with pytest.raises(DataError, match="holds no sample project"):
        finish(sample_readings.half_read_project(tmp_path))
    assert mine.read_text() == "mine"


def test_another_number_of_films_than_the_sample_there_has_is_made_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """``wsseg demo --films N`` gives N films whatever is in the cache."""
    opened: list[Path] = []
    monkeypatch.setattr(_open, "show", lambda project, **_: opened.append(project) or 0)
    monkeypatch.setattr(_open, "has_display", lambda: True)
    monkeypatch.setattr(_open, "has_window", lambda: True)
    for options in ([], ["--films", "3"], ["--films", "36"], [], ["--films", "3"]):
        assert main(["demo", "--out", str(tmp_path), *options]) == 0
    assert [_sample.film_count(project) for project in opened] == [36, 3, 36, 36, 3]
    assert all(sample_readings.is_one(project) for project in opened)
    for wrong in ("0", "-3", "few"):
        with pytest.raises(SystemExit):
            main(["demo", "--out", str(tmp_path), "--films", wrong])
        assert "from 1 on" in capsys.readouterr().err


def test_films_for_a_demo_without_a_window_are_as_many_as_asked(tmp_path: Path) -> None:
    made = [finish(_sample.sample_project(tmp_path, n)) for n in (2, 3, None, 3)]
    assert [_sample.film_count(project) for project in made] == [2, 3, 2, 3]
    assert made[0] == made[2] == tmp_path / "synthetic-project"


def test_the_sample_is_half_read_and_its_readers_disagree(tmp_path: Path) -> None:
    folder = finish(sample_readings.half_read_project(tmp_path, 12))
    assert sample_readings.is_one(folder)
    assert finish(sample_readings.half_read_project(tmp_path, 12)) == folder
    with Project.open(folder) as project:
        project.verify_audit()
        assert project.fsck() == []
        assert project.synthetic
        train, cases = project.cases("train"), project.cases()
        read = {
            name: [
                case.id
                for case in cases
                if project.decision(case.id, reader=name) is not None
            ]
            for name in (sample_readings.FIRST, sample_readings.SECOND)
        }
        assert len(read[sample_readings.FIRST]) == (len(train) + 1) // 2
        assert 0 < len(read[sample_readings.SECOND]) < len(read[sample_readings.FIRST])
        apart = agreement.disagreement(project)
        assert apart
        assert max(apart.values()) > 1 - agreement.SAME_DICE
